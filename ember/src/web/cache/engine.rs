use super::flight::{Flights, Landing, Role};
use super::kept::CachedResponse;
use super::rules::CacheRules;
use crate::web::request::Request;
use crate::web::response::Response;
use http::Method;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Keeps answers under keys.
///
/// What may be kept, under which key, and that one answer is made once however many wait for it,
/// is not the engine's business. An engine that is away keeps nothing and finds nothing: it never
/// makes a request fail.
pub trait CacheEngine: Send + Sync + 'static {
    /// Returns what is kept under a key and has not expired.
    fn get(&self, key: &str) -> impl Future<Output = Option<CachedResponse>> + Send;

    /// Keeps an answer.
    fn put(&self, key: &str, response: CachedResponse) -> impl Future<Output = ()> + Send;

    /// Forgets what is kept under all keys that begin like this.
    fn invalidate_prefix(&self, prefix: &str) -> impl Future<Output = ()> + Send;

    /// Forgets what is kept under a key, which is a path with its query unless the rules say otherwise.
    fn invalidate(&self, key: &str) -> impl Future<Output = ()> + Send {
        // The variants of a key stand on lines of their own behind it.
        async move { self.invalidate_prefix(&format!("{key}\n")).await }
    }

    /// Under which key an answer is kept, and by which headers it differs.
    fn rules(&self) -> CacheRules {
        CacheRules::new()
    }
}

/// An engine with the rules, and the answers that are being made.
#[derive(Clone)]
pub(super) struct EngineCache {
    engine: Arc<dyn BoxedEngine>,
    rules: CacheRules,
    flights: Flights,
}

impl EngineCache {
    pub(super) fn new(engine: impl CacheEngine) -> Self {
        let rules = engine.rules();
        Self { engine: Arc::new(engine), rules, flights: Flights::default() }
    }

    /// Answers from the engine, or runs the handler and keeps its answer.
    pub(super) async fn answer<F>(
        &self,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let Some(key) = self.rules.key_of(&request) else {
            return run(request).await;
        };
        loop {
            if let Some(kept) = self.engine.get(&key).await {
                return kept.to_response();
            }
            // An answer to HEAD has no body that a GET could be given.
            if request.method() == Method::HEAD {
                return run(request).await;
            }
            match self.flights.join(&key) {
                Role::Leader(flight) => {
                    let response = run(request).await;
                    if !self.rules.may_keep(&response) {
                        flight.land(Landing::NotKept);
                        return response;
                    }
                    return match CachedResponse::of(response).await {
                        Ok((kept, response)) => {
                            self.engine.put(&key, kept.clone()).await;
                            flight.land(Landing::Kept(kept));
                            response
                        }
                        Err(broken) => {
                            flight.land(Landing::NotKept);
                            broken
                        }
                    };
                }
                Role::Follower(mut landing) => {
                    let landed = landing.wait_for(|now| !matches!(now, Landing::UnderWay)).await;
                    match landed.map(|landed| Landing::clone(&landed)) {
                        Ok(Landing::Kept(kept)) => return kept.to_response(),
                        // Nobody can share such answers, so nobody waits for the next one.
                        Ok(_) => return run(request).await,
                        // Whoever made it has gone away: somebody else makes it.
                        Err(_) => {}
                    }
                }
            }
        }
    }
}

/// The boxed twin of [`CacheEngine`], as far as requests need it.
trait BoxedEngine: Send + Sync {
    fn get<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<CachedResponse>> + Send + 'a>>;
    fn put<'a>(
        &'a self,
        key: &'a str,
        response: CachedResponse,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl<E: CacheEngine> BoxedEngine for E {
    fn get<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<CachedResponse>> + Send + 'a>> {
        Box::pin(CacheEngine::get(self, key))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        response: CachedResponse,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(CacheEngine::put(self, key, response))
    }
}
