use super::boxed::BoxStore;
use super::jitter::jitter;
use super::locks::KeyedLock;
use crate::base::{Clock, Error, task};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

/// How soon a lock that somebody else holds is tried again, at first and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// The shortest time that a lock is held: it is renewed at every third of that.
const SHORTEST: Duration = Duration::from_millis(30);

/// A lock of a [`Store`](super::Store) that is held until this is dropped.
#[must_use = "the lock is given back when this is dropped"]
pub struct StoreLock {
    token: u64,
    /// Until when the lock is ours for certain; `None` once it is not.
    until: watch::Receiver<Option<Instant>>,
    clock: Clock,
    /// Its end tells the task that renews the lock to give it back.
    _held: oneshot::Sender<()>,
}

impl StoreLock {
    /// The fencing token: greater than that of everybody who held the lock before.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Tells whether somebody else may hold the lock by now, as it was not renewed in time.
    pub fn is_lost(&self) -> bool {
        self.until.borrow().is_none_or(|until| self.clock.now() >= until)
    }
}

impl BoxStore {
    /// Waits until nobody else holds the lock of a key, and holds it until the result is dropped.
    ///
    /// It is held for `hold` at a time, 30 ms at least, and renewed at every third of that. When this process dies, or
    /// does not reach the store for so long, somebody else gets it: see [`StoreLock::is_lost`].
    /// Within the process whoever waits is served in the order of asking.
    ///
    /// # Errors
    /// As [`Store`](super::Store) says. Waiting for the lock has no limit here.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue. A lock that was taken at that moment is
    /// free after `hold`.
    pub async fn lock(&self, key: &str, hold: Duration) -> Result<StoreLock, Error> {
        let (hold, clock) = (hold.max(SHORTEST), Clock::system());
        let turn = self.queues.lock(key).await;
        let (mut wait, longest) = POLL;
        let (token, until) = loop {
            // The store counts from later on.
            let until = clock.after(hold);
            if let Some(token) = self.try_lock(key, hold).await? {
                break (token, until);
            }
            tokio::time::sleep(wait + jitter(wait)).await;
            wait = (wait * 2).min(longest);
        };
        let (tell, until) = watch::channel(Some(until));
        let (held, released) = oneshot::channel();
        let (store, key) = (self.clone(), key.to_owned());
        let turn = Some(turn);
        let lease = Lease { store, key, token, hold, until: tell, clock: clock.clone(), turn };
        task::spawn(&Handle::current(), lease.keep(released));
        Ok(StoreLock { token, until, clock, _held: held })
    }
}

/// A lock that is renewed. It is given back when this is dropped, be it with the worker that had it.
struct Lease {
    store: BoxStore,
    key: String,
    token: u64,
    hold: Duration,
    until: watch::Sender<Option<Instant>>,
    clock: Clock,
    /// Until the lock is given back, or lost.
    turn: Option<KeyedLock>,
}

impl Lease {
    /// Renews the lock until it is released.
    async fn keep(mut self, mut released: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                _ = &mut released => return,
                () = tokio::time::sleep(self.hold / 3) => {}
            }
            let next = self.clock.after(self.hold);
            match self.store.renew(&self.key, self.token, self.hold).await {
                Ok(true) => {
                    self.until.send_replace(Some(next));
                }
                Ok(false) => {
                    tracing::warn!(kind = kind(&self.key), "a lock has expired while it was held");
                    self.until.send_replace(None);
                    self.turn = None;
                    return;
                }
                Err(error) => {
                    tracing::warn!(kind = kind(&self.key), %error, "a lock cannot be renewed");
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let (store, key, token) = (self.store.clone(), std::mem::take(&mut self.key), self.token);
        // Where it cannot be given back it expires by itself.
        self.store.background.spawn(async move {
            if let Err(error) = store.unlock(&key, token).await {
                tracing::warn!(kind = kind(&key), %error, "a lock cannot be given back");
            }
            drop(turn);
        });
    }
}

/// What a key begins with. The rest may be a secret, as the id of a stranger's conversation is.
fn kind(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLock").field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;
    use crate::base::clock::{millis, secs};

    #[tokio::test]
    async fn a_lock_is_renewed_while_it_is_held_and_free_afterwards() {
        let shared = MemoryStore::new();
        // Two processes: each has a queue of its own.
        let (here, there) = (BoxStore::new(shared.clone()), BoxStore::new(shared));
        let held = here.lock("a", millis(60)).await.unwrap();
        let late = tokio::time::timeout(millis(200), there.lock("a", secs(5))).await;
        assert!(late.is_err(), "it was renewed");
        assert!(!held.is_lost());
        let token = held.token();
        drop(held);
        let next = there.lock("a", secs(5)).await.unwrap();
        assert!(next.token() > token);
    }

    #[tokio::test]
    async fn a_lock_that_was_taken_away_is_lost() {
        let store = BoxStore::new(MemoryStore::new());
        let held = store.lock("a", millis(30)).await.unwrap();
        assert!(store.unlock("a", held.token()).await.unwrap());
        let mut until = held.until.clone();
        until.wait_for(Option::is_none).await.unwrap();
        assert!(held.is_lost());
    }
}
