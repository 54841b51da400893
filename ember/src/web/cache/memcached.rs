use super::{CacheEngine, CacheRules, CachedResponse, StoreCache};
use crate::store::MemcachedStore;
use std::time::Duration;

/// How long a request waits for its cache before the handler runs instead.
const PATIENCE: Duration = Duration::from_millis(500);

/// Keeps answers in Memcached, which many processes may share.
///
/// It connects with the first request. Clones are the same cache with the same connections.
/// Memcached cannot list its keys, so that forgetting by a key or a prefix forgets all answers, and
/// each request asks twice. Rules of its own, as other caches have, it gets by
/// [`StoreCache`] with a [`MemcachedStore`].
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cache::MemcachedCache;
///
/// #[get("/rates", cache = MemcachedCache::new("localhost", 11211, secs(30)).pool_size(4))]
/// async fn rates() -> &'static str {
///     "made by one process, given by all"
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MemcachedCache {
    store: MemcachedStore,
    ttl: Duration,
    cache: StoreCache,
}

impl MemcachedCache {
    /// Keeps each answer for this time, at least a second, over at most eight connections.
    pub fn new(host: impl Into<String>, port: u16, ttl: Duration) -> Self {
        Self::with(MemcachedStore::new(host, port).timeout(PATIENCE), ttl)
    }

    /// Sets how many connections there are at most.
    #[must_use]
    pub fn pool_size(self, connections: usize) -> Self {
        Self::with(self.store.pool_size(connections), self.ttl)
    }

    fn with(store: MemcachedStore, ttl: Duration) -> Self {
        let cache = StoreCache::new(store.clone(), ttl);
        Self { store, ttl, cache }
    }
}

impl CacheEngine for MemcachedCache {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        self.cache.get(key).await
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        self.cache.put(key, response).await;
    }

    async fn invalidate_prefix(&self, prefix: &str) {
        self.cache.invalidate_prefix(prefix).await;
    }

    fn rules(&self) -> CacheRules {
        self.cache.rules()
    }
}
