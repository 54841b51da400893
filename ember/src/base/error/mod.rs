//! Errors with two audiences.
//!
//! What a client may read and what an operator needs are different strings. An
//! [`Error`] keeps them apart: [`Error::message`] goes into the answer, the
//! [source](Error::source) goes only into the log. The constructors force the
//! choice, and `?` on any foreign error makes the safe one: a 500 whose details
//! nobody outside sees.
//!
//! `Error` does not implement [`std::error::Error`], as in `anyhow`, because that
//! is what lets `?` convert every error that does. The alternative, a `From` for
//! each known type, makes every handler wrap the errors of its database crate by
//! hand.

mod class;
mod kind;
mod problem;

pub(crate) use class::ErrorClass;
pub use kind::ErrorKind;
pub use problem::Problem;

use http::StatusCode;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A result whose error is an [`Error`] unless said otherwise.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Any error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error that knows how to be answered: a kind, a public message, a private source.
///
/// ```
/// use ember::{Error, ErrorKind};
///
/// fn find(id: u64) -> ember::Result<&'static str> {
///     if id == 7 { Ok("seven") } else { Err(Error::not_found(format!("there is no task {id}"))) }
/// }
///
/// let error = find(8).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.message(), "there is no task 8");
///
/// // Any other error becomes a 500, and its text stays in the log.
/// fn port() -> ember::Result<u16> { Ok("eighty".parse()?) }
/// let error = port().unwrap_err();
/// assert_eq!(error.status(), 500);
/// assert!(!error.message().contains("invalid digit"));
/// ```
#[doc(alias = "HTTPException")]
#[doc(alias = "RouteNotFound")]
#[doc(alias = "RateLimitExceeded")]
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident, $status:literal;)*) => {$(
        #[doc = concat!("Makes an error that is answered with status ", $status, " and this public message.")]
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorKind::$kind, message)
        }
    )*};
}

impl Error {
    /// Makes an error of a kind with a message that the client may read.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            retry_after: None,
            members: Map::new(),
        }))
    }

    constructors! {
        bad_request => BadRequest, "400";
        unauthorized => Unauthorized, "401";
        forbidden => Forbidden, "403";
        not_found => NotFound, "404";
        conflict => Conflict, "409";
        payload_too_large => PayloadTooLarge, "413";
        unsupported_media_type => UnsupportedMediaType, "415";
        unprocessable => Unprocessable, "422";
        too_many_requests => TooManyRequests, "429";
        unavailable => Unavailable, "503";
    }

    /// Makes a 500 from an error that only the log may see.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Internal, ErrorKind::Internal.sentence()).with_source(source)
    }

    /// Takes an error out of a box; what was an `Error` before it was boxed is that again.
    pub fn from_boxed(error: BoxError) -> Self {
        match error.downcast::<Reported>() {
            Ok(reported) => reported.0,
            Err(error) => Self::classified(error),
        }
    }

    /// Takes an error out of a box; what was no `Error` before becomes the cause of `other`.
    pub(crate) fn from_boxed_or(other: Self, error: BoxError) -> Self {
        match error.downcast::<Reported>() {
            Ok(reported) => reported.0,
            Err(error) => other.with_source(error),
        }
    }

    /// Attaches the cause, for the log only.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says how long the client should wait; sent as `Retry-After` in whole seconds, rounded up.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a member to the problem document, next to `title`, `status` and `detail`.
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.into(), value.into());
        self
    }

    /// Returns what class of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the status code of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.kind.status()
    }

    /// Returns the message that the client may read.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the cause, which the client never sees.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Returns how long the client should wait before it tries again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Looks for an error of type `E` in the chain of causes.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.chain().find_map(|cause| cause.downcast_ref::<E>())
    }

    /// Returns the answer's body as RFC 9457 describes it.
    pub fn problem(&self) -> Problem<'_> {
        Problem::of(self)
    }

    /// Walks through the causes, the outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let first: Option<&(dyn StdError + 'static)> = match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        };
        std::iter::successors(first, |&cause| cause.source())
    }

    fn classified(source: BoxError) -> Self {
        match ErrorClass::find(&*source) {
            Some(error) => error.with_source(source),
            None => Self::internal(source),
        }
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.0.members
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::classified(Box::new(error))
    }
}

impl From<Error> for BoxError {
    fn from(error: Error) -> Self {
        Box::new(Reported(error))
    }
}

/// For the operator: the public message, then every cause that says something else than the one before.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut told = self.0.message.to_string();
        for cause in self.chain() {
            let text = cause.to_string();
            if text != told {
                write!(f, ": {text}")?;
                told = text;
            }
        }
        Ok(())
    }
}

/// What `fn main() -> ember::Result` prints: the message, then the causes, a line each.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes = self.chain();
        if self.0.kind == ErrorKind::Internal
            && let Some(first) = causes.next()
        {
            // The public sentence of a 500 tells the operator nothing that the cause does not.
            write!(f, "{first}")?;
        } else {
            f.write_str(&self.0.message)?;
        }
        causes.try_for_each(|cause| write!(f, "\n\ncaused by: {cause}"))
    }
}

/// An [`Error`] where an API insists on [`std::error::Error`].
struct Reported(Error);

impl fmt::Debug for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl StdError for Reported {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.chain().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn failing_io() -> Result {
        Err(io::Error::other("disk on fire"))?;
        Ok(())
    }

    #[test]
    fn foreign_errors_are_internal_and_their_text_is_private() {
        let error = failing_io().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(!error.message().contains("fire"));
        assert!(error.to_string().contains("disk on fire"));
        assert!(error.downcast_ref::<io::Error>().is_some());
    }

    #[test]
    fn debug_of_an_internal_error_leads_with_the_cause() {
        assert_eq!(format!("{:?}", failing_io().unwrap_err()), "disk on fire");
        let error = Error::conflict("taken").with_source(io::Error::other("unique index"));
        assert_eq!(format!("{error:?}"), "taken\n\ncaused by: unique index");
    }

    #[test]
    fn converts_to_a_boxed_error_and_keeps_the_cause() {
        let boxed: BoxError =
            Error::not_found("no such task").with_source(io::Error::other("x")).into();
        assert_eq!(boxed.to_string(), "no such task");
        assert_eq!(boxed.source().unwrap().to_string(), "x");
        assert_eq!(Error::from_boxed(boxed).kind(), ErrorKind::NotFound);
    }
}
