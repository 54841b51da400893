use super::capability::Capability;
use super::draw::{Bucket, Draw, Drawn};
use super::failure::refused;
use super::jitter::jitter;
use super::level::{self, Change, SLACK};
use crate::base::Error;
use bytes::Bytes;
use std::future::Future;
use std::time::{Duration, SystemTime};

/// Keeps bytes under keys, for one process or for many.
///
/// A time to live of [`Duration::MAX`] is for ever; one that is finer than the store can measure is
/// rounded up. What has expired is gone for every operation.
///
/// # Errors
/// Every operation ends within the limits that the store was given. One that cannot be done is an
/// error of 503 with `Retry-After`, and may have happened or not: an answer that never came tells
/// nothing. The next one is tried anew, so that a store that comes back needs no restart. A value that
/// is larger than the store keeps is 413.
///
/// ```
/// use ember::base::clock::secs;
/// use ember::store::{MemoryStore, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> ember::Result {
/// let store = MemoryStore::new();
/// store.set("greeting", "hello".into(), secs(60)).await?;
/// let is_changed = store
///     .compare_and_set("greeting", Some("hello".into()), "good morning".into(), secs(60))
///     .await?;
/// assert!(is_changed);
/// assert_eq!(store.get("greeting").await?.as_deref(), Some(&b"good morning"[..]));
/// # Ok(()) }
/// ```
pub trait Store: Send + Sync + 'static {
    /// What and where it is, without passwords: for logs, and for the start-up check.
    fn name(&self) -> String;

    /// What it can do beside what every store can.
    fn capabilities(&self) -> &'static [Capability];

    /// Connects, asks for something small, and says what answered: "Redis 7.2.4 at …".
    fn check(&self) -> impl Future<Output = Result<String, Error>> + Send;

    /// Returns what is kept under a key.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Keeps a value for a time, in place of what was there.
    fn set(
        &self,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets what is kept under a key; tells whether there was something.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Tells whether something is kept under a key.
    fn exists(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Keeps a value if what is there is what was expected, `None` being nothing; tells whether it
    /// did. Looking and keeping are one step for all who share the store.
    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Draws from a bucket: what is there, what has grown since, and what is taken or given back are one
    /// step for all who share the store. A bucket is full until it is drawn from, and a full one has no key.
    ///
    /// Unless it is implemented it is done by [`get`](Self::get) and
    /// [`compare_and_set`](Self::compare_and_set), tried again while others are faster, and by the
    /// clock of this machine: between machines whose clocks differ, a bucket refills by the one that
    /// is ahead, once by as much as it is ahead; until they have caught up, the others add nothing.
    /// Redis goes by its own clock, and SQLite by that of the one machine. A store that implements it
    /// has [`Capability::Draw`].
    ///
    /// By an [id](super::DrawId) something is done once, although it is asked again after an answer that
    /// never came.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether something was drawn.
    fn draw(
        &self,
        key: &str,
        bucket: Bucket,
        draw: Draw,
    ) -> impl Future<Output = Result<Drawn, Error>> + Send {
        by_comparing(self, key, bucket, draw)
    }

    /// Lists keys that begin like this: about so many, beginning where another page ended.
    ///
    /// The order is the store's. A key that is there from the first page to the last is on one of
    /// them, and may be on two. Needs [`Capability::Scan`].
    fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<ScanPage, Error>> + Send;

    /// Takes a lock for a time if nobody has it, and returns its fencing token: greater than that
    /// of everybody who had the lock before. Locks and values of one key do not know each other.
    ///
    /// Needs [`Capability::Lock`]. [`BoxStore::lock`](super::BoxStore::lock) waits, and renews.
    fn try_lock(
        &self,
        key: &str,
        hold: Duration,
    ) -> impl Future<Output = Result<Option<u64>, Error>> + Send;

    /// Keeps a lock for this time from now; tells whether it still was the token's.
    fn renew(
        &self,
        key: &str,
        token: u64,
        hold: Duration,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Gives a lock back; tells whether it still was the token's.
    fn unlock(&self, key: &str, token: u64) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Closes connections that nobody uses at the moment. The next operation connects again.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Some of the keys of a [`Store`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanPage {
    /// The keys. There may be none, and still a further page.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` after the last.
    pub cursor: Option<String>,
}

impl ScanPage {
    /// A page of these keys, with a further one if there is a cursor.
    pub fn new(keys: Vec<String>, cursor: Option<String>) -> Self {
        Self { keys, cursor }
    }
}

/// How often a draw is tried that others get ahead of.
const ATTEMPTS: u32 = 64;

/// Draws by looking, and setting if nobody was faster.
pub(super) async fn by_comparing<S: Store + ?Sized>(
    store: &S,
    key: &str,
    bucket: Bucket,
    what: Draw,
) -> Result<Drawn, Error> {
    for attempt in 0..ATTEMPTS {
        if attempt > 2 {
            // Whoever was faster is let through.
            tokio::time::sleep(pause(attempt)).await;
        }
        let kept = store.get(key).await?;
        let now = micros();
        let (drawn, change) = level::draw(kept.as_deref(), &bucket, what, now)?;
        let (value, ttl) = match change {
            Change::Nothing => return Ok(drawn),
            // What is full is left to expire, as nothing can be deleted only if it is unchanged.
            Change::Forget => (Bytes::from(format!("0 {now}")), SLACK),
            Change::Keep(value, ttl) => (value, ttl),
        };
        if store.compare_and_set(key, kept, value, ttl).await? {
            return Ok(drawn);
        }
    }
    // Each time nothing was set.
    Err(refused("too many draw from one bucket at the same time"))
}

/// Microseconds since 1970, by the clock of this machine.
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Between none and a bound that grows up to 50 ms, so that two do not keep step.
fn pause(attempt: u32) -> Duration {
    jitter(Duration::from_millis(u64::from(attempt.min(50))))
}
