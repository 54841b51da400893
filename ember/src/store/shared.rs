use super::boxed::BoxStore;
use super::draw::{Bucket, Draw, DrawId, Drawn};
use super::failure::{away, is_not_done, not_done};
use super::on_failure::OnStoreFailure;
use crate::base::Error;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For how long settling is tried again: less than a store remembers what it has done by an id.
const PATIENCE: Duration = Duration::from_secs(30);

/// For how long it is tried to undo what may have happened, or may happen yet.
const PATIENCE_TO_UNDO: Duration = Duration::from_secs(5 * 60);

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
    /// Whether what is limited passes while the store cannot be asked. Others may change it.
    allows_on_failure: Arc<AtomicBool>,
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
        let allows = AtomicBool::new(on_failure == OnStoreFailure::Allow);
        Self::with_policy(store, key, bucket, Arc::new(allows))
    }

    /// As [`SharedBucket::new`], where it may be said at any time whether what is limited passes while the
    /// store cannot be asked.
    pub(super) fn with_policy(
        store: &BoxStore,
        key: String,
        bucket: Bucket,
        allows_on_failure: Arc<AtomicBool>,
    ) -> Self {
        Self(Arc::new(Inner { store: store.clone(), key, bucket, allows_on_failure }))
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    /// Draws once and for all; `None` where the store cannot be asked and what is limited passes then.
    pub(crate) async fn draw(&self, draw: Draw) -> Result<Option<Drawn>, Error> {
        match self.0.draw(draw).await {
            Ok(drawn) => Ok(Some(drawn)),
            Err(error) => self.0.passes(error).map(|()| None),
        }
    }

    /// Tells what is there, or why nobody knows, whatever passes then.
    pub(crate) async fn ask(&self) -> Result<Drawn, Error> {
        self.0.draw(Draw::Take(0)).await
    }

    /// Takes so much until it is known how much is used. Nothing is always to be had.
    ///
    /// # Errors
    /// When the store cannot be asked, and nothing passes then.
    ///
    /// # Cancel safety
    /// What is taken for somebody who has gone is given back; so is what a store takes that has not
    /// answered in time, when it answers again.
    pub(crate) async fn take(&self, amount: u64) -> Result<Taken, Error> {
        if amount == 0 {
            return Ok(Taken::Held(SharedHold::new(self.clone(), 0, None)));
        }
        let (tell, told) = oneshot::channel();
        let bucket = self.clone();
        // It goes on when nobody waits for it any more: only then is it known what to give back.
        let taking = async move {
            let outcome = bucket.take_once(amount).await;
            // A hold that nobody takes is dropped, which settles it.
            drop(tell.send(outcome));
        };
        if !self.0.store.background.spawn(taking) {
            self.0.passes(not_done("no task can be begun"))?;
            return Ok(Taken::Held(SharedHold::new(self.clone(), amount, None)));
        }
        told.await.unwrap_or_else(|_| Err(away("a draw was cut off")))
    }

    async fn take_once(self, amount: u64) -> Result<Taken, Error> {
        let id = DrawId::random();
        let drawn = match self.0.draw(Draw::TakeOnce(amount, id)).await {
            Ok(drawn) if !drawn.taken => return Ok(Taken::Refused(drawn)),
            Ok(drawn) => Some(drawn),
            Err(error) => {
                if !is_not_done(&error) {
                    self.undo(amount, id);
                }
                self.0.passes(error)?;
                None
            }
        };
        Ok(Taken::Held(SharedHold::new(self, amount, drawn)))
    }

    /// Gives back what was taken by an id, by a task, if it was or will be.
    fn undo(&self, amount: u64, id: DrawId) {
        let Self(inner) = self.clone();
        let undoing = async move {
            if let Err(error) = inner.persist(Draw::Undo(id), PATIENCE_TO_UNDO).await {
                let key = &inner.key;
                tracing::warn!(key, amount, %error, "a limit has perhaps taken what nobody uses, and it stays taken");
            }
        };
        if !self.0.store.background.spawn(undoing) {
            let key = &self.0.key;
            tracing::warn!(
                key,
                amount,
                "a limit has perhaps taken what nobody uses: no task can be begun"
            );
        }
    }

    /// Gives back, or takes even where it leaves a debt: until it is done, as far as that goes.
    async fn settle(&self, amount: i64) -> Option<Drawn> {
        // What has no answer may have been done. By its id it is done once.
        let draw = Draw::AdjustOnce(amount, DrawId::random());
        let outcome = self.0.persist(draw, PATIENCE).await;
        let key = &self.0.key;
        outcome.inspect_err(|error| not_settled(key, amount, error)).ok()
    }
}

/// Tells the log what was lost.
fn not_settled(key: &str, amount: i64, why: &dyn fmt::Display) {
    match amount {
        0.. => {
            tracing::warn!(key, amount, error = %why, "a limit cannot be settled: what was not used stays taken")
        }
        _ => {
            tracing::warn!(key, amount, error = %why, "a limit cannot be settled: what was used is not counted")
        }
    }
}

impl Inner {
    async fn draw(&self, draw: Draw) -> Result<Drawn, Error> {
        self.store.draw(&self.key, self.bucket, draw).await
    }

    /// Lets what is limited pass although the store has failed, or does not.
    fn passes(&self, error: Error) -> Result<(), Error> {
        if self.allows_on_failure.load(Relaxed) { Ok(()) } else { Err(error) }
    }

    /// Draws by an id until the store has answered.
    async fn persist(&self, draw: Draw, patience: Duration) -> Result<Drawn, Error> {
        let until = Instant::now() + patience;
        let (mut pause, longest) = PAUSE;
        loop {
            match self.draw(draw).await {
                Err(_) if Instant::now() + pause <= until => {}
                outcome => return outcome,
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

    /// Gives back so much of what is held and not used.
    pub(crate) fn give_back(&mut self, amount: u64) {
        let counted = self.taken.saturating_sub(self.used.max(self.uncounted));
        let back = amount.min(counted);
        self.taken -= back;
        self.ledger.owe(signed(back));
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
            let mut state = self.state();
            state.is_told = false;
            not_settled(&self.bucket.0.key, state.owed, &"no task can be begun");
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
    use super::super::capability::Capability;
    use super::super::flaky::Flaky;
    use super::super::memory::MemoryStore;
    use super::*;
    use crate::base::clock::secs;

    fn shared(store: &BoxStore) -> SharedBucket {
        let bucket = Bucket::once(100, secs(1_000));
        SharedBucket::new(store, "b".to_owned(), bucket, OnStoreFailure::Deny)
    }

    async fn left(bucket: &SharedBucket) -> i64 {
        assert!(bucket.0.store.background.idle(secs(20)).await);
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
        let store = drawing();
        let bucket = shared(&store.clone().into());
        for _ in 0..20 {
            let mut take = Box::pin(bucket.take(30));
            let waker = std::task::Waker::noop();
            let _ = take.as_mut().poll(&mut std::task::Context::from_waker(waker));
            drop(take);
        }
        // It waits for all of it: those who take are counted, too.
        assert_eq!(left(&bucket).await, 100);
        let asked = store.take_draws();
        let of = |is: fn(&Draw) -> bool| asked.iter().filter(|draw| is(draw)).count();
        assert_eq!(of(|draw| matches!(draw, Draw::TakeOnce(30, _))), 20);
        assert!(of(|draw| matches!(draw, Draw::AdjustOnce(30, _))) >= 3, "some were taken");
    }

    /// A store that draws by itself.
    fn drawing() -> Flaky {
        Flaky::new(MemoryStore::new()).capable(Capability::ALL)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_without_an_answer_is_given_back() {
        for policy in [OnStoreFailure::Deny, OnStoreFailure::Allow] {
            let store = drawing();
            let bucket = Bucket::once(100, secs(1_000));
            let bucket = SharedBucket::new(&store.clone().into(), "b".to_owned(), bucket, policy);
            store.lose(4);
            let taken = bucket.take(30).await;
            assert_eq!(taken.is_ok(), policy == OnStoreFailure::Allow);
            drop(taken);
            assert_eq!(left(&bucket).await, 100);
            assert_eq!(
                store.take_draws().len(),
                6,
                "it was taken, undone until there was an answer, and looked at"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_settled_without_an_answer_is_settled_once() {
        let store = drawing();
        let bucket = shared(&store.clone().into());
        let mut hold = held(bucket.take(60).await.unwrap());
        store.lose(3);
        hold.used(75);
        assert_eq!(left(&bucket).await, 25, "a debt is taken once");
        let other = held(bucket.take(20).await.unwrap());
        store.lose(3);
        drop(other);
        assert_eq!(left(&bucket).await, 25, "what is given back is given back once");
        assert_eq!(store.take_draws().len(), 1 + 4 + 1 + 1 + 4 + 1);
    }

    #[tokio::test]
    async fn what_is_held_can_be_given_back_early() {
        let bucket = shared(&MemoryStore::new().into());
        let mut hold = held(bucket.take(60).await.unwrap());
        hold.used(10);
        hold.give_back(40);
        assert_eq!(left(&bucket).await, 80);
        hold.give_back(40);
        assert_eq!(left(&bucket).await, 90, "no more than is not used");
        hold.used(15);
        drop(hold);
        assert_eq!(left(&bucket).await, 85);
    }

    #[test]
    fn long_parts_of_keys_are_hashed() {
        assert_eq!(key_part("key ann"), "key ann");
        let long = "x".repeat(200);
        assert!(key_part(&long).starts_with("sha256:") && key_part(&long).len() < 80);
        assert_ne!(key_part(&long), key_part(&"y".repeat(200)));
    }
}
