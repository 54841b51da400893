use super::{CacheEngine, CachedResponse};
use crate::base::Clock;
use crate::store::BoundedMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps answers in memory for a time.
///
/// ```
/// use ember::prelude::*;
///
/// #[get("/rates", cache = TtlCache::new(secs(30)))]
/// async fn rates() -> String {
///     "computed at most every thirty seconds".into()
/// }
/// ```
pub struct TtlCache {
    ttl: Duration,
    clock: Clock,
    entries: Mutex<BoundedMap<CachedResponse>>,
}

impl TtlCache {
    /// Keeps at most 1,024 answers, each for this time.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, clock: Clock::system(), entries: Mutex::new(BoundedMap::new(1024)) }
    }

    /// Sets how many answers are kept; the oldest make room for new ones.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.entries = Mutex::new(BoundedMap::new(entries));
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn entries(&self) -> MutexGuard<'_, BoundedMap<CachedResponse>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheEngine for TtlCache {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        self.entries().get(key, self.clock.now()).cloned()
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        let now = self.clock.now();
        self.entries().insert(key, response, now + self.ttl, now);
    }

    async fn invalidate(&self, key: &str) {
        self.entries().remove(key);
    }
}

impl fmt::Debug for TtlCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TtlCache")
            .field("ttl", &self.ttl)
            .field("entries", &self.entries().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn answer(text: &'static str) -> CachedResponse {
        CachedResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from_static(text.as_bytes()),
        }
    }

    #[tokio::test]
    async fn answers_expire() {
        let hands = ManualClock::new();
        let cache = TtlCache::new(secs(30)).clock(hands.clock());
        cache.put("/a", answer("1")).await;
        hands.advance(secs(29));
        assert_eq!(cache.get("/a").await.unwrap().body, "1");
        hands.advance(secs(1));
        assert!(cache.get("/a").await.is_none());
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let cache = TtlCache::new(secs(30)).max_entries(2);
        for key in ["/a", "/b", "/a", "/c"] {
            cache.put(key, answer("x")).await;
        }
        assert!(cache.get("/b").await.is_none());
        assert!(cache.get("/a").await.is_some() && cache.get("/c").await.is_some());
        cache.invalidate("/a").await;
        assert!(cache.get("/a").await.is_none());
    }
}
