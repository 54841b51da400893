use super::Outcome;
use super::guard::Guard;
use super::key::Tenant;
use super::log::Log;
use super::shelf::Shelf;
use crate::base::Clock;
use crate::llm::embed::{BoxEmbedder, Embedder};
use crate::llm::usage::Usage;
use crate::store::{BoxStore, SingleFlight};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers a question as an earlier one was answered that means the same.
///
/// First an equal request is looked for, which needs no embedding; then the nearest question of
/// the same caller, provider, model, instructions, history, tools and settings. It must reach the
/// [`threshold`](Self::threshold), and nothing that matters may differ: numbers, units, times,
/// negations, opposites, names. Only the last message is compared by its meaning; all
/// before it must be equal, so that "and in winter?" never meets that of another conversation. A message that
/// has more than text, or more text than [`max_question`](Self::max_question), is compared as a
/// whole.
///
/// Kept are answers that are complete and said in words. One that is cut, withheld, refused or
/// failed is not, nor is one that came of tools, unless [`keep_tool_answers`](Self::keep_tool_answers)
/// allows it. A hit is told by [`ChatResponse::cached`](crate::llm::ChatResponse::cached),
/// [`ChatEvent::Cached`](crate::llm::ChatEvent::Cached) and the event
/// [`CacheHit`](crate::llm::events::CacheHit); its usage is zero, nothing of a budget is set aside and no other
/// event happens. What it does cost is its embedding, unless the request was an equal one:
/// [`stats`](Self::stats). Whoever has [nothing left](crate::llm::Budget::check) is refused before
/// that.
///
/// Where the embedder fails or takes longer than [`embed_timeout`](Self::embed_timeout), the model
/// is asked. Of equal questions at the same time, one is asked.
///
/// Clones share what they keep; settings are each one's own. With a [`store`](Self::store), processes
/// share what they keep as well.
///
/// ```
/// use ember::base::clock::secs;
/// use ember::llm::{Client, FakeProvider, SemanticCache};
/// use ember::testing::NgramEmbedder;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// // A real embedder is `HttpEmbedder::openai(&config)?`; its questions are nearer: 0.92 suits it.
/// let cache = SemanticCache::new(NgramEmbedder::new()).threshold(0.5).ttl(secs(600));
/// let client = Client::new(FakeProvider::new().text("At settings, security."));
/// let client = client.semantic_cache(cache.clone());
///
/// client.ask("How do I reset my password?").await?;
/// let again = client.complete("How can I reset my password").await?;
/// assert_eq!(again.text(), "At settings, security.");
/// assert!(again.cached.is_some());
///
/// let other = client.complete("How do I not reset my password?").await?;
/// assert!(other.cached.is_none(), "a negation is kept apart");
/// assert_eq!((cache.stats().semantic_hits, cache.stats().guarded), (1, 1));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SemanticCache {
    pub(super) threshold: f32,
    pub(super) ttl: Duration,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
    pub(super) max_answer: usize,
    pub(super) max_question: usize,
    pub(super) embed_timeout: Duration,
    pub(super) patience: Duration,
    pub(super) guards: bool,
    pub(super) tool_answers: bool,
    pub(super) clock: Clock,
    sharing: Sharing,
    /// Where processes tell each other of their answers.
    pub(super) log: Option<Arc<Log>>,
    key_prefix: Arc<str>,
    /// Who asks; `None` for a caller whose questions are not kept.
    pub(super) tenant: Option<Tenant>,
    told: Option<Arc<dyn Fn(CacheOutcome) + Send + Sync>>,
    pub(super) shared: Arc<Shared>,
}

/// Which callers share answers with each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// None: each known caller has a space of its own, and whoever is not known has none, so that
    /// the cache does nothing for it. What one has asked cannot be found out by another.
    #[default]
    Nobody,
    /// Callers that are not known share one space; each known caller has its own.
    Anonymous,
    /// All callers share one space. For questions and answers that are no secret of anybody.
    Everyone,
}

/// What a cache has done so far, with all its clones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemanticCacheStats {
    /// Requests that were answered as an equal one.
    pub exact_hits: u64,
    /// Requests that were answered as one that means the same.
    pub semantic_hits: u64,
    /// Requests that the model had to answer.
    pub misses: u64,
    /// Requests that the cache is not for: of callers without a space, or ending in no question.
    pub skipped: u64,
    /// Earlier questions that were near enough and kept apart because something that matters differs.
    pub guarded: u64,
    /// Questions whose embedding failed or took too long.
    pub embedding_failures: u64,
    /// What embeddings have used, as far as the embedder says.
    pub embedding_usage: Usage,
    /// Answers that are kept at present, expired ones that nobody has asked for included.
    pub entries: usize,
    /// What they take, about, in bytes.
    pub bytes: usize,
}

/// What became of a request in the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CacheOutcome {
    Hit { similarity: f32 },
    Miss,
    Skipped(&'static str),
}

/// What all clones have in common.
pub(super) struct Shared {
    pub(super) embedder: BoxEmbedder,
    pub(super) shelf: Shelf,
    pub(super) flights: SingleFlight<Outcome>,
    exact_hits: AtomicU64,
    semantic_hits: AtomicU64,
    misses: AtomicU64,
    skipped: AtomicU64,
    guarded: AtomicU64,
    failures: AtomicU64,
    usage: Mutex<Usage>,
    /// Whether it was said that anonymous callers have no space.
    warned: AtomicBool,
}

impl SemanticCache {
    /// A cache with a threshold of 0.92, for 10,000 answers of up to an hour, and 256 MiB.
    pub fn new(embedder: impl Embedder) -> Self {
        let shared = Shared {
            embedder: BoxEmbedder::new(embedder),
            shelf: Shelf::default(),
            flights: SingleFlight::default(),
            exact_hits: AtomicU64::default(),
            semantic_hits: AtomicU64::default(),
            misses: AtomicU64::default(),
            skipped: AtomicU64::default(),
            guarded: AtomicU64::default(),
            failures: AtomicU64::default(),
            usage: Mutex::default(),
            warned: AtomicBool::default(),
        };
        Self {
            threshold: 0.92,
            ttl: Duration::from_secs(3_600),
            max_entries: 10_000,
            max_bytes: 256 << 20,
            max_answer: 256 << 10,
            max_question: 2_000,
            embed_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(30),
            guards: true,
            tool_answers: false,
            clock: Clock::system(),
            sharing: Sharing::Nobody,
            log: None,
            key_prefix: "semantic:".into(),
            tenant: Some(Tenant::Program),
            told: None,
            shared: Arc::new(shared),
        }
    }

    /// Sets how near an earlier question must be, as the cosine of the angle: above 0, up to 1.
    ///
    /// What is near differs from model to model; measure it with questions of your own.
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets how long an answer is kept.
    #[must_use]
    #[doc(alias = "expiry")]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how many answers are kept; the least recently used make room.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets how much all answers and vectors may take together, in bytes, about.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how large an answer may be to be kept, in bytes of JSON. 256 KiB.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sets how long a question may be to be compared by its meaning, in bytes. 2,000: models for
    /// embeddings read the beginning of a long text only, and longer ones would differ unseen.
    #[must_use]
    pub fn max_question(mut self, bytes: usize) -> Self {
        self.max_question = bytes;
        self
    }

    /// Sets how long is waited for an embedding. 2 s.
    #[must_use]
    pub fn embed_timeout(mut self, limit: Duration) -> Self {
        self.embed_timeout = limit;
        self
    }

    /// Sets how long a request waits for an equal one that is under way, before one of those that
    /// wait is asked in its place. 30 s. In all no request waits for others longer than twice that.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// Sets which callers share answers. It counts where there are callers: on routes, and with
    /// [`for_caller`](Self::for_caller).
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Keeps answers that came of tools as well. What the tools do is then not done for whoever is
    /// answered from the cache, and what they found out is as old as the answer.
    #[must_use]
    pub fn keep_tool_answers(mut self) -> Self {
        self.tool_answers = true;
        self
    }

    /// Compares by meaning alone. Questions that differ in a number or a negation will be answered
    /// alike: this is for measuring what the guards do.
    #[must_use]
    pub fn without_guards(mut self) -> Self {
        self.guards = false;
        self
    }

    /// Keeps answers in a store as well, for all processes that share it, and for the next start.
    ///
    /// Each process still searches its own memory, which is exact, and takes less time than a way to a server
    /// and back. Before it does, it reads what the others have added: two small values when there is
    /// nothing new. A hit of one process is then a hit of all, and of equal questions in all processes one is
    /// asked. When the store is away, each process goes on with what it has, and waits for the store no
    /// longer than a second.
    ///
    /// All who share a store and a [prefix](Self::key_prefix) must embed by the same model. The store holds
    /// questions and answers as they are; who may read it may read them. Any store will do, Memcached too.
    ///
    /// ```
    /// use ember::llm::SemanticCache;
    /// use ember::store::BoxStore;
    /// use ember::testing::NgramEmbedder;
    ///
    /// # fn main() -> ember::Result {
    /// // `redis://…`, or `sqlite://…` to find the answers again after a restart.
    /// let store = BoxStore::from_url("memory")?;
    /// let cache = SemanticCache::new(NgramEmbedder::new()).threshold(0.5).store(store);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn store(mut self, store: impl Into<BoxStore>) -> Self {
        self.log = Some(Arc::new(Log::new(store.into(), &self.key_prefix)));
        self
    }

    /// Sets what keys in the [store](Self::store) begin with: `semantic:`. Caches with another one share
    /// nothing.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into().into();
        match self.log.take() {
            Some(log) => self.store(log.store().clone()),
            None => self,
        }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The cache as one caller has it, by the id of whoever was authenticated; `None` for somebody
    /// unknown. Routes do this by themselves.
    #[must_use]
    pub fn for_caller(mut self, caller: Option<&str>) -> Self {
        self.tenant = match (self.sharing, caller) {
            (Sharing::Everyone, _) => Some(Tenant::Everyone),
            (_, Some(id)) => Some(Tenant::Caller(id.to_owned())),
            (Sharing::Anonymous, None) => Some(Tenant::Anonymous),
            (Sharing::Nobody, None) => None,
        };
        self
    }

    /// Forgets all answers, of all callers and clones.
    ///
    /// Where they are in a [store](Self::store), the other processes forget them with their next question
    /// after the store was told, which is begun here and not waited for. When it is away, it is told as soon
    /// as it is back; this process reads nothing from it until then.
    pub fn clear(&self) {
        match &self.log {
            Some(log) => log.clear(&self.shared.shelf),
            None => self.shared.shelf.clear(),
        }
    }

    /// What the cache has done so far, with all its clones.
    pub fn stats(&self) -> SemanticCacheStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shared = &self.shared;
        let (entries, bytes) = shared.shelf.size();
        SemanticCacheStats {
            exact_hits: count(&shared.exact_hits),
            semantic_hits: count(&shared.semantic_hits),
            misses: count(&shared.misses),
            skipped: count(&shared.skipped),
            guarded: count(&shared.guarded),
            embedding_failures: count(&shared.failures),
            embedding_usage: *shared.usage.lock().unwrap_or_else(PoisonError::into_inner),
            entries,
            bytes,
        }
    }

    /// What is wrong with the settings, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            let threshold = self.threshold;
            return Some(format!(
                "the threshold of a semantic cache is above 0 and at most 1, not {threshold}"
            ));
        }
        (self.max_entries == 0 || self.max_bytes == 0 || self.ttl.is_zero())
            .then(|| "a semantic cache without entries, bytes or time keeps nothing".to_owned())
    }

    /// Tells somebody what becomes of each request.
    pub(crate) fn watched(mut self, told: impl Fn(CacheOutcome) + Send + Sync + 'static) -> Self {
        self.told = Some(Arc::new(told));
        self
    }

    pub(super) fn count_hit(&self, similarity: Option<f32>) {
        let counter = match similarity {
            None => &self.shared.exact_hits,
            Some(_) => &self.shared.semantic_hits,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let similarity = similarity.map_or(1.0, |near| near.clamp(0.0, 1.0));
        tracing::debug!(similarity, "answered by the semantic cache");
        self.tell(CacheOutcome::Hit { similarity });
    }

    pub(super) fn missed(&self) {
        self.shared.misses.fetch_add(1, Ordering::Relaxed);
        self.tell(CacheOutcome::Miss);
    }

    pub(super) fn count_skipped(&self, why: &'static str) {
        self.shared.skipped.fetch_add(1, Ordering::Relaxed);
        if self.tenant.is_none() && !self.shared.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a semantic cache does nothing for callers that are not authenticated, unless `sharing` says that they share answers"
            );
        }
        self.tell(CacheOutcome::Skipped(why));
    }

    pub(super) fn count_guards(&self, guards: &[Guard]) {
        self.shared.guarded.fetch_add(guards.len() as u64, Ordering::Relaxed);
        for guard in guards {
            tracing::debug!(%guard, "a near question was kept apart");
        }
    }

    pub(super) fn count_failure(&self) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_usage(&self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            *self.shared.usage.lock().unwrap_or_else(PoisonError::into_inner) += usage;
        }
    }

    fn tell(&self, outcome: CacheOutcome) {
        if let Some(told) = &self.told {
            told(outcome);
        }
    }
}

impl fmt::Debug for SemanticCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemanticCache")
            .field("embedder", &self.shared.embedder.name())
            .field("threshold", &self.threshold)
            .field("ttl", &self.ttl)
            .field("sharing", &self.sharing)
            .field("store", &self.log.as_ref().map(|log| log.store()))
            .finish_non_exhaustive()
    }
}
