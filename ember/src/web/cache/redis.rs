use super::on_store::cache_on_store;
use super::{CacheEngine, CacheRules, CachedResponse, EngineId, Generation, StoreCache};
use crate::base::Error;
use crate::store::{Claims, RedisStore};
use crate::web::request::RequestParts;
use http::HeaderName;
use std::time::Duration;

/// How long a request waits for its cache before the handler runs instead.
const PATIENCE: Duration = Duration::from_millis(500);

/// Keeps answers in Redis, or Valkey, which many processes may share: a [`StoreCache`].
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cache::RedisCache;
///
/// #[get("/rates", cache = RedisCache::new("redis://localhost", secs(30)))]
/// async fn rates() -> &'static str {
///     "made by one process, given by all"
/// }
/// ```
///
/// The application connects when it starts, and closes the connection when it has stopped. If nobody
/// answers, it says so and starts without; an address that is none is told as a problem of the route. Clones are
/// the same cache with the same connection, so one that several routes have stands in a `static`:
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cache::RedisCache;
/// use std::sync::LazyLock;
///
/// static CACHE: LazyLock<RedisCache> =
///     LazyLock::new(|| RedisCache::new("redis://localhost", secs(30)).key_prefix("money:"));
///
/// #[get("/rates", cache = CACHE.clone())]
/// async fn rates() -> &'static str {
///     "1.08"
/// }
///
/// #[get("/fees", cache = CACHE.clone())]
/// async fn fees() -> &'static str {
///     "none"
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RedisCache {
    cache: StoreCache,
}

impl RedisCache {
    /// Keeps each answer for this time on the server that the address names: see [`RedisStore::new`].
    ///
    /// An application whose route has a cache with an address that is none does not start.
    pub fn new(url: impl AsRef<str>, ttl: Duration) -> Self {
        let cache = match RedisStore::new(url) {
            Ok(store) => StoreCache::new(store.timeout(PATIENCE), ttl),
            Err(error) => {
                let why = format!("a `RedisCache` cannot be used: {}", error.message());
                StoreCache::broken(why, ttl)
            }
        };
        Self { cache }
    }
}

cache_on_store!(RedisCache);
