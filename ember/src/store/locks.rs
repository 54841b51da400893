use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// One lock for each key, made when it is wanted and forgotten when nobody holds it.
///
/// Whoever waits for a key is served in the order of asking.
#[derive(Clone, Default)]
pub struct KeyedLocks(Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>);

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct KeyedLock {
    /// There once it is held, until it is dropped.
    guard: Option<OwnedMutexGuard<()>>,
    locks: KeyedLocks,
    key: String,
}

impl KeyedLocks {
    /// No locks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the lock of a key.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub async fn lock(&self, key: &str) -> KeyedLock {
        let mutex = self.mutex(key);
        // It cleans up also when it is dropped while it waits.
        let mut lock = KeyedLock { guard: None, locks: self.clone(), key: key.to_owned() };
        lock.guard = Some(mutex.lock_owned().await);
        lock
    }

    fn mutex(&self, key: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mutex) = locks.get(key).and_then(Weak::upgrade) {
            return mutex;
        }
        let mutex = Arc::default();
        locks.insert(key.to_owned(), Arc::downgrade(&mutex));
        mutex
    }
}

impl Drop for KeyedLock {
    fn drop(&mut self) {
        // Only a mutex that is free can be found to have no holder.
        self.guard = None;
        let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.get(&self.key).is_some_and(|mutex| mutex.strong_count() == 0) {
            locks.remove(&self.key);
        }
    }
}

impl fmt::Debug for KeyedLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("KeyedLocks").field("known", &locks.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_key_is_held_once_and_forgotten_afterwards() {
        let locks = KeyedLocks::new();
        let held = locks.lock("a").await;
        assert!(locks.lock("a").now_or_never().is_none());
        assert!(locks.lock("b").now_or_never().is_some());
        drop(held);
        assert!(locks.lock("a").now_or_never().is_some());
        assert_eq!(locks.0.lock().unwrap().len(), 0);
    }
}
