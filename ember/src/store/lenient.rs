use super::boxed::BoxStore;
use crate::base::{Error, ErrorKind, task};
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How long an operation is waited for.
const LIMIT: Duration = Duration::from_millis(500);

/// How many operations may go on that nobody waits for any more. Those beyond are given up.
const MAX_LATE: usize = 64;

/// A store that its user can do without, as a cache can.
///
/// What fails, or is not done within half a second, is `None`: nothing was found, or nothing kept. From then on
/// one operation at a time tries whether the store is back, and all others are `None` at once. Clones are the
/// same store.
#[derive(Clone)]
pub(crate) struct LenientStore {
    store: BoxStore,
    state: Arc<State>,
}

type Work = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

struct State {
    is_away: AtomicBool,
    /// The turn to try a store that is away.
    trial: Arc<Semaphore>,
    late: Arc<Semaphore>,
}

impl LenientStore {
    pub(crate) fn new(store: BoxStore) -> Self {
        let (trial, late) = (Semaphore::new(1), Semaphore::new(MAX_LATE));
        let is_away = AtomicBool::new(false);
        let state = State { is_away, trial: Arc::new(trial), late: Arc::new(late) };
        Self { store, state: Arc::new(state) }
    }

    /// The store as it is, for whoever wants its errors.
    pub(crate) fn store(&self) -> &BoxStore {
        &self.store
    }

    /// Tells whether the last operation has failed, so that another one is not worth the wait.
    pub(crate) fn is_away(&self) -> bool {
        self.state.is_away.load(Ordering::Relaxed)
    }

    /// Connects, and says what answered. It takes as long as the store does, and leaves it to the caller to
    /// tell of a failure.
    pub(crate) async fn check(&self) -> Result<String, Error> {
        let answered = self.store.check().await;
        self.state.is_away.store(answered.is_err(), Ordering::Relaxed);
        answered
    }

    pub(crate) async fn get(&self, key: &str) -> Option<Option<Bytes>> {
        let (store, key) = (self.store.clone(), key.to_owned());
        self.attempt(async move { store.get(&key).await }).await
    }

    /// What is kept under two keys.
    pub(crate) async fn get_both(
        &self,
        one: &str,
        other: &str,
    ) -> Option<(Option<Bytes>, Option<Bytes>)> {
        let (store, one, other) = (self.store.clone(), one.to_owned(), other.to_owned());
        self.attempt(async move { tokio::try_join!(store.get(&one), store.get(&other)) }).await
    }

    pub(crate) async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Option<()> {
        let (store, key) = (self.store.clone(), key.to_owned());
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
        value: Bytes,
        ttl: Duration,
    ) -> Option<bool> {
        let (store, key) = (self.store.clone(), key.to_owned());
        self.attempt(async move { store.compare_and_set(&key, expected, value, ttl).await }).await
    }

    /// Does something with the store, in time, and notices whether it is there.
    pub(crate) async fn attempt<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Option<T> {
        let outcome = Arc::new(Mutex::new(None));
        let done = outcome.clone();
        let work = async move { work.await.map(|value| *lock(&done) = Some(value)) };
        let is_done = self.is_done(Box::pin(work)).await;
        is_done.then(|| lock(&outcome).take()).flatten()
    }

    /// Tells whether work with the store has succeeded in time. It is written once for whatever the work is.
    async fn is_done(&self, mut work: Work) -> bool {
        let trial = match self.is_away() {
            // Somebody else tries.
            true => match self.state.trial.clone().try_acquire_owned() {
                Ok(trial) => Some(trial),
                Err(_) => return false,
            },
            false => None,
        };
        let is_away = match tokio::time::timeout(LIMIT, &mut work).await {
            Ok(Ok(())) => {
                self.notice(false);
                return true;
            }
            // The store itself tells the log that it is away.
            Ok(Err(error)) if error.kind() == ErrorKind::Unavailable => true,
            // It is there, and refuses this: a value that is too large, for example.
            Ok(Err(error)) => {
                tracing::debug!(store = self.store.name(), %error, "a store has refused");
                false
            }
            Err(_) => {
                // It goes on by itself, within the limits of the store: one that takes longer to connect than
                // anybody waits would otherwise never be connected. Until it has ended nobody else tries.
                if let Ok(place) = self.state.late.clone().try_acquire_owned() {
                    task::spawn(&Handle::current(), async move {
                        let _ = work.await;
                        drop((place, trial));
                    });
                }
                if !self.is_away() {
                    tracing::warn!(store = self.store.name(), limit = ?LIMIT, "a store is too slow for a cache, which goes on without");
                }
                true
            }
        };
        self.notice(is_away);
        false
    }

    fn notice(&self, is_away: bool) {
        // Most of the time it is as before, and nothing is written that others read.
        if self.is_away() != is_away {
            self.state.is_away.store(is_away, Ordering::Relaxed);
        }
    }
}

fn lock<T>(outcome: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
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
    use futures_util::future::join_all;

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_is_not_waited_for_and_what_was_begun_is_ended() {
        let flaky = Flaky::new(MemoryStore::new());
        let store = LenientStore::new(flaky.clone().into());
        flaky.take_its_time(2_000);
        let begun = tokio::time::Instant::now();
        assert_eq!(store.set("a", "one".into(), secs(100)).await, None);
        assert!(begun.elapsed() < secs(1) && store.is_away());
        tokio::time::sleep(secs(2)).await;
        flaky.take_its_time(0);
        assert_eq!(store.get("a").await.flatten().as_deref(), Some(&b"one"[..]));
        assert!(!store.is_away());
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_store_hangs_one_tries_and_nobody_else_waits() {
        let flaky = Flaky::new(MemoryStore::new());
        let store = LenientStore::new(flaky.clone().into());
        flaky.take_its_time(60_000);
        // Those who do not know yet wait all together, and what goes on without them has a bound.
        let asked = join_all((0..3 * MAX_LATE).map(|_| store.get("a")));
        assert!(asked.await.iter().all(Option::is_none));
        assert_eq!(flaky.under_way(), MAX_LATE);
        tokio::time::sleep(secs(60)).await;
        assert_eq!(flaky.under_way(), 0);
        let (asked, begun) = (flaky.asked(), tokio::time::Instant::now());
        assert!(join_all((0..50).map(|_| store.get("a"))).await.iter().all(Option::is_none));
        assert_eq!(flaky.asked() - asked, 1, "one tries");
        let first = begun.elapsed();
        assert!(join_all((0..50).map(|_| store.get("a"))).await.iter().all(Option::is_none));
        assert_eq!((flaky.asked() - asked, begun.elapsed()), (1, first), "it still does");
        flaky.take_its_time(0);
        tokio::time::sleep(secs(60)).await;
        assert_eq!(store.get("a").await, Some(None));
        assert!(join_all((0..50).map(|_| store.get("a"))).await.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn what_fails_is_nothing_and_what_is_refused_is_not_away() {
        let flaky = Flaky::new(MemoryStore::new().max_bytes(100));
        let store = LenientStore::new(flaky.clone().into());
        assert_eq!(store.set("a", vec![0; 200].into(), secs(100)).await, None);
        assert!(!store.is_away(), "it is too large, and that is all");
        flaky.go_away(true);
        assert_eq!(store.get("a").await, None);
        assert_eq!(store.delete("a").await, None);
        assert!(store.is_away() && store.clone().is_away());
        assert!(store.check().await.is_err());
        flaky.go_away(false);
        assert_eq!(store.compare_and_set("a", None, "one".into(), secs(100)).await, Some(true));
        assert!(!store.is_away());
    }
}
