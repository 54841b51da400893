use super::boxed::BoxStore;
use super::bucket_error::BucketError;
use super::draw::{Bucket, Draw};
use super::on_failure::OnStoreFailure;
use super::shared::{SharedBucket, SharedHold, Taken};
use super::token_bucket::TokenBucket;
use crate::base::Clock;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A [`TokenBucket`] that several routes, middleware, applications and processes draw from. Clones are the
/// same bucket.
///
/// It limits what a route's model may use (`token_limits = bucket()`), what requests may bring
/// (`RateLimit::tokens`), and how quickly a stream is sent (`sse_stream(…).bucket(…)`); wherever it
/// stands, all draw from the one budget.
///
/// ```
/// use ember::store::GlobalTokenBucket;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let bucket = GlobalTokenBucket::per_minute("chat", 100_000);
/// let mut held = bucket.reserve(600).await.unwrap();
/// assert_eq!(bucket.available(), 99_400);
/// held.used(450);
/// drop(held);
/// assert!(bucket.available() >= 99_550);
/// # }
/// ```
///
/// # Several processes
/// It is in the memory of the process until it has a [`store`](Self::store), or stands on a route or in
/// middleware of an application that has one: then all buckets of its name in that store are one.
/// What they hold together is never overdrawn, as each draw is one step of the store. Every
/// process brings its own capacity and period along, which should be the same in all. A process that
/// dies leaves taken what it held. A store that has forgotten a bucket, as one that was restarted empty,
/// has a full one.
#[derive(Clone)]
pub struct GlobalTokenBucket(Arc<Inner>);

struct Inner {
    name: String,
    capacity: u64,
    period: Duration,
    /// The bucket itself, or what is known here of the one in the store.
    bucket: TokenBucket,
    shared: OnceLock<SharedBucket>,
    allows_on_failure: Arc<AtomicBool>,
}

impl GlobalTokenBucket {
    /// A full bucket of so many tokens, which refills evenly over the period.
    pub fn new(name: impl Into<String>, capacity: u64, period: Duration) -> Self {
        Self::with_clock(name, capacity, period, Clock::system())
    }

    /// A full bucket for so many tokens a minute.
    pub fn per_minute(name: impl Into<String>, tokens: u64) -> Self {
        Self::new(name, tokens, Duration::from_secs(60))
    }

    /// A full bucket for so many tokens a day.
    pub fn per_day(name: impl Into<String>, tokens: u64) -> Self {
        Self::new(name, tokens, Duration::from_secs(24 * 60 * 60))
    }

    /// As [`GlobalTokenBucket::new`], with the time of this clock. One in a store goes by the store's.
    pub fn with_clock(
        name: impl Into<String>,
        capacity: u64,
        period: Duration,
        clock: Clock,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "budgets stay far below 2^53")]
        let tokens = capacity as f64;
        let bucket = TokenBucket::new(tokens, tokens / period.as_secs_f64()).clock(clock);
        Self(Arc::new(Inner {
            name: name.into(),
            capacity,
            period,
            bucket,
            shared: OnceLock::new(),
            allows_on_failure: Arc::default(),
        }))
    }

    /// Keeps the bucket in this store, whatever that of the application is. It stays in the first that
    /// it is given, and so do all clones. The end of an application waits only for what is to be settled
    /// in its own store.
    #[must_use]
    pub fn store(self, store: impl Into<BoxStore>) -> Self {
        self.keep_in(&store.into());
        self
    }

    /// Says what becomes of requests while the store cannot be asked: they are
    /// [denied](OnStoreFailure::Deny) unless it is said. It holds for all clones.
    #[must_use]
    pub fn on_store_failure(self, policy: OnStoreFailure) -> Self {
        self.0.allows_on_failure.store(policy == OnStoreFailure::Allow, Relaxed);
        self
    }

    /// Keeps the bucket in the store of an application, unless it is in one.
    pub(crate) fn keep_in(&self, store: &BoxStore) {
        self.keep_as(store, || format!("bucket:{}", self.0.name));
        let numbers = format!("{} in {:?}", self.0.capacity, self.0.period);
        store.declare(format!("the bucket `{}`", self.0.name), numbers);
    }

    /// As [`GlobalTokenBucket::keep_in`], under a key of its own.
    pub(crate) fn keep_as(&self, store: &BoxStore, key: impl FnOnce() -> String) {
        self.0.shared.get_or_init(|| {
            let bucket = Bucket::refilling(self.0.capacity, self.0.period);
            SharedBucket::with_policy(store, key(), bucket, self.0.allows_on_failure.clone())
        });
    }

    /// What the bucket is called, in logs and by whoever shares it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many tokens it holds when it is full.
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// How long it takes to become full from nothing.
    pub fn period(&self) -> Duration {
        self.0.period
    }

    /// How many whole tokens could be taken now. Of a bucket in a store it is what this process knows:
    /// what the store said last, and what was settled and has grown here since.
    pub fn available(&self) -> u64 {
        self.0.bucket.available()
    }

    /// How long it takes until the bucket is full, if nobody takes any; as
    /// [`available`](Self::available) knows it.
    pub fn until_full(&self) -> Duration {
        self.0.bucket.until_full()
    }

    /// Sets tokens aside until it is known how many are used.
    ///
    /// # Errors
    /// The time until there are so many, as [`TokenBucket::try_consume`] tells it; or why the store
    /// cannot be asked, unless [that is allowed](Self::on_store_failure).
    ///
    /// # Cancel safety
    /// What is set aside for somebody who has gone is given back.
    pub async fn reserve(&self, tokens: u64) -> Result<TokenHold, BucketError> {
        let hold = |shared| TokenHold { bucket: self.clone(), reserved: tokens, used: 0, shared };
        let Some(shared) = self.0.shared.get() else {
            let taken = self.0.bucket.try_consume(tokens);
            return taken.map(|()| hold(None)).map_err(|wait| BucketError::Empty { wait });
        };
        match shared.take(tokens).await.map_err(BucketError::Away)? {
            Taken::Held(held) => {
                match held.left() {
                    Some(left) => self.0.bucket.set_left(left),
                    // Nobody knows, and it is counted here at least.
                    None => self.0.bucket.settle(0, tokens),
                }
                Ok(hold(Some(held)))
            }
            Taken::Refused(drawn) => {
                self.0.bucket.set_left(drawn.left);
                Err(BucketError::Empty { wait: drawn.wait_for(shared.bucket(), tokens) })
            }
        }
    }

    /// Tells whether a token could be taken now.
    ///
    /// # Errors
    /// As [`GlobalTokenBucket::reserve`].
    pub(crate) async fn check(&self) -> Result<(), BucketError> {
        let Some(shared) = self.0.shared.get() else { return self.reserve(1).await.map(drop) };
        let Some(drawn) = shared.draw(Draw::Take(0)).await.map_err(BucketError::Away)? else {
            return Ok(());
        };
        self.0.bucket.set_left(drawn.left);
        match drawn.left {
            1.. => Ok(()),
            _ => Err(BucketError::Empty { wait: drawn.wait_for(shared.bucket(), 1) }),
        }
    }

    /// Takes tokens as soon as there are enough, as [`TokenBucket::consume`] does.
    ///
    /// # Errors
    /// When the bucket can never hold so many, or its store cannot be asked.
    ///
    /// # Cancel safety
    /// Nothing is taken for good before the future is ready.
    pub async fn consume(&self, tokens: u64) -> Result<(), BucketError> {
        if self.0.shared.get().is_none() {
            let taken = self.0.bucket.consume(tokens).await;
            return taken.map_err(|wait| BucketError::Empty { wait });
        }
        loop {
            match self.reserve(tokens).await {
                Ok(mut held) => {
                    held.used(tokens);
                    return Ok(());
                }
                Err(BucketError::Empty { wait }) if wait < Duration::MAX => {
                    self.time().sleep(wait.max(SHORTEST_WAIT)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells whether both are one bucket of this process.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The clock that it refills by.
    pub(crate) fn time(&self) -> &Clock {
        self.0.bucket.time()
    }
}

/// How long nobody asks a store for a token that was just not there.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

impl fmt::Debug for GlobalTokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalTokenBucket")
            .field("name", &self.0.name)
            .field("capacity", &self.0.capacity)
            .field("period", &self.0.period)
            .field("available", &self.available())
            .field("is_shared", &self.0.shared.get().is_some())
            .finish()
    }
}

/// Tokens that are set aside. Dropping it settles what was used in truth: at once, or for a bucket in a
/// store by a task that goes on for half a minute at most while the store is away.
#[derive(Debug)]
#[must_use = "what is set aside is given back when this is dropped"]
pub struct TokenHold {
    bucket: GlobalTokenBucket,
    reserved: u64,
    used: u64,
    shared: Option<SharedHold>,
}

impl TokenHold {
    /// How many tokens are set aside.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// How many tokens the bucket holds when it is full.
    pub fn capacity(&self) -> u64 {
        self.bucket.capacity()
    }

    /// How many tokens were used so far.
    pub fn used_so_far(&self) -> u64 {
        self.used
    }

    /// The bucket.
    pub(crate) fn bucket(&self) -> &GlobalTokenBucket {
        &self.bucket
    }

    /// Sets aside so many in all, if that is more than there are.
    ///
    /// # Errors
    /// As [`GlobalTokenBucket::reserve`]; what was set aside before stays so.
    pub async fn extend_to(&mut self, tokens: u64) -> Result<(), BucketError> {
        if let Some(more) = tokens.checked_sub(self.reserved).filter(|more| *more > 0) {
            let more = self.bucket.reserve(more).await?;
            self.absorb(more);
        }
        Ok(())
    }

    /// Holds what another holds of the same bucket as well.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.reserved = self.reserved.saturating_add(std::mem::take(&mut other.reserved));
        other.used = 0;
        if let Some(more) = other.shared.take() {
            match &mut self.shared {
                Some(shared) => shared.absorb(more),
                none => *none = Some(more),
            }
        }
    }

    /// So many tokens were used so far. The last word counts.
    ///
    /// What goes beyond the reservation is taken at once, so that nobody else is given it, from a store by
    /// a task; if the bucket has none, it is left with a debt.
    pub fn used(&mut self, tokens: u64) {
        self.used = tokens;
        if tokens > self.reserved {
            self.bucket.0.bucket.settle(self.reserved, tokens);
            self.reserved = tokens;
        }
        if let Some(shared) = &mut self.shared {
            shared.used(tokens);
        }
    }
}

impl Drop for TokenHold {
    fn drop(&mut self) {
        self.bucket.0.bucket.settle(self.reserved, self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use crate::store::MemoryStore;

    /// How long a bucket lets whoever wants so many wait.
    async fn wait(bucket: &GlobalTokenBucket, tokens: u64) -> Option<Duration> {
        bucket.reserve(tokens).await.unwrap_err().wait()
    }

    #[tokio::test]
    async fn what_is_set_aside_is_settled_however_it_ends() {
        let hands = ManualClock::new();
        let bucket = GlobalTokenBucket::with_clock("b", 100, secs(100), hands.clock());
        let other = bucket.clone();
        let mut held = bucket.reserve(60).await.unwrap();
        assert_eq!(wait(&other, 50).await, Some(secs(10)));
        held.used(20);
        assert_eq!(other.available(), 40, "it may still use the rest");
        held.extend_to(70).await.unwrap();
        assert_eq!(held.extend_to(101).await.unwrap_err().wait(), Some(secs(1)));
        assert_eq!((held.reserved(), held.used_so_far(), other.available()), (70, 20, 30));
        held.extend_to(10).await.unwrap();
        drop(held);
        assert_eq!(other.available(), 80);
        let mut dear = bucket.reserve(10).await.unwrap();
        dear.used(90);
        assert_eq!((other.available(), other.until_full()), (0, secs(110)), "a debt at once");
        drop(dear);
        assert_eq!(other.until_full(), secs(110));
        assert!(other.is(&bucket) && !other.is(&GlobalTokenBucket::per_minute("b", 100)));
    }

    #[tokio::test]
    async fn what_is_said_of_a_failing_store_holds_before_and_after_the_store_is() {
        let store = crate::store::flaky::Flaky::new(MemoryStore::new());
        let bucket = || GlobalTokenBucket::per_minute("b", 100);
        let allow = OnStoreFailure::Allow;
        store.go_away(true);
        let early = bucket().on_store_failure(allow).store(store.clone());
        drop(early.reserve(1).await.unwrap());
        let late = bucket().store(store.clone());
        let late = late.on_store_failure(allow);
        drop(late.reserve(1).await.unwrap());
        assert!(late.check().await.is_ok());
        let denied = late.on_store_failure(OnStoreFailure::Deny).reserve(1).await;
        assert!(matches!(denied, Err(BucketError::Away(_))), "{denied:?}");
    }

    #[tokio::test]
    async fn buckets_of_one_name_in_one_store_are_one() {
        let hands = ManualClock::new();
        let store = MemoryStore::new().clock(hands.clock());
        // Two processes: each has a store and a bucket of its own.
        let stores = [BoxStore::new(store.clone()), BoxStore::new(store)];
        let bucket = |store: &BoxStore| {
            GlobalTokenBucket::with_clock("b", 100, secs(100), hands.clock()).store(store.clone())
        };
        let (here, there) = (bucket(&stores[0]), bucket(&stores[1]));
        let settled = || async {
            for store in &stores {
                assert!(store.background.idle(secs(20)).await);
            }
        };
        let mut held = here.reserve(60).await.unwrap();
        assert_eq!(wait(&there, 50).await, Some(secs(10)));
        assert_eq!((there.available(), there.until_full()), (40, secs(60)), "it was told");
        held.used(20);
        held.extend_to(70).await.unwrap();
        drop(held);
        settled().await;
        let mut held = there.reserve(80).await.unwrap();
        assert_eq!((here.available(), there.available()), (80, 0), "one has not asked since");
        held.used(110);
        settled().await;
        assert_eq!(wait(&here, 1).await, Some(secs(31)), "a debt at once");
        drop(held);
        hands.advance(secs(31));
        assert!(here.consume(1).await.is_ok());
        assert_eq!(wait(&there, 101).await, Some(Duration::MAX));
    }
}
