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
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(super) fn not_done(reason: impl Into<BoxError>) -> Error {
    away(NotDone(reason.into()))
}

/// Tells whether it is certain that nothing was done.
pub(super) fn is_not_done(error: &Error) -> bool {
    let reason = error.source().and_then(|source| source.downcast_ref::<NotDone>());
    reason.is_some()
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
