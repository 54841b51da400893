use super::{CacheEngine, CacheRules, CachedResponse, StoreCache};
use crate::base::Error;
use crate::store::RedisStore;
use crate::web::request::RequestParts;
use http::HeaderName;
use std::time::Duration;

/// How long a request waits for its cache before the handler runs instead.
const PATIENCE: Duration = Duration::from_millis(500);

/// Keeps answers in Redis, or Valkey, which many processes may share.
///
/// It connects with the first request. Clones are the same cache with the same connection, so one
/// that several routes have stands in a `static`:
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cache::RedisCache;
/// use std::sync::LazyLock;
///
/// static CACHE: LazyLock<RedisCache> = LazyLock::new(|| {
///     RedisCache::new("redis://localhost", secs(30)).expect("an address of Redis")
/// });
///
/// #[get("/rates", cache = CACHE.clone())]
/// async fn rates() -> &'static str {
///     "made by one process, given by all"
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RedisCache(StoreCache);

impl RedisCache {
    /// Keeps each answer for this time on the server that the address names: see [`RedisStore::new`].
    ///
    /// # Errors
    /// When it is no address of Redis.
    pub fn new(url: impl AsRef<str>, ttl: Duration) -> Result<Self, Error> {
        let store = RedisStore::new(url)?.timeout(PATIENCE);
        Ok(Self(StoreCache::new(store, ttl)))
    }

    /// Sets what the keys begin with, after `ember:v:`; `cache:` unless it is told otherwise.
    #[must_use]
    pub fn key_prefix(self, prefix: impl Into<String>) -> Self {
        Self(self.0.key_prefix(prefix))
    }

    /// Keeps an answer for each value of these request headers.
    #[must_use]
    #[doc(alias = "vary")]
    pub fn vary_headers(self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(self.0.vary(headers))
    }

    /// Sets how large an answer may be to be kept: see [`StoreCache::max_size`].
    #[must_use]
    pub fn max_size(self, bytes: usize) -> Self {
        Self(self.0.max_size(bytes))
    }

    /// Keeps answers under a key of their own; see [`CacheRules::key`].
    #[must_use]
    #[doc(alias = "key")]
    pub fn key_fn(
        self,
        key: impl Fn(&RequestParts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(self.0.key(key))
    }
}

impl CacheEngine for RedisCache {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        self.0.get(key).await
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        self.0.put(key, response).await;
    }

    async fn invalidate_prefix(&self, prefix: &str) {
        self.0.invalidate_prefix(prefix).await;
    }

    fn rules(&self) -> CacheRules {
        self.0.rules()
    }
}
