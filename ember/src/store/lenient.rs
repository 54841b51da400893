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
        let (store, key) = (self.store.clone(), key.to_owned());
        self.attempt(async move { store.get(&key).await }).await
    }

    pub(crate) async fn set(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Option<()> {
        let (store, key, value) = (self.store.clone(), key.to_owned(), value.into());
        self.attempt(async move { store.set(&key, value, ttl).await }).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Option<bool> {
        let (store, key) = (self.store.clone(), key.to_owned());
        self.attempt(async move { store.delete(&key).await }).await
    }

    pub(crate) async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Option<bool> {
        let (store, key, value) = (self.store.clone(), key.to_owned(), value.into());
        self.attempt(async move { store.compare_and_set(&key, expected, value, ttl).await }).await
    }

    /// Does something with the store, in time, and notices whether it is there.
    pub(crate) async fn attempt<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Option<T> {
        let mut work = Box::pin(work);
        let is_away = match tokio::time::timeout(LIMIT, &mut work).await {
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
                // It goes on by itself, within the limits of the store: one that takes longer to connect than
                // anybody waits would otherwise never be connected.
                tokio::spawn(work);
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

#[cfg(test)]
mod tests {
    use super::super::flaky::Flaky;
    use super::super::memory::MemoryStore;
    use super::*;
    use crate::base::clock::secs;

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_is_not_waited_for_and_what_was_begun_is_ended() {
        let flaky = Flaky::new(MemoryStore::new());
        let store = LenientStore::new(flaky.clone().into());
        flaky.take_its_time(2_000);
        let begun = tokio::time::Instant::now();
        assert_eq!(store.set("a", "one", secs(100)).await, None);
        assert!(begun.elapsed() < secs(1) && store.is_away());
        tokio::time::sleep(secs(2)).await;
        flaky.take_its_time(0);
        assert_eq!(store.get("a").await.flatten().as_deref(), Some(&b"one"[..]));
        assert!(!store.is_away());
    }

    #[tokio::test]
    async fn what_fails_is_nothing_and_what_is_refused_is_not_away() {
        let flaky = Flaky::new(MemoryStore::new().max_bytes(100));
        let store = LenientStore::new(flaky.clone().into());
        assert_eq!(store.set("a", vec![0; 200], secs(100)).await, None);
        assert!(!store.is_away(), "it is too large, and that is all");
        flaky.go_away(true);
        assert_eq!(store.get("a").await, None);
        assert_eq!(store.delete("a").await, None);
        assert!(store.is_away() && store.clone().is_away());
        assert!(store.check().await.is_err());
        flaky.go_away(false);
        assert_eq!(store.compare_and_set("a", None, "one", secs(100)).await, Some(true));
        assert!(!store.is_away());
    }
}
