//! Answers of models that several processes share: two clients with caches of their own on one store, as two
//! processes have them.

use ember::base::clock::ManualClock;
use ember::llm::layer::{CacheConfig, CostConfig};
use ember::llm::{
    ChatEvent, Client, Dropped, ErrorKind, FakeProvider, FakeReply, FinishReason, Price,
    SemanticCache, Sharing, SpendLimit, Usage,
};
use ember::prelude::{millis, secs};
use ember::store::{BoxStore, MemoryStore, Store as _};
use ember::testing::NgramEmbedder;
use ember_tests::flaky::Flaky;
use ember_tests::stores::until;
use ember_tests::{ask, counting, in_no_time};
use futures_util::future::join_all;
use std::time::Duration;

const RESET: &str = "How do I reset my password?";
const RESET_AGAIN: &str = "how can I reset my password";

/// All ways to ask twice.
const TWICE: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

mod layer {
    use super::*;

    /// A process with a cache on a store.
    fn process(fake: &FakeProvider, config: CacheConfig) -> Client {
        let builder = Client::builder().provider(fake.clone()).cache(config);
        builder.without_retry().without_circuit_breaker().build().unwrap()
    }

    fn on(store: &Flaky) -> CacheConfig {
        CacheConfig::new().store(store.clone())
    }

    #[tokio::test]
    async fn an_answer_of_one_process_is_given_by_the_other_in_both_forms() {
        for (first, second) in TWICE {
            let (fake, store) = (counting(), Flaky::new());
            let [here, there] = [(); 2].map(|()| process(&fake, on(&store)));
            let original = ask(&here, "x", first).await.unwrap();
            let replayed = ask(&there, "x", second).await.unwrap();
            assert_eq!(replayed.cached.unwrap().saved, Some(Usage::new(7, 8)));
            assert_eq!(replayed.message, original.message);
            assert_eq!(replayed.finish, original.finish);
            assert_eq!(fake.requests().len(), 1);
            assert_eq!(there.usage().total_requests(), 0, "what is replayed is not billed");
        }
    }

    #[tokio::test]
    async fn equal_requests_of_two_processes_are_one_call() {
        for streamed in [false, true] {
            let hands = ManualClock::new();
            let slow = || FakeReply::new().text("a b").delay(secs(2)).clock(hands.clock());
            let failing = slow().fail_after(1, ErrorKind::Auth, "no");
            let fake = FakeProvider::new().reply(slow()).reply(failing).text("c");
            let store = MemoryStore::new().clock(hands.clock());
            let client = || {
                let config = CacheConfig::new().store(store.clone());
                let builder = Client::builder().provider(fake.clone()).cache(config);
                builder.without_retry().clock(hands.clock()).build().unwrap()
            };
            let processes = [client(), client()];
            let all = |question: &'static str| {
                let asked = processes.iter().flat_map(|client| {
                    (0..10).map(move |index| ask(client, question, streamed ^ (index % 3 == 2)))
                });
                join_all(asked.collect::<Vec<_>>())
            };
            let (answers, _) = in_no_time(&hands, all("x")).await;
            assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "a b"));
            assert_eq!(fake.requests().len(), 1);
            // A failure is shared in a process, and the other one asks anew.
            let (outcomes, _) = in_no_time(&hands, all("y")).await;
            let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            assert_eq!((failed, fake.requests().len()), (10, 3));
        }
    }

    #[tokio::test]
    async fn an_abandoned_request_leaves_the_turn_to_the_other_process() {
        for streamed in [false, true] {
            let hanging = FakeReply::new().text("a b").hang_after(1);
            let fake = FakeProvider::new().reply(hanging).text("c");
            let store = Flaky::new();
            let [here, there] = [(); 2].map(|()| process(&fake, on(&store)));
            let first = tokio::spawn(async move { ask(&here, "x", streamed).await });
            until(async || fake.requests().len() == 1).await;
            let second = tokio::spawn(async move { ask(&there, "x", !streamed).await });
            first.abort();
            assert_eq!(second.await.unwrap().unwrap().text(), "c");
            assert_eq!(fake.requests().len(), 2);
        }
    }

    #[tokio::test]
    async fn what_is_incomplete_or_too_large_is_not_shared_and_not_waited_for() {
        for streamed in [false, true] {
            let cut = FakeReply::new().text("a").finish(FinishReason::Length);
            let fake = FakeProvider::new().reply(cut.clone()).reply(cut).text("b".repeat(99));
            let store = Flaky::new();
            let [here, there] = [(); 2].map(|()| process(&fake, on(&store).max_answer(90)));
            for (client, question) in [(&here, "x"), (&there, "x"), (&here, "y"), (&there, "y")] {
                let asking = ask(client, question, streamed);
                tokio::time::timeout(secs(4), asking).await.unwrap().unwrap();
            }
            assert_eq!(fake.requests().len(), 4);
            assert!(store.keys("answers:").await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_or_broken_costs_no_answer() {
        for streamed in [false, true] {
            let (fake, store) = (counting(), Flaky::new());
            let [here, there] = [(); 2].map(|()| process(&fake, on(&store)));
            store.go_away(true);
            ask(&here, "x", streamed).await.unwrap();
            assert!(ask(&here, "x", streamed).await.unwrap().cached.is_some(), "it is its own");
            assert!(ask(&there, "x", streamed).await.unwrap().cached.is_none());
            store.go_away(false);
            ask(&here, "y", streamed).await.unwrap();
            assert!(ask(&there, "y", !streamed).await.unwrap().cached.is_some(), "it is back");
            let keys = store.keys("answers:").await;
            let broken: [&'static [u8]; 3] = [b"", b"{\"version\":2}", b"{\"version\":1}"];
            for bytes in broken {
                // What was told while the store was away may have come to it since.
                for key in &keys {
                    store.set(key, bytes.into(), Duration::MAX).await.unwrap();
                }
                let fresh = process(&fake, on(&store));
                assert!(ask(&fresh, "y", streamed).await.unwrap().cached.is_none());
                until(async || store.keys("claim:").await.is_empty()).await;
            }
        }
    }

    #[tokio::test]
    async fn answers_expire_and_prefixes_keep_apart() {
        let hands = ManualClock::new();
        let (fake, store) = (counting(), MemoryStore::new().clock(hands.clock()));
        let shared = || CacheConfig::new().ttl(secs(60)).store(store.clone());
        let here = process(&fake, shared());
        ask(&here, "x", false).await.unwrap();
        let other = process(&fake, shared().key_prefix("other:"));
        assert!(ask(&other, "x", false).await.unwrap().cached.is_none());
        let there = process(&fake, shared());
        assert!(ask(&there, "x", false).await.unwrap().cached.is_some());
        hands.advance(secs(60));
        assert!(ask(&there, "x", true).await.unwrap().cached.is_none());
    }
}

mod semantic {
    use super::*;

    fn cache() -> SemanticCache {
        SemanticCache::new(NgramEmbedder::new()).threshold(0.6)
    }

    fn on(store: &Flaky) -> SemanticCache {
        cache().store(store.clone())
    }

    fn client(fake: &FakeProvider, cache: &SemanticCache) -> Client {
        Client::new(fake.clone()).semantic_cache(cache.clone())
    }

    /// Waits until so many answers are in the store: the log's entries have numbers.
    async fn entries(store: &Flaky, count: usize) {
        let is_entry = |key: &&String| key.matches(':').count() == 3;
        until(async || store.keys("semantic:").await.iter().filter(is_entry).count() == count)
            .await;
        until(async || store.keys("claim:").await.is_empty()).await;
    }

    #[tokio::test]
    async fn a_hit_of_one_process_is_one_of_the_other_in_both_forms() {
        for (first, second) in TWICE {
            let (fake, store) = (counting(), Flaky::new());
            let caches = [on(&store), on(&store)];
            let [here, there] = [0, 1].map(|index| client(&fake, &caches[index]));
            let original = ask(&here, RESET, first).await.unwrap();
            // The other one finds it at once, or waits until it is shared.
            for (question, least, most) in [(RESET, 1.0, 1.0), (RESET_AGAIN, 0.6, 0.999)] {
                let again = ask(&there, question, second).await.unwrap();
                assert_eq!(again.message, original.message);
                let cached = again.cached.unwrap();
                assert!((least..=most).contains(&cached.similarity), "{cached:?}");
                assert_eq!(cached.saved, Some(Usage::new(7, 8)));
            }
            let stats = caches[1].stats();
            assert_eq!((stats.exact_hits, stats.semantic_hits, stats.misses), (1, 1, 0));
            let other = ask(&there, "How do I not reset my password?", second).await.unwrap();
            assert!(other.cached.is_none(), "guards look at what came from others, too");
            assert_eq!(caches[1].stats().guarded, 1);
            entries(&store, 2).await;
            // And the way back.
            assert!(
                ask(&here, "How do I not reset my password?", first)
                    .await
                    .unwrap()
                    .cached
                    .is_some()
            );
            assert_eq!(fake.requests().len(), 2);
        }
    }

    #[tokio::test]
    async fn equal_questions_of_two_processes_are_one_call() {
        for streamed in [false, true] {
            let hands = ManualClock::new();
            let slow = FakeReply::new().text("At settings.").delay(secs(2)).clock(hands.clock());
            let fake = FakeProvider::new().reply(slow);
            let store = MemoryStore::new().clock(hands.clock());
            let process = || client(&fake, &cache().clock(hands.clock()).store(store.clone()));
            let processes = [process(), process()];
            let asked = processes.iter().flat_map(|client| {
                (0..10).map(move |index| ask(client, RESET, streamed ^ (index % 3 == 2)))
            });
            let (answers, _) = in_no_time(&hands, join_all(asked.collect::<Vec<_>>())).await;
            assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "At settings."));
            assert_eq!(fake.requests().len(), 1);
        }
    }

    #[tokio::test]
    async fn many_processes_write_at_the_same_time_and_each_reads_all() {
        let (fake, store) = (counting(), Flaky::new());
        let processes: Vec<_> = (0..4).map(|_| client(&fake, &on(&store))).collect();
        let questions: Vec<_> =
            (0..40).map(|number| format!("What is the square of {number}?")).collect();
        let asked = questions.iter().enumerate();
        join_all(
            asked.map(|(index, text)| ask(&processes[index % 4], text.as_str(), index % 2 == 0)),
        )
        .await;
        entries(&store, 40).await;
        let late = on(&store);
        let fresh = client(&fake, &late);
        for client in processes.iter().chain([&fresh]) {
            for question in &questions {
                assert!(
                    ask(client, question.as_str(), false).await.unwrap().cached.is_some(),
                    "{question}"
                );
            }
        }
        assert_eq!((fake.requests().len(), late.stats().entries), (40, 40));
        // One with less room takes the newest.
        let small = on(&store).max_entries(10);
        ask(&client(&fake, &small), questions[0].as_str(), false).await.unwrap();
        assert_eq!(small.stats().entries, 10);
    }

    #[tokio::test]
    async fn clearing_reaches_the_other_processes() {
        for streamed in [false, true] {
            let (fake, store) = (counting(), Flaky::new());
            let caches = [on(&store), on(&store)];
            let [here, there] = [0, 1].map(|index| client(&fake, &caches[index]));
            for question in [RESET, "Why is the sky blue?"] {
                ask(&here, question, streamed).await.unwrap();
                assert!(ask(&there, question, streamed).await.unwrap().cached.is_some());
            }
            entries(&store, 2).await;
            caches[0].clear();
            assert_eq!(caches[0].stats().entries, 0);
            assert!(ask(&here, RESET, streamed).await.unwrap().cached.is_none());
            let again = ask(&there, RESET, streamed).await.unwrap();
            assert!(again.text().starts_with("answer 2"), "the new one: {}", again.text());
            assert!(ask(&there, "Why is the sky blue?", streamed).await.unwrap().cached.is_none());
            // While the store is away it is remembered that it is to be told.
            store.go_away(true);
            caches[1].clear();
            assert!(ask(&there, RESET, streamed).await.unwrap().cached.is_none());
            assert!(ask(&here, RESET, streamed).await.unwrap().cached.is_some(), "not told yet");
            // What goes on after the answers comes to nothing before the store is back.
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            store.go_away(false);
            ask(&there, "Who wrote Hamlet?", streamed).await.unwrap();
            let forgotten = ask(&here, RESET, streamed).await.unwrap();
            assert!(forgotten.cached.is_none(), "{forgotten:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_was_emptied_is_begun_anew() {
        let (fake, store) = (counting(), Flaky::new());
        let caches = [on(&store), on(&store)];
        let [here, there] = [0, 1].map(|index| client(&fake, &caches[index]));
        for question in [RESET, "Why is the sky blue?", "Who wrote Hamlet?"] {
            ask(&here, question, false).await.unwrap();
            ask(&there, question, false).await.unwrap();
        }
        assert_eq!(fake.requests().len(), 3);
        entries(&store, 3).await;
        store.restart();
        assert!(ask(&there, RESET, false).await.unwrap().cached.is_none());
        entries(&store, 1).await;
        assert!(ask(&here, RESET_AGAIN, true).await.unwrap().cached.is_some());
        assert_eq!((caches[0].stats().entries, caches[1].stats().entries), (1, 1));
    }

    #[tokio::test]
    async fn what_a_bounded_request_came_to_is_for_nobody_else() {
        for streamed in [false, true] {
            let dropped = ChatEvent::Dropped(Dropped::new("reasoning_effort", "no room for it"));
            let less = FakeReply::new().event(dropped).text("Less.").usage(Usage::new(7, 8));
            let fake = FakeProvider::new().reply(less).respond(|_| FakeReply::new().text("More."));
            let prices = CostConfig::new()
                .price("fake", Price::per_million("1000000", "2000000").unwrap())
                .default_model("fake");
            let poor = Client::builder().provider(fake.clone()).cost(prices).build().unwrap();
            let cache = cache();
            let poor = poor.semantic_cache(cache.clone());
            let poor = poor.budget(SpendLimit::per_day("50".parse().unwrap()));
            let rich = client(&fake, &cache);
            let first = ask(&poor, RESET, streamed).await.unwrap();
            assert_eq!((&*first.text(), first.dropped.len()), ("Less.", 1));
            assert_eq!(ask(&rich, RESET, streamed).await.unwrap().text(), "More.");
            assert!(ask(&rich, RESET, streamed).await.unwrap().cached.is_some());
        }
    }

    #[tokio::test]
    async fn without_the_store_each_process_is_by_itself() {
        for streamed in [false, true] {
            let (fake, store) = (counting(), Flaky::new());
            let [here, there] = [(); 2].map(|()| client(&fake, &on(&store)));
            store.go_away(true);
            for client in [&here, &there] {
                assert!(ask(client, RESET, streamed).await.unwrap().cached.is_none());
                for question in [RESET, RESET_AGAIN] {
                    assert!(ask(client, question, streamed).await.unwrap().cached.is_some());
                }
            }
            assert_eq!(fake.requests().len(), 2);
            store.go_away(false);
            ask(&here, "Why is the sky blue?", streamed).await.unwrap();
            assert!(ask(&there, "Why is the sky blue?", !streamed).await.unwrap().cached.is_some());
        }
    }

    #[tokio::test]
    async fn a_broken_entry_is_passed_over() {
        let (fake, store) = (counting(), Flaky::new());
        let here = client(&fake, &on(&store));
        for question in [RESET, "Why is the sky blue?", "Who wrote Hamlet?"] {
            ask(&here, question, false).await.unwrap();
            until(async || store.keys("claim:").await.is_empty()).await;
        }
        entries(&store, 3).await;
        let keys = store.keys("semantic:").await;
        let entry = |number: &str| keys.iter().find(|key| key.ends_with(number)).unwrap().clone();
        store.set(&entry(":1"), "foreign".into(), secs(100)).await.unwrap();
        let cut = store.get(&entry(":2")).await.unwrap().unwrap();
        store.set(&entry(":2"), cut.slice(..cut.len() - 1), secs(100)).await.unwrap();
        let late = on(&store);
        let there = client(&fake, &late);
        assert!(ask(&there, "Who wrote Hamlet?", true).await.unwrap().cached.is_some());
        assert_eq!(late.stats().entries, 1);
        assert!(ask(&there, RESET, true).await.unwrap().cached.is_none());
        until(async || store.keys("claim:").await.is_empty()).await;
        // A head that is none is begun anew.
        let is_head = |key: &&String| key.matches(':').count() == 1 && *key != "semantic:era";
        let head = keys.iter().find(is_head).unwrap();
        store.set(head, "not a head".into(), secs(100)).await.unwrap();
        assert!(ask(&there, "Where is Paris?", true).await.unwrap().cached.is_none());
        assert!(
            ask(&client(&fake, &on(&store)), "Where is Paris?", true)
                .await
                .unwrap()
                .cached
                .is_some()
        );
    }

    #[tokio::test]
    async fn tenants_prefixes_and_providers_stay_apart() {
        let (fake, store) = (counting(), Flaky::new());
        let caller = |sharing: Sharing, id: Option<&str>| {
            client(&fake, &on(&store).sharing(sharing).for_caller(id))
        };
        ask(&caller(Sharing::Nobody, Some("ann")), RESET, false).await.unwrap();
        entries(&store, 1).await;
        for other in [
            caller(Sharing::Nobody, Some("bob")),
            caller(Sharing::Nobody, None),
            caller(Sharing::Anonymous, None),
            caller(Sharing::Everyone, Some("ann")),
            client(&fake, &on(&store)),
            client(&fake, &on(&store).key_prefix("other:").for_caller(Some("ann"))),
        ] {
            for question in [RESET, RESET_AGAIN] {
                let answer = other.complete(question).await.unwrap();
                assert_ne!(answer.text(), "answer 0 in some more words than one", "{question}");
            }
        }
        let same = caller(Sharing::Nobody, Some("ann"));
        assert_eq!(same.ask(RESET).await.unwrap(), "answer 0 in some more words than one");
    }

    #[tokio::test]
    async fn answers_of_others_expire_when_theirs_do() {
        let hands = ManualClock::new();
        let store = MemoryStore::new().clock(hands.clock());
        let cache = || cache().ttl(secs(60)).clock(hands.clock()).store(store.clone());
        let fake = counting();
        ask(&client(&fake, &cache()), RESET, false).await.unwrap();
        let shared = BoxStore::new(store.clone());
        until(async || shared.scan("claim:", None, 9).await.unwrap().keys.is_empty()).await;
        hands.advance(secs(50));
        let there = client(&fake, &cache());
        assert!(ask(&there, RESET_AGAIN, true).await.unwrap().cached.is_some());
        hands.advance(secs(9) + millis(999));
        assert!(ask(&there, RESET, true).await.unwrap().cached.is_some());
        hands.advance(millis(2));
        assert!(ask(&there, RESET, false).await.unwrap().cached.is_none());
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_restart_finds_the_answers_again() {
        use ember::store::SqliteStore;
        for streamed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("answers.db");
            let fake = counting();
            let before = SqliteStore::new(&path);
            let process = client(&fake, &cache().store(before.clone()));
            ask(&process, RESET, streamed).await.unwrap();
            let is_free =
                || async { before.scan("claim:", None, 9).await.unwrap().keys.is_empty() };
            until(async || is_free().await).await;
            drop((process, before));
            let process = client(&fake, &cache().store(SqliteStore::new(&path)));
            for question in [RESET, RESET_AGAIN] {
                assert!(ask(&process, question, streamed).await.unwrap().cached.is_some());
            }
            assert_eq!(fake.requests().len(), 1);
        }
    }
}
