use crate::base::{Error, Finding};
use crate::web::cache::EngineCache;
use crate::web::router::Settled;
use futures_util::future::join_all;
use std::time::Duration;

/// How long a cache may take to connect, or to close, before the application goes on without.
const LIMIT: Duration = Duration::from_secs(5);

/// The engines of all routes' caches: each once, however many routes have it.
pub(crate) struct SharedCaches(Vec<SharedCache>);

/// An engine, and the routes that have it.
struct SharedCache {
    engine: EngineCache,
    routes: Vec<String>,
}

impl SharedCaches {
    pub(super) fn of<'a>(routes: impl Iterator<Item = &'a Settled>) -> Self {
        let mut caches: Vec<SharedCache> = Vec::new();
        for route in routes {
            let Some(engine) = route.options.cache.as_ref().and_then(|cache| cache.engine()) else {
                continue;
            };
            match caches.iter_mut().find(|cache| cache.engine.id() == engine.id()) {
                Some(cache) => cache.routes.push(route.to_string()),
                None => {
                    let routes = vec![route.to_string()];
                    caches.push(SharedCache { engine: engine.clone(), routes });
                }
            }
        }
        Self(caches)
    }

    /// What is wrong with how they were set up, with the routes that have them.
    pub(super) fn check(&self) -> impl Iterator<Item = Finding> {
        self.0.iter().filter_map(|cache| {
            let error = cache.engine.check().err()?;
            let finding = Finding::new(error.message().to_owned());
            Some(cache.routes.iter().fold(finding, Finding::at))
        })
    }

    /// Connects all of them, and says of each what answered, or why nobody did.
    pub(crate) async fn start(&self) -> Vec<String> {
        join_all(self.0.iter().map(SharedCache::start)).await.into_iter().flatten().collect()
    }

    /// Closes all of them.
    pub(crate) async fn stop(&self) {
        join_all(self.0.iter().map(SharedCache::stop)).await;
    }
}

impl SharedCache {
    async fn start(&self) -> Option<String> {
        let answered = match tokio::time::timeout(LIMIT, self.engine.start()).await {
            Ok(answered) => answered,
            Err(_) => Err(Error::unavailable(format!("no answer within {LIMIT:?}"))),
        };
        let error = match answered {
            Ok(answered) => return answered,
            Err(error) => error,
        };
        // Whoever starts it is the operator, and wants the reason more than the sentence for clients.
        let reasons: Vec<_> = error.chain().map(ToString::to_string).collect();
        let (name, reasons, routes) =
            (self.engine.id(), reasons.join(": "), self.routes.join(", "));
        tracing::warn!(
            cache = %name, routes, error = reasons,
            "a cache cannot be reached; handlers run without it until it can"
        );
        Some(format!("{name} cannot be reached: {reasons}; handlers run without it: {routes}"))
    }

    async fn stop(&self) {
        if tokio::time::timeout(LIMIT, self.engine.stop()).await.is_err() {
            tracing::warn!(cache = %self.engine.id(), "a cache was not closed in time");
        }
    }
}
