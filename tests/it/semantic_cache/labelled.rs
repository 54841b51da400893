//! How often a question is answered from the cache that should be, and how often one that should not.
//!
//! The pairs are ours: `tests/fixtures/questions.tsv`, one a line: `same` or a word for what
//! differs, and two questions. The embedder is one without a model, so the figures are no promise about
//! a real one; they hold the guards in place. With a real one:
//!
//! `EMBER_EMBEDDER=openai EMBER_EMBEDDER_MODEL=text-embedding-3-small cargo test -p ember-tests --test it
//! labelled -- --nocapture`, with the variables of that provider (its key, its address). Nothing is asserted
//! then: the table is what is wanted.

use super::counting;
use ember::base::Env;
use ember::llm::{Client, Embedder, HttpEmbedder, ProviderDescriptor, SemanticCache};
use ember::testing::NgramEmbedder;
use ember_tests::fixtures;
use std::collections::BTreeMap;

struct Pair {
    label: String,
    a: String,
    b: String,
}

fn pairs() -> Vec<Pair> {
    let text = std::fs::read_to_string(fixtures("questions.tsv")).unwrap();
    let pair = |line: &str| {
        let [label, a, b] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}");
        };
        Pair { label: label.to_owned(), a: a.to_owned(), b: b.to_owned() }
    };
    text.lines().map(pair).collect()
}

/// How near each pair is, and whether the guards let it pass.
async fn measured<E: Embedder + Clone>(embedder: E, pairs: &[Pair]) -> Vec<(f32, bool)> {
    let mut measured = Vec::new();
    for pair in pairs {
        let mut found = Vec::new();
        for guards in [false, true] {
            let cache = SemanticCache::new(embedder.clone()).threshold(1e-6);
            let cache = if guards { cache } else { cache.without_guards() };
            let client = Client::new(counting()).semantic_cache(cache);
            client.ask(pair.a.as_str()).await.unwrap();
            let second = client.complete(pair.b.as_str()).await.unwrap();
            found.push(second.cached.map(|cached| cached.similarity));
        }
        measured.push((found[0].unwrap_or(0.0), found[1].is_some()));
    }
    measured
}

/// Of so many in a hundred: hits among those that mean the same, and among those that do not.
fn rates(pairs: &[Pair], measured: &[(f32, bool)], threshold: f32, guards: bool) -> (f64, f64) {
    let rate = |same: bool| {
        let of_kind =
            || pairs.iter().zip(measured).filter(move |(pair, _)| (pair.label == "same") == same);
        let hits =
            of_kind().filter(|(_, (near, passes))| *near >= threshold && (*passes || !guards));
        100.0 * hits.count() as f64 / of_kind().count() as f64
    };
    (rate(true), rate(false))
}

fn print(name: &str, pairs: &[Pair], measured: &[(f32, bool)]) {
    println!("{} pairs, embedder {name}", pairs.len());
    println!("threshold   hits   false hits | with guards: hits   false hits");
    for step in 6..=19 {
        let threshold = step as f32 * 0.05;
        let ((hits, wrong), (guarded, guarded_wrong)) =
            (rates(pairs, measured, threshold, false), rates(pairs, measured, threshold, true));
        println!(
            "{threshold:9.2} {hits:5.1}%  {wrong:9.1}% | {guarded:17.1}%  {guarded_wrong:9.1}%"
        );
    }
    let mut kinds: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (pair, (_, passes)) in pairs.iter().zip(measured) {
        let kind = kinds.entry(&pair.label).or_default();
        kind[0] += 1;
        kind[1] += usize::from(*passes);
    }
    for (kind, [all, passed]) in kinds {
        println!("{kind:10} {all:4} pairs, {passed:4} pass the guards");
    }
    if std::env::var_os("EMBER_EMBEDDER_VERBOSE").is_some() {
        for (pair, (near, passes)) in pairs.iter().zip(measured) {
            if *passes != (pair.label == "same") {
                println!("{near:.2} {} | {} | {}", pair.label, pair.a, pair.b);
            }
        }
    }
}

#[tokio::test]
async fn labelled_questions_are_told_apart() {
    let pairs = pairs();
    let same = pairs.iter().filter(|pair| pair.label == "same").count();
    assert!(
        pairs.len() >= 500 && same >= 200 && pairs.len() - same >= 200,
        "{same} of {}",
        pairs.len()
    );
    if let Some(name) = Env::process().var("EMBER_EMBEDDER") {
        let mut config =
            ProviderDescriptor::find(&name).unwrap().configure(&Env::process()).unwrap();
        config.model =
            Env::process().var("EMBER_EMBEDDER_MODEL").expect("EMBER_EMBEDDER_MODEL names a model");
        match name.as_str() {
            "gemini" => {
                let embedder = std::sync::Arc::new(HttpEmbedder::gemini(&config).unwrap());
                print(&name, &pairs, &measured(Shared(embedder), &pairs).await);
            }
            _ => {
                let embedder = std::sync::Arc::new(HttpEmbedder::openai(&config).unwrap());
                print(&name, &pairs, &measured(Shared(embedder), &pairs).await);
            }
        }
        return;
    }
    let measured = measured(NgramEmbedder::new(), &pairs).await;
    print("ngram", &pairs, &measured);
    let (hits, wrong) = rates(&pairs, &measured, 0.5, false);
    let (guarded_hits, guarded_wrong) = rates(&pairs, &measured, 0.5, true);
    assert!(
        guarded_wrong <= MOST_WRONG,
        "{guarded_wrong} % of those that differ are answered alike"
    );
    assert!(guarded_hits >= LEAST_HITS, "{guarded_hits} % of those that mean the same are found");
    assert!(wrong >= 10.0 * guarded_wrong, "the guards keep apart what is near: {wrong} %");
    assert!(
        guarded_hits >= 0.9 * hits,
        "and let pass what is the same: {guarded_hits} of {hits} %"
    );
}

/// At a threshold of 0.5, in a hundred.
const MOST_WRONG: f64 = 5.0;
const LEAST_HITS: f64 = 85.0;

/// An embedder that several caches have.
struct Shared<E>(std::sync::Arc<E>);

impl<E> Clone for Shared<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Embedder> Embedder for Shared<E> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn embed<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<ember::llm::Embeddings, ember::llm::Error> {
        self.0.embed(texts).await
    }
}
