//! Answers that are kept, so that the handler need not run again.
//!
//! A [`CacheEngine`] keeps; the rules of what may be kept stand here and hold for every engine.
//! What belongs to one caller is never kept, unless the key says whose it is, and neither is the
//! answer to a request with a body. [`StaticCache`] is no engine: it answers before anything else runs.

mod kept;
mod generation;
mod rules;
mod engine;
mod ttl;
mod fixed;
mod store_cache;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod on_store;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "memcached")]
mod memcached;

pub(crate) use engine::EngineCache;
pub use engine::{CacheEngine, EngineId};
pub use fixed::StaticCache;
pub use generation::Generation;
pub use kept::CachedResponse;
#[cfg(feature = "memcached")]
pub use memcached::MemcachedCache;
#[cfg(feature = "redis")]
pub use redis::RedisCache;
pub use rules::CacheRules;
pub use store_cache::StoreCache;
pub use ttl::TtlCache;

use super::request::Request;
use super::response::Response;
use std::fmt;
use std::future::Future;

/// A cache whose type is forgotten: routes with different ones stand in one table.
#[derive(Clone)]
pub struct Cache(Kind);

#[derive(Clone)]
enum Kind {
    Static(StaticCache),
    Engine(EngineCache),
}

impl From<StaticCache> for Cache {
    fn from(cache: StaticCache) -> Self {
        Self(Kind::Static(cache))
    }
}

impl<E: CacheEngine> From<E> for Cache {
    fn from(engine: E) -> Self {
        Self(Kind::Engine(EngineCache::new(engine)))
    }
}

impl Cache {
    /// The cache that answers before anything else, if it is one.
    pub(crate) fn fixed(&self) -> Option<&StaticCache> {
        match &self.0 {
            Kind::Static(cache) => Some(cache),
            Kind::Engine(_) => None,
        }
    }

    /// The engine, if it has one.
    pub(crate) fn engine(&self) -> Option<&EngineCache> {
        match &self.0 {
            Kind::Static(_) => None,
            Kind::Engine(cache) => Some(cache),
        }
    }

    /// Answers from the cache, or runs the handler and keeps its answer.
    pub(crate) async fn answer<F>(
        &self,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        // The handler may read the body, which is no part of the key (RFC 9110 §9.3.1: it has no meaning that
        // whoever stands in between could know of).
        if request.has_body() {
            return run(request).await;
        }
        match &self.0 {
            Kind::Static(cache) => cache.keep(request, run).await,
            Kind::Engine(cache) => cache.answer(request, run).await,
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}
