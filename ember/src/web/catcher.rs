use super::operation::Operation;
use super::panics::Guard;
use super::reach::Reach;
use super::request::RequestParts;
use super::response::{IntoResponse, Response, ResponseError};
use crate::base::registry::collected_function;
use crate::base::{Error, ErrorKind, Location};
use http::StatusCode;
use http::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, TRANSFER_ENCODING};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What a catcher answers, on its way.
pub type CatchFuture<'a> = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + 'a>>;

/// Which errors a catcher answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Catches {
    /// Those of one status.
    Status(u16),
    /// Those of one kind.
    Kind(ErrorKind),
    /// All of them.
    Any,
}

impl Catches {
    fn catches(self, error: &Error) -> bool {
        match self {
            Self::Status(status) => error.status().as_u16() == status,
            Self::Kind(kind) => error.kind() == kind,
            Self::Any => true,
        }
    }

    /// The narrower goes before the wider.
    fn width(self) -> u8 {
        match self {
            Self::Status(_) => 0,
            Self::Kind(_) => 1,
            Self::Any => 2,
        }
    }
}

impl fmt::Display for Catches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "errors of status {status}"),
            Self::Kind(kind) => write!(f, "errors of kind {kind:?}"),
            Self::Any => f.write_str("all errors"),
        }
    }
}

/// What `#[catch]` leaves behind.
#[non_exhaustive]
pub struct CatcherDescriptor {
    /// The name of the function.
    pub name: &'static str,
    /// Which errors it answers.
    pub catches: Catches,
    /// For which routes it answers.
    pub reach: Reach,
    /// Where the function stands.
    pub location: Location,
    pub(crate) catch: CatchFn,
    pub(crate) describe: fn(&mut Operation),
    /// It looks at nothing of the request.
    of_error_alone: bool,
}

type CatchFn = for<'a> fn(&'a Error, &'a mut RequestParts) -> CatchFuture<'a>;

impl CatcherDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        catches: Catches,
        reach: Reach,
        location: Location,
        catch: CatchFn,
        describe: fn(&mut Operation),
    ) -> Self {
        Self { name, catches, reach, location, catch, describe, of_error_alone: false }
    }

    /// Says that the function looks at nothing of the request, whose head need not be copied for it then.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_error_alone(mut self) -> Self {
        self.of_error_alone = true;
        self
    }
}

collected_function!(CatcherDescriptor, "catcher", |entry| format!("{}::{}", entry.location.module, entry.name).into(), shows catches, reach);

/// A catcher in its place.
#[derive(Debug, Clone)]
pub(crate) struct Catcher {
    pub(crate) descriptor: &'static CatcherDescriptor,
    /// The module whose routes it answers for; `None` for all.
    pub(crate) module: Option<&'static str>,
    /// The beginning of the paths for which it answers where no route was found.
    pub(crate) prefix: String,
}

impl Catcher {
    /// A catcher that was put before others by hand, for what lies below a prefix.
    pub(crate) fn by_hand(
        descriptor: &'static CatcherDescriptor,
        prefix: impl Into<String>,
    ) -> Self {
        Self { descriptor, module: None, prefix: prefix.into() }
    }

    /// The order in which catchers are asked: the innermost first, then the narrowest.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        let depth = self.module.map_or(0, str::len);
        (std::cmp::Reverse(depth), self.descriptor.catches.width())
    }

    /// Tells whether it answers for a path that leads nowhere.
    fn is_above(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.prefix.split('/').all(|wanted| {
            segments.next().is_some_and(|found| wanted == found || wanted.starts_with('{'))
        })
    }
}

/// The catchers of a route, or those for paths that lead nowhere, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catchers(pub(crate) Vec<Catcher>);

/// Left on a response that a catcher has made, so that no other catches it again.
#[derive(Debug, Clone, Copy)]
struct Caught;

impl Catchers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether any of them looks at the request.
    pub(crate) fn look_at_request(&self) -> bool {
        self.0.iter().any(|catcher| !catcher.descriptor.of_error_alone)
    }

    /// Tells what their functions need.
    pub(crate) fn describe(&self, operation: &mut Operation) {
        // Not all of them are asked on every route that they reach.
        self.0.iter().for_each(|catcher| {
            operation.of_any_path(catcher.descriptor.describe);
        });
    }

    /// The catchers for a path that leads nowhere.
    pub(crate) fn above(&self, path: &str) -> Self {
        Self(self.0.iter().filter(|catcher| catcher.is_above(path)).cloned().collect())
    }

    /// Tells whether a response is an error that nobody has answered yet.
    pub(crate) fn are_for(&self, response: &Response) -> bool {
        let extensions = response.extensions();
        !self.is_empty()
            && extensions.get::<ResponseError>().is_some()
            && extensions.get::<Caught>().is_none()
    }

    /// Lets a catcher answer in place of an error; other responses stay as they are.
    ///
    /// Where its answer says nothing of a status, it keeps that of the error. The head of the request is there
    /// if any of them [looks at it](Self::look_at_request). A catcher that fails, or panics, has answered with that.
    pub(crate) async fn catch(
        &self,
        response: Response,
        parts: Option<&mut RequestParts>,
    ) -> Response {
        let error = response.extensions().get::<ResponseError>();
        let Some(error) = error.filter(|_| self.are_for(&response)).cloned() else {
            return response;
        };
        let catcher = self.0.iter().find(|catcher| catcher.descriptor.catches.catches(&error));
        let Some(catcher) = catcher else {
            return response;
        };
        let mut blank = None;
        let parts = match parts {
            Some(parts) => parts,
            None => blank.insert(RequestParts::blank()),
        };
        let work = (catcher.descriptor.catch)(&error, parts);
        let mut answer = match Guard::new("a catcher", work, Err).await {
            Ok(answer) => answer,
            Err(error) => error.into_response(),
        };
        if answer.status() == StatusCode::OK {
            *answer.status_mut() = error.status();
        }
        carry_over(response.headers(), answer.headers_mut());
        // The log is to hear of the error, whoever answers it.
        if answer.extensions().get::<ResponseError>().is_none() {
            answer.extensions_mut().insert(error);
        }
        answer.extensions_mut().insert(Caught);
        answer
    }
}

/// Keeps what the error's response says beside its body: what is allowed, how long to wait, what is left of
/// limits, how much there would be to ask for, cookies. What the catcher says goes before it.
fn carry_over(before: &HeaderMap, answer: &mut HeaderMap) {
    let of_the_body = |name: &HeaderName| {
        [ETAG, LAST_MODIFIED, TRANSFER_ENCODING].contains(name)
            || (name.as_str().starts_with("content-") && name != CONTENT_RANGE)
    };
    let names = before.keys().filter(|name| !of_the_body(name));
    let names: Vec<_> = names.filter(|name| !answer.contains_key(*name)).collect();
    for name in names {
        for value in before.get_all(name) {
            answer.append(name, value.clone());
        }
    }
}
