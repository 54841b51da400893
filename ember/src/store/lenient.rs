use super::boxed::BoxStore;
use crate::base::{Error, ErrorKind};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long an operation is waited for.
const LIMIT: Duration = Duration::from_millis(500);

/// A store that its user can do without, as a cache can.
///
/// What fails, or is not done within half a second, is `None`: nothing was found, or nothing kept. Clones are
/// the same store.
#[derive(Clone)]
pub(crate) struct LenientStore {
    store: BoxStore,
    is_away: Arc<AtomicBool>,
}

impl LenientStore {
    pub(crate) fn new(store: BoxStore) -> Self {
        Self { store, is_away: Arc::default() }
    }

    /// The store as it is, for whoever wants its errors.
    pub(crate) fn store(&self) -> &BoxStore {
        &self.store
    }

    /// Tells whether the last operation has failed, so that another one is not worth the wait.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Connects, and says what answered. It takes as long as the store does, and leaves it to the caller to
    /// tell of a failure.
    pub(crate) async fn check(&self) -> Result<String, Error> {
        let answered = self.store.check().await;
        self.is_away.store(answered.is_err(), Ordering::Relaxed);
        answered
    }

    pub(crate) async fn get(&self, key: &str) -> Option<Option<Bytes>> {
        self.attempt(self.store.get(key)).await
    }

    pub(crate) async fn set(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Option<()> {
        self.attempt(self.store.set(key, value, ttl)).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Option<bool> {
        self.attempt(self.store.delete(key)).await
    }

    pub(crate) async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Option<bool> {
        self.attempt(self.store.compare_and_set(key, expected, value, ttl)).await
    }

    /// Does something with the store, in time, and notices whether it is there.
    pub(crate) async fn attempt<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Option<T> {
        let is_away = match tokio::time::timeout(LIMIT, work).await {
            Ok(Ok(value)) => {
                // Most of the time it was there before, and nothing is written that others read.
                if self.is_away() {
                    self.is_away.store(false, Ordering::Relaxed);
                }
                return Some(value);
            }
            // The store itself tells the log that it is away.
            Ok(Err(error)) if error.kind() == ErrorKind::Unavailable => true,
            // It is there, and refuses this: a value that is too large, for example.
            Ok(Err(error)) => {
                tracing::debug!(store = self.store.name(), %error, "a store has refused");
                return None;
            }
            Err(_) => {
                if !self.is_away() {
                    tracing::warn!(store = self.store.name(), limit = ?LIMIT, "a store is too slow for a cache, which goes on without");
                }
                true
            }
        };
        self.is_away.store(is_away, Ordering::Relaxed);
        None
    }
}

impl fmt::Debug for LenientStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
