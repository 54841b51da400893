use super::body::Body;
use super::components::Component;
use super::response::Response;
use super::state::{AppState, RouteEntry};
use crate::base::Error;
use http::header::{ACCEPT, AsHeaderName};
use http::{Extensions, HeaderMap, Method, Uri, Version};
use http_body::Body as _;
use memchr::memchr;
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A request on its way to a handler: the head, and the body that is still to be read.
///
/// Everything that [`RequestParts`] tells can be asked of the request as well.
///
/// ```
/// use ember::prelude::*;
///
/// #[post("/echo")]
/// async fn echo(request: Request) -> ember::Result<String> {
///     let method = request.method().clone();
///     let body = request.into_body().collect().await?;
///     Ok(format!("{method} with {} bytes", body.len()))
/// }
/// ```
#[derive(Debug)]
pub struct Request {
    parts: RequestParts,
    body: Body,
}

impl Request {
    /// Takes apart head and body.
    pub fn into_parts(self) -> (RequestParts, Body) {
        (self.parts, self.body)
    }

    /// Puts a request together again.
    pub fn from_parts(parts: RequestParts, body: Body) -> Self {
        Self { parts, body }
    }

    /// Returns the head.
    pub fn parts(&self) -> &RequestParts {
        &self.parts
    }

    /// Returns the head, to change it.
    pub fn parts_mut(&mut self) -> &mut RequestParts {
        &mut self.parts
    }

    /// Tells whether a body follows the head, as far as that is known: one that is still to come may turn out to
    /// have no bytes.
    pub(crate) fn has_body(&self) -> bool {
        !self.body.is_end_stream()
    }

    /// Returns the body, and forgets the head.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Replaces the body by what `change` makes of it.
    #[must_use]
    pub fn map_body(self, change: impl FnOnce(Body) -> Body) -> Self {
        Self { parts: self.parts, body: change(self.body) }
    }

    /// Turns the request into one of the `http` crate.
    ///
    /// What the application knows about it travels in the extensions, and is found again by
    /// [`Request::from`].
    pub fn into_http(self) -> http::Request<Body> {
        let Inner { mut head, state, matched, matched_by, remote, changes } = *self.parts.0;
        let matched_by = matched_by.unwrap_or_else(|| head.uri.clone());
        head.extensions.insert(Known { state, matched, matched_by, remote, changes });
        http::Request::from_parts(head, self.body)
    }
}

impl Deref for Request {
    type Target = RequestParts;

    fn deref(&self) -> &RequestParts {
        &self.parts
    }
}

impl DerefMut for Request {
    fn deref_mut(&mut self) -> &mut RequestParts {
        &mut self.parts
    }
}

/// A request that was one of an application before, or one outside of any, as tests of
/// extractors and middleware need it.
impl<B: Into<Body>> From<http::Request<B>> for Request {
    fn from(request: http::Request<B>) -> Self {
        let (mut head, body) = request.into_parts();
        let parts = match head.extensions.remove::<Known>() {
            Some(Known { state, matched, matched_by, remote, changes }) => {
                let matched_by = (matched_by != head.uri).then_some(matched_by);
                let inner = Inner { head, state, matched, matched_by, remote, changes };
                RequestParts(Box::new(inner))
            }
            None => RequestParts::new(head, Arc::default(), Match::default(), None),
        };
        Self { parts, body: body.into() }
    }
}

/// The target of a request as the client sent it, in the extensions of one that a mounted
/// service sees. Of services that are mounted in each other, the innermost sees the whole target as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalUri(pub Uri);

impl OriginalUri {
    /// What mounting has taken away from the beginning of a path, as in `/api`; empty where nothing was.
    ///
    /// Of a path that somebody has changed since it is the whole path as it was.
    pub(crate) fn prefix(head: &http::request::Parts) -> &str {
        let Some(Self(original)) = head.extensions.get() else { return "" };
        let original = original.path();
        // The prefix itself, with or without a slash at its end, is `/` to who is mounted there.
        let rest = if head.uri.path() == "/" { "" } else { head.uri.path() };
        let prefix = original.strip_suffix(rest).unwrap_or(original);
        prefix.strip_suffix('/').unwrap_or(prefix)
    }
}

/// What the application knows about a request, while the request is one of the `http` crate.
#[derive(Clone)]
pub(crate) struct Known {
    state: Arc<AppState>,
    matched: Match,
    matched_by: Uri,
    pub(crate) remote: Option<SocketAddr>,
    changes: Option<ResponseChanges>,
}

/// The head of a request, with what the application knows about it.
#[derive(Debug, Clone)]
pub struct RequestParts(Box<Inner>);

/// It stands on the heap, as a request is moved many times on its way, and the futures of handlers
/// and extractors have room for it in several places.
#[derive(Debug, Clone)]
struct Inner {
    head: http::request::Parts,
    state: Arc<AppState>,
    matched: Match,
    /// The target by which the route was found, where somebody has changed the target since.
    matched_by: Option<Uri>,
    remote: Option<SocketAddr>,
    changes: Option<ResponseChanges>,
}

/// What extractors want to be done to the response, shared between the request and whoever has the response.
#[derive(Clone, Default)]
pub(crate) struct ResponseChanges(Arc<Mutex<Vec<ResponseChange>>>);

enum ResponseChange {
    Now(Box<dyn FnOnce(&mut Response) + Send>),
    Later(Box<dyn FnOnce(Response) -> ResponseFuture + Send>),
    Lasting(Arc<dyn Lasting>),
}

pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What all extractors of a type share in a request, whoever takes them and when: cookies, a session.
///
/// A response comes by more than once on its way out, behind the handler and behind all middleware. What was done
/// meanwhile goes out with it.
pub(crate) trait Lasting: Any + Send + Sync {
    /// Puts on a response what has not been put on one yet.
    fn put_on(self: Arc<Self>, response: Response) -> ResponseFuture;
}

/// What stands in the extensions of a request: it is found there by an application that is mounted in this one,
/// and in a request made by hand.
struct Shared<T>(Arc<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Marks a response that extractors have changed: it is for one client, and no cache keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touched;

impl ResponseChanges {
    pub(crate) async fn apply(&self, mut response: Response) -> Response {
        let changes = self.take();
        let touched = !changes.is_empty();
        for change in changes {
            match change {
                ResponseChange::Now(change) => change(&mut response),
                ResponseChange::Later(change) => response = change(response).await,
                ResponseChange::Lasting(shared) => response = shared.put_on(response).await,
            }
        }
        if touched {
            response.extensions_mut().insert(Touched);
        }
        response
    }

    /// Takes all changes out, and leaves those that last.
    fn take(&self) -> Vec<ResponseChange> {
        let mut list = self.list();
        let changes = std::mem::take(&mut *list);
        list.extend(changes.iter().filter_map(|change| match change {
            ResponseChange::Lasting(shared) => Some(ResponseChange::Lasting(shared.clone())),
            ResponseChange::Now(_) | ResponseChange::Later(_) => None,
        }));
        changes
    }

    fn shared<T: Lasting>(&self) -> Option<Arc<T>> {
        self.list().iter().find_map(|change| match change {
            ResponseChange::Lasting(shared) => {
                let shared: Arc<dyn Any + Send + Sync> = shared.clone();
                shared.downcast().ok()
            }
            ResponseChange::Now(_) | ResponseChange::Later(_) => None,
        })
    }

    /// Puts something shared in the place of what was shared as a `T` before.
    fn share<T: Lasting>(&self, shared: Arc<T>) {
        let mut list = self.list();
        list.retain(|change| match change {
            ResponseChange::Lasting(known) => !(&**known as &dyn Any).is::<T>(),
            ResponseChange::Now(_) | ResponseChange::Later(_) => true,
        });
        list.push(ResponseChange::Lasting(shared));
    }

    fn push(&self, change: ResponseChange) {
        self.list().push(change);
    }

    fn list(&self) -> MutexGuard<'_, Vec<ResponseChange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ResponseChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseChanges")
    }
}

/// Which route a path leads to, and where its parameters stand in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Match {
    /// An index into [`AppState::routes`].
    pub(crate) route: Option<u32>,
    /// Start and end of each parameter in the path.
    pub(crate) parameters: SmallVec<[(u16, u16); 4]>,
}

impl RequestParts {
    #[inline]
    pub(crate) fn new(
        head: http::request::Parts,
        state: Arc<AppState>,
        matched: Match,
        remote: Option<SocketAddr>,
    ) -> Self {
        // Written where it is to stand: `Box::new` would copy it there.
        let room = Box::new_uninit();
        let inner = Inner { head, state, matched, matched_by: None, remote, changes: None };
        Self(Box::write(room, inner))
    }

    /// Those of no request, for whoever looks at nothing of it.
    pub(crate) fn blank() -> Self {
        let (head, ()) = http::Request::new(()).into_parts();
        Self::new(head, Arc::default(), Match::default(), None)
    }

    /// Returns the head as the `http` crate has it.
    pub(crate) fn head(&self) -> &http::request::Parts {
        &self.0.head
    }

    /// The pattern of the route that was found, as in `/users/{id}`.
    pub(crate) fn pattern(&self) -> Option<&str> {
        let route = usize::try_from(self.0.matched.route?).ok()?;
        self.0.state.routes.get(route).map(|route| route.path.as_str())
    }

    /// Lets extractors change the response, whose owner applies the changes.
    pub(crate) fn share_changes(&mut self) -> ResponseChanges {
        self.0.changes.get_or_insert_default().clone()
    }

    /// What extractors want to be done to the response, if anybody will do it.
    pub(crate) fn changes(&self) -> Option<ResponseChanges> {
        self.0.changes.clone()
    }

    /// What extractors share, if one of them has [shared](Self::share) it: on this copy of the head or on another.
    pub(crate) fn shared<T: Lasting>(&self) -> Option<Arc<T>> {
        let of_changes = self.0.changes.as_ref().and_then(ResponseChanges::shared);
        let of_extensions = || self.extensions().get().map(|Shared(shared)| Arc::clone(shared));
        of_changes.or_else(of_extensions)
    }

    /// Shares something among all extractors of the request, and has it put on the response, if there will be one.
    pub(crate) fn share<T: Lasting>(&mut self, shared: &Arc<T>) {
        let is_it = |known: &Arc<T>| Arc::ptr_eq(known, shared);
        if let Some(changes) = &self.0.changes
            && !changes.shared().is_some_and(|known| is_it(&known))
        {
            changes.share(shared.clone());
        }
        if !self.extensions().get().is_some_and(|Shared(known)| is_it(known)) {
            self.extensions_mut().insert(Shared(shared.clone()));
        }
    }

    /// Changes the response, once there is one; errors are responses, too.
    ///
    /// For extractors that hand something back to the client, such as an id or a cookie. Such an
    /// extractor says so with [`Operation::touches_response`](super::Operation::touches_response)
    /// in its `describe`; without that, as in a request made by hand, nobody has the response and
    /// nothing is done.
    pub fn on_response(&mut self, change: impl FnOnce(&mut Response) + Send + 'static) {
        self.change(ResponseChange::Now(Box::new(change)));
    }

    /// As [`RequestParts::on_response`], for changes that have to wait for something, such as a
    /// store. Changes are made in the order in which they were asked for.
    pub fn on_response_async<F>(&mut self, change: impl FnOnce(Response) -> F + Send + 'static)
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let change = |response| -> ResponseFuture { Box::pin(change(response)) };
        self.change(ResponseChange::Later(Box::new(change)));
    }

    fn change(&mut self, change: ResponseChange) {
        match &self.0.changes {
            Some(changes) => changes.push(change),
            None => tracing::warn!(
                "a change of a response was asked for where `touches_response` was not said"
            ),
        }
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.0.head.method
    }

    /// Returns the target of the request, as the client sent it.
    pub fn uri(&self) -> &Uri {
        &self.0.head.uri
    }

    /// Returns the path, still percent-encoded.
    pub fn path(&self) -> &str {
        self.0.head.uri.path()
    }

    /// Returns what follows the `?` of the target, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.0.head.uri.query()
    }

    /// Returns the version of HTTP.
    pub fn version(&self) -> Version {
        self.0.head.version
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.head.headers
    }

    /// Returns the headers, to change them.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.head.headers
    }

    /// Returns a header's text; `None` where it is absent or not visible ASCII.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.0.head.headers.get(name)?.to_str().ok()
    }

    /// Tells whether the client asks for a stream of events: its `Accept` names `text/event-stream`.
    ///
    /// For handlers that can answer both ways. A wildcard such as `*/*` asks for nothing in
    /// particular, and a weight of zero asks not to (RFC 9110 §12.4.2).
    #[doc(alias = "is_stream")]
    pub fn stream_requested(&self) -> bool {
        let accepted = self.0.head.headers.get_all(ACCEPT).iter();
        let mut ranges =
            accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_stream =
                parts.next().is_some_and(|range| range.eq_ignore_ascii_case("text/event-stream"));
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            is_stream
                && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
        })
    }

    /// Returns what middleware has left for those behind it.
    pub fn extensions(&self) -> &Extensions {
        &self.0.head.extensions
    }

    /// Returns what is left for those behind, to add to it.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.0.head.extensions
    }

    /// Returns the address of the peer, if the request came over TCP.
    ///
    /// Behind a proxy it is the proxy's.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.0.remote
    }

    /// Returns a component of the application.
    pub fn component<T: ?Sized + Send + Sync + 'static>(&self) -> Option<&Component<T>> {
        self.0.state.components.get()
    }

    /// Returns the route that answers, unless none matched.
    pub fn route(&self) -> Option<&RouteEntry> {
        self.0.matched.route.and_then(|index| self.0.state.routes.get(index as usize))
    }

    /// Returns what is shared by all requests of the application.
    pub fn state(&self) -> &Arc<AppState> {
        &self.0.state
    }

    /// Returns a parameter of the path, decoded; `None` if the route has none of that name.
    ///
    /// # Errors
    /// Status 400 when the parameter is not UTF-8.
    pub fn param(&self, name: &str) -> Result<Option<Cow<'_, str>>, Error> {
        let position =
            self.route().and_then(|route| route.parameters.iter().position(|known| known == name));
        position.and_then(|index| self.raw_param(index)).map(|raw| decode(name, raw)).transpose()
    }

    /// Returns the path's parameters in order, decoded, with their names.
    ///
    /// # Errors
    /// As [`RequestParts::param`], for each.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Result<(&str, Cow<'_, str>), Error>> {
        let names = self.route().map_or(&[][..], |route| &route.parameters[..]);
        names.iter().enumerate().map(|(index, name)| {
            let raw = self.raw_param(index).unwrap_or_default();
            decode(name, raw).map(|value| (name.as_str(), value))
        })
    }

    fn raw_param(&self, index: usize) -> Option<&str> {
        let (start, end) = *self.0.matched.parameters.get(index)?;
        let path = self.0.matched_by.as_ref().map_or(self.path(), |uri| uri.path());
        path.get(usize::from(start)..usize::from(end))
    }
}

fn decode<'a>(name: &str, raw: &'a str) -> Result<Cow<'a, str>, Error> {
    // Most parameters are as they were sent, and need not be looked at again.
    if memchr(b'%', raw.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Error::bad_request(format!("The path parameter `{name}` is not UTF-8.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_requested_by_the_accept_header() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.5", true),
            ("text/event-stream; q=0", false),
            ("text/event-stream;q=0.000, */*", false),
            ("*/*", false),
            ("text/event-streams", false),
            ("", false),
        ] {
            let request = http::Request::get("/").header(ACCEPT, accept).body(()).unwrap();
            assert_eq!(Request::from(request).stream_requested(), expected, "{accept}");
        }
        assert!(!Request::from(http::Request::new(())).stream_requested());
    }

    #[test]
    fn the_prefix_is_what_was_taken_away() {
        for (original, path, expected) in [
            ("/a/b/c", "/c", "/a/b"),
            ("/a/b/", "/", "/a/b"),
            ("/a/b", "/", "/a/b"),
            ("/a//b", "//b", "/a"),
            ("/a", "/a", ""),
            ("/", "/", ""),
            ("/a/b?c=/d", "/b?c=/d", "/a"),
            ("/a/b", "/other", "/a/b"),
        ] {
            let request =
                http::Request::get(path).extension(OriginalUri(original.parse().unwrap()));
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(OriginalUri::prefix(&head), expected, "{original} {path}");
        }
        assert_eq!(OriginalUri::prefix(&http::Request::new(()).into_parts().0), "");
    }
}
