use super::on_store::cache_on_store;
use super::{CacheEngine, CacheRules, CachedResponse, EngineId, Generation, StoreCache};
use crate::base::Error;
use crate::store::{Claims, MemcachedStore};
use crate::web::request::RequestParts;
use http::HeaderName;
use std::time::Duration;

/// How long a request waits for its cache before the handler runs instead.
const PATIENCE: Duration = Duration::from_millis(500);

/// Keeps answers in Memcached, which many processes may share: a [`StoreCache`].
///
/// The application connects when it starts, and closes the connections when it has stopped. If nobody
/// answers, it says so and starts without. Clones are the same cache with the same connections.
///
/// Memcached cannot list its keys, so that forgetting by a key or a prefix forgets all answers, and
/// each request asks twice.
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
    cache: StoreCache,
}

impl MemcachedCache {
    /// Keeps each answer for this time, at least a second, over at most eight connections.
    pub fn new(host: impl Into<String>, port: u16, ttl: Duration) -> Self {
        let store = MemcachedStore::new(host, port).timeout(PATIENCE);
        let cache = StoreCache::new(store.clone(), ttl);
        Self { store, cache }
    }

    /// Sets how many connections there are at most.
    #[must_use]
    pub fn pool_size(self, connections: usize) -> Self {
        let store = self.store.pool_size(connections);
        Self { cache: self.cache.moved(store.clone()), store }
    }
}

cache_on_store!(MemcachedCache);
