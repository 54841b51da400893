use crate::base::Error;
use crate::base::error::BoxError;
use std::fmt;
use std::time::Duration;

/// How soon somebody may ask again who was told that the store is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The store does not answer, or cannot do what it was asked: 503, with the reason for the log only.
pub(super) fn away(reason: impl Into<BoxError>) -> Error {
    Error::unavailable("The state of this service cannot be reached at the moment.")
        .with_retry_after(RETRY_AFTER)
        .with_source(reason)
}

/// As [`away`], where it is certain that nothing was done.
pub(super) fn not_done(reason: impl Into<BoxError>) -> Error {
    away(NotDone(reason.into()))
}

/// As [`not_done`], where the store has answered: it is there, and does not do this.
pub(super) fn refused(reason: impl Into<BoxError>) -> Error {
    away(Refused(NotDone(reason.into())))
}

/// Tells whether it is certain that nothing was done.
pub(super) fn is_not_done(error: &Error) -> bool {
    is_refused(error) || error.source().is_some_and(|source| source.is::<NotDone>())
}

/// Tells whether the store has answered, and did not do it.
pub(super) fn is_refused(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<Refused>())
}

#[derive(Debug)]
struct Refused(NotDone);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

#[derive(Debug)]
struct NotDone(BoxError);

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NotDone {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The store cannot do this at all, which is a mistake of whoever put the application together.
#[cfg(feature = "memcached")]
pub(super) fn cannot(store: &str, what: super::Capability) -> Error {
    let reason = format!("{store} cannot {what}");
    let kind = crate::base::ErrorKind::NotImplemented;
    Error::new(kind, "The store of this service cannot do this.").with_source(reason)
}
