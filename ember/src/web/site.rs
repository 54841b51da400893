//! The routes, components and middleware of one application, put together at start-up.

use super::body::Body;
use super::components::{Components, Need};
use super::handler::{Endpoint, HandlerFuture};
use super::middleware::{BoxMiddleware, Next, Terminus};
use super::request::{Match, Request, RequestParts};
use super::response::{IntoResponse, Redirect, Response, ResponseError};
use super::router::{Leaf, Route, TrailingSlash, Tree};
use super::state::{AppState, RouteEntry};
use crate::base::{Error, ErrorKind, Finding};
use crate::web::cache::Cache;
use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode, Uri};
use http_body::Body as _;
use std::fmt;
use std::future::Future;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What a site is made of, before it is checked.
#[derive(Debug, Default)]
pub(crate) struct SiteBuilder {
    pub(crate) routes: Vec<Route>,
    pub(crate) components: Components,
    pub(crate) middleware: Vec<BoxMiddleware>,
    pub(crate) trailing_slash: TrailingSlash,
    pub(crate) max_body_size: u64,
}

/// An application that is ready to answer: immutable, and shared by all workers.
#[derive(Clone)]
pub struct Site {
    table: Arc<Table>,
    state: Arc<AppState>,
}

/// What requests are answered by.
struct Table {
    tree: Tree,
    endpoints: Vec<SiteRoute>,
    middleware: Vec<BoxMiddleware>,
    trailing_slash: TrailingSlash,
    max_body_size: u64,
}

struct SiteRoute {
    endpoint: Endpoint,
    cache: Option<Cache>,
    /// Extractors of the route change its response.
    touches_response: bool,
}

impl SiteRoute {
    /// Tells whether nothing but the handler is involved.
    fn is_plain(&self) -> bool {
        self.cache.is_none() && !self.touches_response
    }

    async fn answer(&self, mut request: Request) -> Response {
        let changes = self.touches_response.then(|| request.share_changes());
        let run = |request| Caught(self.endpoint.call(request));
        let mut response = match &self.cache {
            Some(cache) => cache.answer(request, run).await,
            None => run(request).await,
        };
        if let Some(changes) = changes {
            changes.apply(&mut response);
        }
        response
    }
}

impl SiteBuilder {
    /// Puts the site together, and says everything that is wrong with it.
    pub(crate) fn build(self, findings: &mut Vec<Finding>) -> Site {
        let tree = self.tree(findings);
        self.check_needs(findings);
        let entries = self.routes.iter().map(entry).collect();
        let endpoints = self.routes.into_iter().map(|route| SiteRoute {
            endpoint: route.endpoint,
            cache: route.options.cache,
            touches_response: route.operation.response_is_touched(),
        });
        let table = Table {
            tree,
            endpoints: endpoints.collect(),
            middleware: self.middleware,
            trailing_slash: self.trailing_slash,
            max_body_size: self.max_body_size,
        };
        Site {
            table: Arc::new(table),
            state: Arc::new(AppState { components: self.components, routes: entries }),
        }
    }

    fn tree(&self, findings: &mut Vec<Finding>) -> Tree {
        let mut tree = Tree::default();
        for (index, route) in (0..).zip(&self.routes) {
            let path = match route.parsed_path() {
                Ok(path) => path,
                Err(error) => {
                    findings.push(Finding::new(error.to_string()).at(route));
                    continue;
                }
            };
            let twin = path.slash_twin().filter(|_| self.trailing_slash == TrailingSlash::Clone);
            for method in &route.methods {
                if let Err(earlier) = tree.insert(&path, method, index) {
                    let address = format!("two routes answer to {method} {}", path.shape());
                    findings
                        .push(Finding::new(address).at(&self.routes[earlier as usize]).at(route));
                }
                if let Some(twin) = &twin {
                    // A twin gives way to a route that has that path of its own.
                    let _ = tree.insert(twin, method, index);
                }
            }
        }
        tree
    }

    fn check_needs(&self, findings: &mut Vec<Finding>) {
        let mut missing: Vec<Need> = Vec::new();
        for need in self.routes.iter().flat_map(Route::needs) {
            if !self.components.meets(need) && !missing.contains(&need) {
                missing.push(need);
            }
        }
        for need in missing {
            let message = format!(
                "no component of type `{0}` is provided; add `.component(…)` with a `{0}` to the application",
                need.type_name()
            );
            let needing =
                self.routes.iter().filter(|route| route.needs().any(|other| other == need));
            findings.push(needing.fold(Finding::new(message), |finding, route| finding.at(route)));
        }
    }
}

fn entry(route: &Route) -> RouteEntry {
    let path = route.parsed_path();
    RouteEntry {
        methods: route.methods.clone(),
        path: route.path.clone(),
        parameters: path.iter().flat_map(|path| path.parameters()).map(str::to_owned).collect(),
        name: route.name.clone(),
        location: route.location,
        docs: route.docs.clone(),
        operation: route.operation.clone(),
        notes: route.options.notes.clone(),
        extensions: route.options.extensions.clone(),
    }
}

impl Site {
    /// What requests may know of the application.
    pub fn state(&self) -> &Arc<AppState> {
        &self.state
    }

    /// A copy whose reference counts are its own, so that workers do not contend for them.
    #[cfg(feature = "server")]
    pub(crate) fn own_copy(&self) -> Self {
        Self { table: self.table.clone(), state: Arc::new(AppState::clone(&self.state)) }
    }

    /// Answers a request. `remote` is the address of the peer, where there is one.
    pub fn answer(
        self: &Arc<Self>,
        request: http::Request<Body>,
        remote: Option<SocketAddr>,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let (target, matched) = self.find(&head.method, &head.uri);
        let route = matched.route;
        let body = body.limit(self.table.max_body_size);
        let request =
            Request::from_parts(RequestParts::new(head, self.state.clone(), matched, remote), body);
        let work = match target {
            _ if !self.table.middleware.is_empty() => self.layered(request, target),
            Target::Route(index) => match &self.table.endpoints[index as usize] {
                route if route.is_plain() => Work::Handler(route.endpoint.call(request)),
                _ => self.layered(request, target),
            },
            fixed => Work::Done(fixed.respond()),
        };
        Answer { work, is_head, route, state: self.state.clone() }
    }

    /// The long way, for requests with middleware or a cache around their handler.
    fn layered(self: &Arc<Self>, request: Request, target: Target) -> Work {
        let next = Next::new(Arc::new(End { site: self.clone(), target }));
        Work::Layered(Box::pin(next.run(request)))
    }

    fn find(&self, method: &Method, uri: &Uri) -> (Target, Match) {
        let Some((leaf, matched)) = self.table.tree.find(uri.path()) else {
            return (self.elsewhere(uri), Match::default());
        };
        let route = leaf.route(method).or_else(|| match *method {
            Method::HEAD => leaf.route(&Method::GET),
            _ => None,
        });
        match route {
            Some(route) => (Target::Route(route), Match { route: Some(route), ..matched }),
            None if method == Method::OPTIONS => (Target::Options(allow(leaf)), Match::default()),
            None => (Target::MethodNotAllowed(allow(leaf)), Match::default()),
        }
    }

    /// A path that leads nowhere: perhaps the same one with or without a slash at its end does.
    fn elsewhere(&self, uri: &Uri) -> Target {
        let path = uri.path();
        if self.table.trailing_slash != TrailingSlash::Redirect || path.starts_with("//") {
            return Target::NotFound;
        }
        let twin = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        match self.table.tree.find(&twin) {
            Some(_) => Target::Redirect(
                uri.query().map_or(twin.clone(), |query| format!("{twin}?{query}")),
            ),
            None => Target::NotFound,
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Where a request leads: to a route, or to an answer that needs no handler.
#[derive(Clone)]
enum Target {
    Route(u32),
    NotFound,
    MethodNotAllowed(HeaderValue),
    Options(HeaderValue),
    Redirect(String),
}

impl Target {
    /// The answer that needs no handler.
    fn respond(self) -> Response {
        match self {
            // A route answers by its handler; there is nothing to say without it.
            Self::Route(_) | Self::NotFound => refuse(ErrorKind::NotFound),
            Self::MethodNotAllowed(allow) => {
                ([(ALLOW, allow)], refuse(ErrorKind::MethodNotAllowed)).into_response()
            }
            Self::Options(allow) => (StatusCode::NO_CONTENT, [(ALLOW, allow)], ()).into_response(),
            Self::Redirect(address) => Redirect::permanent(address).into_response(),
        }
    }
}

fn refuse(kind: ErrorKind) -> Response {
    Error::new(kind, kind.sentence()).into_response()
}

fn allow(leaf: &Leaf) -> HeaderValue {
    let methods: Vec<_> = leaf.allowed().into_iter().map(Method::as_str).collect();
    // The name of a method is always a header value.
    HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// What stands behind the last middleware.
struct End {
    site: Arc<Site>,
    target: Target,
}

impl Terminus for End {
    fn middleware(&self) -> &[BoxMiddleware] {
        &self.site.table.middleware
    }

    fn answer(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            match self.target {
                Target::Route(index) => {
                    self.site.table.endpoints[index as usize].answer(request).await
                }
                _ => self.target.clone().respond(),
            }
        })
    }
}

/// An answer on its way. Whatever a handler does, it ends in a response: an error becomes a
/// problem document, a panic a 500.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Answer {
    work: Work,
    is_head: bool,
    route: Option<u32>,
    state: Arc<AppState>,
}

enum Work {
    Done(Response),
    /// The short way: the handler and nothing around it.
    Handler(HandlerFuture),
    Layered(Pin<Box<dyn Future<Output = Response> + Send>>),
    Over,
}

impl Future for Answer {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let outcome = match &mut self.work {
            Work::Handler(future) => ready!(poll_caught(future.as_mut(), context)).flatten(),
            Work::Layered(future) => ready!(poll_caught(future.as_mut(), context)),
            work => match mem::replace(work, Work::Over) {
                Work::Done(response) => Ok(response),
                _ => Err(Error::internal("an answer was polled after it was given")),
            },
        };
        self.work = Work::Over;
        let response = outcome.unwrap_or_else(Error::into_response);
        if let Some(error) = response.extensions().get::<ResponseError>() {
            self.report(error);
        }
        Poll::Ready(if self.is_head { without_body(response) } else { response })
    }
}

impl Answer {
    /// Tells the log what the client is not told.
    fn report(&self, error: &ResponseError) {
        if error.status().is_server_error() {
            let route = self.route.and_then(|index| self.state.routes.get(index as usize));
            let route = route.map_or("none", |route| route.path.as_str());
            tracing::error!(status = error.status().as_u16(), route, error = %**error, "a request failed");
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("route", &self.route).finish_non_exhaustive()
    }
}

/// A handler at work behind middleware, which is to see a response even of one that panics.
struct Caught(HandlerFuture);

impl Future for Caught {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let outcome = ready!(poll_caught(self.0.as_mut(), context)).flatten();
        Poll::Ready(outcome.unwrap_or_else(Error::into_response))
    }
}

/// Polls a future; a panic in it becomes an error.
///
/// The future is never polled again after a panic, so that no broken state is seen.
fn poll_caught<F: Future + ?Sized>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<Result<F::Output, Error>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Poll::Ready(Err(Error::internal(format!(
                "the handler panicked: {}",
                text.unwrap_or("no message")
            ))))
        }
    }
}

/// The answer to HEAD: what GET would answer, without the bytes but with their number.
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, Body::empty())
}
