use super::guard::Guard;
use crate::base::{Clock, Error};
use crate::web::body::Body;
use crate::web::cache::Cache;
use crate::web::catcher::Catchers;
use crate::web::handler::{Endpoint, HandlerFuture};
use crate::web::hook::EndpointHooks;
use crate::web::limits::RouteLimits;
use crate::web::middleware::BoxMiddleware;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{IntoResponse as _, Response};
use http_body::Body as _;

/// A route as requests are answered by it: the handler, and what stands around it.
pub(super) struct SiteRoute {
    pub(super) endpoint: Endpoint,
    pub(super) cache: Option<Cache>,
    /// All on the way to the handler, that of the application first.
    pub(super) middleware: Vec<BoxMiddleware>,
    pub(super) hooks: EndpointHooks,
    pub(super) catchers: Catchers,
    pub(super) limits: RouteLimits,
    /// Extractors on the way change the response.
    pub(super) touches_response: bool,
}

impl SiteRoute {
    /// Tells whether nothing but the handler is involved.
    pub(super) fn is_plain(&self) -> bool {
        self.cache.is_none()
            && self.middleware.is_empty()
            && self.hooks.is_empty()
            && self.catchers.is_empty()
            && self.limits.timeout.is_none()
            && !self.touches_response
    }

    /// An answer that is there before anything runs.
    #[inline]
    pub(super) fn kept(&self, head: &mut http::request::Parts, body: &Body) -> Option<Response> {
        let cache = self.cache.as_ref()?.fixed()?;
        // The answer to a request with a body may depend on it.
        if body.is_end_stream() { cache.hit(head) } else { None }
    }

    /// Calls a handler that takes nothing of a request, if nothing else is involved.
    #[inline]
    pub(super) fn call_without_request(&self) -> Option<HandlerFuture> {
        self.endpoint.takes_nothing().filter(|_| self.is_plain()).map(|handler| handler())
    }

    /// All that is within the middleware, in the time that the route has.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let run = |request| self.answer_in_time(request);
        self.limits.enforce(request, &Clock::system(), run).await
    }

    /// Hooks, cache, handler; and what becomes of an error.
    async fn answer_in_time(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        if let Some(response) = self.hooks.before(&mut parts).await {
            return self.finish(response, Some(&mut parts)).await;
        }
        // The handler consumes the request; a copy of its head is for those who look at it later.
        let mut later =
            (self.hooks.run_after() || self.catchers.look_at_request()).then(|| parts.clone());
        let changes = parts.changes();
        let run = |request| async move {
            let outcome = Guard(self.endpoint.call(request)).await;
            let response = outcome.unwrap_or_else(Error::into_response);
            // Here and not only later, so that the cache sees what belongs to one caller only.
            match changes {
                Some(changes) => changes.apply(response).await,
                None => response,
            }
        };
        let request = Request::from_parts(parts, body);
        let response = match &self.cache {
            // On the heap: a route without a cache would have room for it all the same.
            Some(cache) => Box::pin(cache.answer(request, run)).await,
            None => run(request).await,
        };
        self.finish(response, later.as_mut()).await
    }

    async fn finish(&self, response: Response, mut parts: Option<&mut RequestParts>) -> Response {
        let response = self.catchers.catch(response, parts.as_deref_mut()).await;
        match parts {
            Some(parts) => self.hooks.after(response, parts).await,
            None => response,
        }
    }
}
