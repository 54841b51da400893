use crate::base::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Tells the log when a store goes away, and when it is back: once each, and not once for every request.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicBool);

impl Outage {
    /// Looks at the outcome of an operation.
    pub(super) fn seen<T>(
        &self,
        outcome: Result<T, Error>,
        name: impl FnOnce() -> String,
    ) -> Result<T, Error> {
        match &outcome {
            Ok(_) if self.0.load(Relaxed) => {
                if self.0.swap(false, Relaxed) {
                    tracing::info!(store = name(), "the store answers again");
                }
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                if !self.0.swap(true, Relaxed) {
                    tracing::warn!(store = name(), error = %error, "the store does not answer");
                }
            }
            // Any other error is an answer.
            Ok(_) | Err(_) => {}
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_away_is_told_and_until_it_is_back() {
        let outage = Outage::default();
        let name = || "x".to_owned();
        let is_told = || outage.0.load(Relaxed);
        let _ = outage.seen::<()>(Err(Error::payload_too_large("large")), name);
        assert!(!is_told());
        let _ = outage.seen::<()>(Err(Error::unavailable("away")), name);
        let _ = outage.seen::<()>(Err(Error::unavailable("away")), || panic!("told twice"));
        assert!(is_told());
        let _ = outage.seen(Ok(()), name);
        let _ = outage.seen(Ok(()), || panic!("told twice"));
        assert!(!is_told());
    }
}
