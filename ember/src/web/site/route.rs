use crate::base::{Clock, Error};
use crate::web::body::Body;
use crate::web::cache::Cache;
use crate::web::catcher::Catchers;
use crate::web::handler::{Endpoint, HandlerFuture};
use crate::web::hook::EndpointHooks;
use crate::web::limits::RouteLimits;
use crate::web::middleware::BoxMiddleware;
use crate::web::panics::Guard;
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

    /// All that is within the middleware: hooks, cache, handler, and what becomes of an error. No panic comes out of it.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let (clock, mut limits) = (Clock::system(), self.limits);
        let (mut parts, body) = request.into_parts();
        if self.hooks.run_before() {
            let begun = limits.timeout.map(|_| clock.now());
            let outcome = limits.in_time(&clock, self.hooks.before(&mut parts)).await;
            if let Some(response) = outcome.unwrap_or_else(|late| Some(late.into_response())) {
                return self.finish(response, Some(&mut parts), &clock).await;
            }
            let passed = begun.map(|begun| clock.now().saturating_duration_since(begun));
            limits = limits.less(passed.unwrap_or_default());
        }
        // The handler consumes the request; a copy of its head is for those who look at it later.
        let mut later =
            (self.hooks.run_after() || self.catchers.look_at_request()).then(|| parts.clone());
        let run = |request| Guard::new("an answer", self.run(request), Error::into_response);
        let response = limits.enforce(Request::from_parts(parts, body), &clock, run).await;
        self.finish(response, later.as_mut(), &clock).await
    }

    /// The handler, or a cache in its place.
    async fn run(&self, request: Request) -> Response {
        let changes = request.changes();
        let run = |request| async move {
            let outcome = Guard::new("the handler", self.endpoint.call(request), Err).await;
            let response = outcome.unwrap_or_else(Error::into_response);
            // Here and not only later, so that the cache sees what belongs to one caller only.
            match changes {
                Some(changes) => changes.apply(response).await,
                None => response,
            }
        };
        match &self.cache {
            // On the heap: a route without a cache would have room for it all the same.
            Some(cache) => Box::pin(cache.answer(request, run)).await,
            None => run(request).await,
        }
    }

    /// Catchers and hooks, for whatever has come of a request.
    async fn finish(
        &self,
        response: Response,
        mut parts: Option<&mut RequestParts>,
        clock: &Clock,
    ) -> Response {
        let response = self.catch(response, parts.as_deref_mut(), clock).await;
        let Some(parts) = parts.filter(|_| self.hooks.run_after()) else {
            return response;
        };
        let outcome = self.limits.in_time(clock, self.hooks.after(response, parts)).await;
        // Hooks fail as well.
        self.catch(outcome.unwrap_or_else(Error::into_response), Some(parts), clock).await
    }

    async fn catch(
        &self,
        response: Response,
        parts: Option<&mut RequestParts>,
        clock: &Clock,
    ) -> Response {
        if !self.catchers.are_for(&response) {
            return response;
        }
        let outcome = self.limits.in_time(clock, self.catchers.catch(response, parts)).await;
        outcome.unwrap_or_else(Error::into_response)
    }
}
