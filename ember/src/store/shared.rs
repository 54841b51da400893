use super::boxed::BoxStore;
use super::draw::{Bucket, Draw, Drawn};
use super::failure::{away, is_not_done};
use super::on_failure::OnStoreFailure;
use crate::base::Error;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For how long settling is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How soon settling is tried again, at first and at last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The longest part of a key that stands in it as it is, in bytes.
const MAX_PART: usize = 128;

/// A bucket that is kept in a store, for all who share it.
#[derive(Clone)]
pub(crate) struct SharedBucket(Arc<Inner>);

struct Inner {
    store: BoxStore,
    key: String,
    bucket: Bucket,
    on_failure: OnStoreFailure,
}

/// What became of an attempt to take something.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is held.
    Held(SharedHold),
    /// There was not so much.
    Refused(Drawn),
}

impl SharedBucket {
    pub(crate) fn new(
        store: &BoxStore,
        key: String,
        bucket: Bucket,
        on_failure: OnStoreFailure,
    ) -> Self {
        Self(Arc::new(Inner { store: store.clone(), key, bucket, on_failure }))
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    /// Draws once and for all; `None` where the store cannot be asked and what is limited passes then.
    pub(crate) async fn draw(&self, draw: Draw) -> Result<Option<Drawn>, Error> {
        let Inner { store, key, bucket, on_failure } = &*self.0;
        match (store.draw(key, *bucket, draw).await, on_failure) {
            (Ok(drawn), _) => Ok(Some(drawn)),
            (Err(_), OnStoreFailure::Allow) => Ok(None),
            (Err(error), OnStoreFailure::Deny) => Err(error),
        }
    }

    /// Tells what is there, or why nobody knows, whatever passes then.
    pub(crate) async fn ask(&self) -> Result<Drawn, Error> {
        self.0.store.draw(&self.0.key, self.0.bucket, Draw::Take(0)).await
    }

    /// Takes so much until it is known how much is used. Nothing is always to be had.
    ///
    /// # Errors
    /// When the store cannot be asked, and nothing passes then.
    ///
    /// # Cancel safety
    /// What is taken for somebody who has gone is given back.
    pub(crate) async fn take(&self, amount: u64) -> Result<Taken, Error> {
        if amount == 0 {
            return Ok(Taken::Held(SharedHold::new(self.clone(), 0, None)));
        }
        let (tell, told) = oneshot::channel();
        let bucket = self.clone();
        // It goes on when nobody waits for it any more: only then is it known what to give back.
        tokio::spawn(async move {
            let drawn = bucket.draw(Draw::Take(amount)).await;
            let outcome = drawn.map(|drawn| match drawn {
                Some(drawn) if !drawn.taken => Taken::Refused(drawn),
                drawn => Taken::Held(SharedHold::new(bucket, amount, drawn)),
            });
            // A hold that nobody takes is dropped, which settles it.
            drop(tell.send(outcome));
        });
        told.await.unwrap_or_else(|_| Err(away("a draw was cut off")))
    }

    /// Gives back, or takes even where it leaves a debt: until it is done, as far as that goes.
    async fn settle(&self, amount: i64) -> Option<Drawn> {
        let Inner { store, key, bucket, .. } = &*self.0;
        let until = Instant::now() + PATIENCE;
        let (mut pause, longest) = PAUSE;
        loop {
            let error = match store.draw(key, *bucket, Draw::Adjust(amount)).await {
                Ok(drawn) => return Some(drawn),
                Err(error) => error,
            };
            // What has no answer may have been done. To take twice is the safe side, to give back
            // twice is not.
            let may_repeat = amount < 0 || is_not_done(&error);
            if !may_repeat || Instant::now() + pause > until {
                tracing::debug!(key, amount, error = %error, "a limit cannot be settled");
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

impl fmt::Debug for SharedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { store, key, bucket, .. } = &*self.0;
        f.debug_struct("SharedBucket")
            .field("store", store)
            .field("key", key)
            .field("bucket", bucket)
            .finish()
    }
}

/// What is held of a bucket. Dropping it settles what was used, by a task of its own.
///
/// A process that dies before leaves it taken, which is the safe side.
#[derive(Debug)]
pub(crate) struct SharedHold {
    ledger: Arc<Ledger>,
    taken: u64,
    /// So much of it was never taken from the store, as nobody could ask it.
    uncounted: u64,
    used: u64,
}

impl SharedHold {
    fn new(bucket: SharedBucket, amount: u64, drawn: Option<Drawn>) -> Self {
        let left = drawn.map_or(i64::MAX, |drawn| drawn.left);
        let ledger = Ledger { bucket, state: Mutex::new(State { left, ..State::default() }) };
        let uncounted = if drawn.is_some() { 0 } else { amount };
        Self { ledger: Arc::new(ledger), taken: amount, uncounted, used: 0 }
    }

    /// How much is left for others, as the store last said, beside what it has yet to be told. `None`
    /// where it could not be asked.
    pub(crate) fn left(&self) -> Option<i64> {
        Some(self.ledger.state().left).filter(|left| *left != i64::MAX)
    }

    /// So much was used so far. The last word counts. What goes beyond what is held is taken from the
    /// store at once, by a task, even if it leaves a debt.
    pub(crate) fn used(&mut self, amount: u64) {
        self.used = amount;
        if let Some(more) = amount.checked_sub(self.taken).filter(|more| *more > 0) {
            self.taken = amount;
            if self.is_counted() {
                self.ledger.owe(-signed(more));
            } else {
                self.uncounted = amount;
            }
        }
    }

    /// Holds what another holds of the same bucket as well.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        if !self.is_counted() {
            std::mem::swap(&mut self.ledger, &mut other.ledger);
        } else if let Some(left) = other.left() {
            self.ledger.state().left = left;
        }
        self.taken = self.taken.saturating_add(std::mem::take(&mut other.taken));
        self.uncounted = self.uncounted.saturating_add(std::mem::take(&mut other.uncounted));
        other.used = 0;
    }

    fn is_counted(&self) -> bool {
        self.taken == 0 || self.uncounted < self.taken
    }
}

impl Drop for SharedHold {
    fn drop(&mut self) {
        let unused = self.taken.saturating_sub(self.used);
        let back = unused.min(self.taken.saturating_sub(self.uncounted));
        self.ledger.owe(signed(back));
    }
}

/// What a store has yet to be told of one hold.
#[derive(Debug)]
struct Ledger {
    bucket: SharedBucket,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Less than nothing is to be taken.
    owed: i64,
    /// A task tells the store.
    is_told: bool,
    /// What is left for others.
    left: i64,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is to be told. One task tells it, however often there is more.
    fn owe(self: &Arc<Self>, amount: i64) {
        if amount == 0 {
            return;
        }
        let mut state = self.state();
        state.owed = state.owed.saturating_add(amount);
        if state.left != i64::MAX {
            state.left = state.left.saturating_add(amount).min(i64::MAX - 1);
        }
        if std::mem::replace(&mut state.is_told, true) {
            return;
        }
        drop(state);
        let ledger = self.clone();
        if !self.bucket.0.store.background.spawn(async move { ledger.tell().await }) {
            tracing::debug!(bucket = ?self.bucket, "a limit cannot be settled: no task can be begun");
            self.state().is_told = false;
        }
    }

    async fn tell(&self) {
        loop {
            let amount = {
                let mut state = self.state();
                let amount = std::mem::take(&mut state.owed);
                if amount == 0 {
                    state.is_told = false;
                    return;
                }
                amount
            };
            if let Some(drawn) = self.bucket.settle(amount).await {
                let mut state = self.state();
                state.left = drawn.left.saturating_add(state.owed);
            }
        }
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// A part of a key that others choose: as it is, or by its SHA-256 if it is long.
pub(crate) fn key_part(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_PART {
        return text.into();
    }
    format!("sha256:{:x}", Sha256::digest(text.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;
    use crate::base::clock::secs;

    fn shared(store: &BoxStore) -> SharedBucket {
        let bucket = Bucket::once(100, secs(1_000));
        SharedBucket::new(store, "b".to_owned(), bucket, OnStoreFailure::Deny)
    }

    async fn left(bucket: &SharedBucket) -> i64 {
        assert!(bucket.0.store.idle(secs(20)).await);
        bucket.draw(Draw::Take(0)).await.unwrap().unwrap().left
    }

    fn held(taken: Taken) -> SharedHold {
        let Taken::Held(hold) = taken else { panic!("refused") };
        hold
    }

    #[tokio::test]
    async fn what_is_held_is_settled_however_it_ends() {
        let bucket = shared(&MemoryStore::new().into());
        let mut hold = held(bucket.take(60).await.unwrap());
        assert_eq!(hold.left(), Some(40));
        let Taken::Refused(drawn) = bucket.take(50).await.unwrap() else { panic!() };
        assert_eq!(drawn.left, 40);
        hold.used(20);
        assert_eq!(left(&bucket).await, 40, "it may still use the rest");
        hold.absorb(held(bucket.take(10).await.unwrap()));
        assert_eq!(left(&bucket).await, 30);
        hold.used(90);
        assert_eq!(hold.left(), Some(10));
        assert_eq!(left(&bucket).await, 10, "beyond what was held");
        hold.used(115);
        assert_eq!(left(&bucket).await, -15, "a debt");
        assert_eq!(hold.left(), Some(-15));
        drop(hold);
        assert_eq!(left(&bucket).await, -15);
    }

    #[tokio::test]
    async fn what_is_taken_for_somebody_who_has_gone_is_given_back() {
        let bucket = shared(&MemoryStore::new().into());
        for _ in 0..20 {
            let mut take = Box::pin(bucket.take(30));
            let waker = std::task::Waker::noop();
            let _ = take.as_mut().poll(&mut std::task::Context::from_waker(waker));
            drop(take);
        }
        while left(&bucket).await < 100 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn long_parts_of_keys_are_hashed() {
        assert_eq!(key_part("key ann"), "key ann");
        let long = "x".repeat(200);
        assert!(key_part(&long).starts_with("sha256:") && key_part(&long).len() < 80);
        assert_ne!(key_part(&long), key_part(&"y".repeat(200)));
    }
}
