use super::failure::is_refused;
use crate::base::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the log is told that a store refuses what it is asked.
const REFUSALS: Duration = Duration::from_secs(60);

/// Tells the log when a store goes away, and when it is back: once each, and not once for every request.
#[derive(Debug, Default)]
pub(super) struct Outage {
    is_away: AtomicBool,
    /// When the log was last told of a refusal.
    refused: Mutex<Option<Instant>>,
}

impl Outage {
    /// Looks at the outcome of an operation.
    pub(super) fn seen<T>(
        &self,
        outcome: Result<T, Error>,
        name: impl FnOnce() -> String,
    ) -> Result<T, Error> {
        match &outcome {
            Ok(_) if self.is_away.load(Relaxed) => {
                if self.is_away.swap(false, Relaxed) {
                    tracing::info!(store = name(), "the store answers again");
                }
            }
            // Reading may go well in between, as where only writing is refused.
            Err(error) if is_refused(error) => {
                if self.is_time_to_tell(Instant::now()) {
                    tracing::warn!(store = name(), error = %error, "the store refuses what it is asked");
                }
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                if !self.is_away.swap(true, Relaxed) {
                    tracing::warn!(store = name(), error = %error, "the store does not answer");
                }
            }
            // Any other error is an answer.
            Ok(_) | Err(_) => {}
        }
        outcome
    }

    fn is_time_to_tell(&self, now: Instant) -> bool {
        let mut last = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| now.saturating_duration_since(last) >= REFUSALS);
        if is_time {
            *last = Some(now);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::refused;
    use super::*;

    #[test]
    fn only_what_is_away_is_told_and_until_it_is_back() {
        let outage = Outage::default();
        let name = || "x".to_owned();
        let is_told = || outage.is_away.load(Relaxed);
        let _ = outage.seen::<()>(Err(Error::payload_too_large("large")), name);
        assert!(!is_told());
        let _ = outage.seen::<()>(Err(Error::unavailable("away")), name);
        let _ = outage.seen::<()>(Err(Error::unavailable("away")), || panic!("told twice"));
        assert!(is_told());
        let _ = outage.seen(Ok(()), name);
        let _ = outage.seen(Ok(()), || panic!("told twice"));
        assert!(!is_told());
    }

    #[test]
    fn a_refusal_is_no_outage_and_is_told_once_a_minute() {
        let outage = Outage::default();
        let _ = outage.seen::<()>(Err(refused("OOM")), || "x".to_owned());
        let _ = outage.seen(Ok(()), || panic!("it was there all the time"));
        let _ = outage.seen::<()>(Err(refused("OOM")), || panic!("told twice"));
        let told = outage.refused.lock().unwrap().unwrap();
        assert!(!outage.is_time_to_tell(told + REFUSALS / 2));
        assert!(outage.is_time_to_tell(told + REFUSALS));
    }
}
