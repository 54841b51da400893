use crate::base::Error;
use crate::base::error::BoxError;
use std::time::Duration;

/// How soon somebody may ask again who was told that the store is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The store does not answer, or cannot do what it was asked: 503, with the reason for the log only.
pub(super) fn away(reason: impl Into<BoxError>) -> Error {
    Error::unavailable("The state of this service cannot be reached at the moment.")
        .with_retry_after(RETRY_AFTER)
        .with_source(reason)
}

/// The store cannot do this at all, which is a mistake of whoever put the application together.
#[cfg(feature = "memcached")]
pub(super) fn cannot(store: &str, what: super::Capability) -> Error {
    let reason = format!("{store} cannot {what}");
    let kind = crate::base::ErrorKind::NotImplemented;
    Error::new(kind, "The store of this service cannot do this.").with_source(reason)
}
