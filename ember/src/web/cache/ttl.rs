use super::generation::Generations;
use super::{CacheEngine, CacheRules, CachedResponse, Generation};
use crate::base::Clock;
use crate::store::BoundedMap;
use crate::web::request::RequestParts;
use http::HeaderName;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps answers in memory for a time.
///
/// Many requests for an answer that is not there wait for one run of the handler.
///
/// ```
/// use ember::prelude::*;
///
/// #[get("/rates", cache = TtlCache::new(secs(30)))]
/// async fn rates() -> String {
///     "computed at most every thirty seconds".into()
/// }
/// ```
///
/// A clone keeps the same answers, so that a handler can forget one:
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cache::CacheEngine as _;
/// use std::sync::LazyLock;
///
/// static TASKS: LazyLock<TtlCache> = LazyLock::new(|| TtlCache::new(secs(30)));
///
/// #[get("/tasks/{id}", cache = TASKS.clone())]
/// async fn task(id: u64) -> String {
///     format!("task {id}")
/// }
///
/// #[put("/tasks/{id}")]
/// async fn change(id: u64, _text: String) -> StatusCode {
///     TASKS.invalidate(&format!("/tasks/{id}")).await;
///     StatusCode::NO_CONTENT
/// }
/// ```
#[derive(Clone)]
#[doc(alias = "TTLCache")]
pub struct TtlCache {
    ttl: Duration,
    clock: Clock,
    rules: CacheRules,
    max_entries: usize,
    max_bytes: u64,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    entries: BoundedMap<CachedResponse>,
    generations: Generations,
}

impl TtlCache {
    /// How many bytes all answers together have at most where nothing else is said: 64 MiB.
    pub const DEFAULT_MAX_BYTES: u64 = 64 << 20;

    /// Keeps at most 1,024 answers of [`TtlCache::DEFAULT_MAX_BYTES`] together, each for this time.
    pub fn new(ttl: Duration) -> Self {
        let (max_entries, max_bytes) = (1024, Self::DEFAULT_MAX_BYTES);
        Self {
            ttl,
            clock: Clock::system(),
            rules: CacheRules::new(),
            max_entries,
            max_bytes,
            kept: room(max_entries, max_bytes),
        }
    }

    /// Sets how many answers are kept, of at most 1 MiB each; the oldest make room for new ones.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self.kept = room(entries, self.max_bytes);
        self
    }

    /// Sets how many bytes all answers together may have, keys and headers included.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self.kept = room(self.max_entries, bytes);
        self
    }

    /// Keeps answers under a key of their own; see [`CacheRules::key`].
    #[must_use]
    pub fn key(
        mut self,
        key: impl Fn(&RequestParts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.rules = self.rules.key(key);
        self
    }

    /// Keeps an answer for each value of these request headers.
    #[must_use]
    pub fn vary(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.rules = self.rules.vary(headers);
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn insert(&self, kept: &mut Kept, key: &str, response: CachedResponse) {
        let (now, expires) = (self.clock.now(), self.clock.after(self.ttl));
        let weight = key.len() as u64 + response.weight();
        kept.entries.insert_weighed(key, response, weight, expires, now);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room(entries: usize, bytes: u64) -> Arc<Mutex<Kept>> {
    let entries = BoundedMap::new(entries).max_weight(bytes);
    Arc::new(Mutex::new(Kept { entries, generations: Generations::new() }))
}

impl CacheEngine for TtlCache {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        self.kept().entries.get(key, self.clock.now()).cloned()
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        self.insert(&mut self.kept(), key, response);
    }

    async fn generation(&self, key: &str) -> Option<Generation> {
        Some(self.kept().generations.of(key))
    }

    async fn put_in(&self, generation: Option<Generation>, key: &str, response: CachedResponse) {
        let mut kept = self.kept();
        if generation == Some(kept.generations.of(key)) {
            self.insert(&mut kept, key, response);
        }
    }

    async fn invalidate_prefix(&self, prefix: &str) {
        let mut kept = self.kept();
        kept.generations.end_all();
        kept.entries.remove_prefix(prefix);
    }

    async fn invalidate(&self, key: &str) {
        let mut kept = self.kept();
        kept.generations.end(key);
        kept.entries.remove_prefix(&format!("{key}\n"));
    }

    fn rules(&self) -> CacheRules {
        self.rules.clone()
    }
}

impl fmt::Debug for TtlCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TtlCache")
            .field("ttl", &self.ttl)
            .field("rules", &self.rules)
            .field("entries", &self.kept().entries.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use http::{HeaderMap, StatusCode};

    fn answer(text: &'static str) -> CachedResponse {
        CachedResponse::new(StatusCode::OK, HeaderMap::new(), text)
    }

    #[tokio::test]
    async fn answers_expire() {
        let hands = ManualClock::new();
        let cache = TtlCache::new(secs(30)).clock(hands.clock());
        cache.put("/a\n", answer("1")).await;
        hands.advance(secs(29));
        assert_eq!(cache.get("/a\n").await.unwrap().body(), "1");
        hands.advance(secs(1));
        assert!(cache.get("/a\n").await.is_none());
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let cache = TtlCache::new(secs(30)).max_entries(2);
        for key in ["/a\n", "/b\n", "/a\n", "/c\n"] {
            cache.put(key, answer("x")).await;
        }
        assert!(cache.get("/b\n").await.is_none());
        assert!(cache.get("/a\n").await.is_some() && cache.get("/c\n").await.is_some());
    }

    #[tokio::test]
    async fn all_answers_together_are_bounded() {
        let cache = TtlCache::new(secs(30)).max_bytes(40);
        for key in ["/a\n", "/b\n"] {
            cache.put(key, answer("twenty-two bytes, this")).await;
        }
        assert!(cache.get("/a\n").await.is_none() && cache.get("/b\n").await.is_some());
    }

    #[tokio::test]
    async fn what_was_begun_before_it_was_forgotten_is_not_kept() {
        let cache = TtlCache::new(Duration::MAX);
        let (a, b) = (cache.generation("/a\nx").await, cache.generation("/b\nx").await);
        cache.invalidate("/a").await;
        cache.put_in(a, "/a\nx", answer("old")).await;
        assert!(cache.get("/a\nx").await.is_none());
        cache.put_in(b.clone(), "/b\nx", answer("of another key")).await;
        assert!(cache.get("/b\nx").await.is_some());
        cache.invalidate_prefix("/").await;
        cache.put_in(b, "/b\nx", answer("old")).await;
        assert!(cache.get("/b\nx").await.is_none());
    }

    #[tokio::test]
    async fn a_key_is_forgotten_with_its_variants_and_a_prefix_with_all_below() {
        let cache = TtlCache::new(Duration::MAX);
        for key in ["/a\nx", "/a\ny", "/a/b\nx", "/c\nx"] {
            cache.put(key, answer("x")).await;
        }
        cache.invalidate("/a").await;
        assert!(cache.get("/a\nx").await.is_none() && cache.get("/a\ny").await.is_none());
        assert!(cache.get("/a/b\nx").await.is_some());
        cache.invalidate_prefix("/a").await;
        assert!(cache.get("/a/b\nx").await.is_none() && cache.get("/c\nx").await.is_some());
    }
}
