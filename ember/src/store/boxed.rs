use super::background::Background;
use super::capability::Capability;
use super::draw::{Bucket, Draw, Drawn};
use super::failure::{away, refused};
use super::locks::KeyedLocks;
use super::outage::Outage;
use super::store::{ScanPage, Store};
use crate::base::{Error, Finding, random_id};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A store whose type is forgotten. Clones are the same store.
///
/// The operations are those of [`Store`], with its promises, and [`BoxStore::lock`]. When the store
/// begins to fail, the log is told once, and once more when it answers again.
#[derive(Clone)]
pub struct BoxStore {
    store: Arc<dyn Erased>,
    /// One of those who wait for a lock asks the store, the others wait here behind it.
    pub(super) queues: KeyedLocks,
    /// What goes on after the request that began it.
    pub(super) background: Arc<Background>,
    outage: Arc<Outage>,
    /// The limits of the program that have a name here, and by which numbers.
    limits: Arc<Mutex<BTreeMap<String, Vec<Declared>>>>,
    /// Where the limits stand that are declared by this handle.
    place: Option<Arc<str>>,
}

/// The numbers of a limit, and where they stand first as far as that is known.
struct Declared {
    numbers: String,
    place: Option<Arc<str>>,
}

/// How long a draw waits for others of the process at most, where they go one behind another.
const DRAW_PATIENCE: Duration = Duration::from_secs(4);

impl BoxStore {
    /// Forgets the type of a store.
    pub fn new(store: impl Store) -> Self {
        Self {
            store: Arc::new(store),
            queues: KeyedLocks::new(),
            background: Arc::default(),
            outage: Arc::default(),
            limits: Arc::default(),
            place: None,
        }
    }

    fn seen<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        self.outage.seen(outcome, || self.name())
    }

    /// What goes on after the request that began it.
    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    /// What and where it is, without passwords.
    pub fn name(&self) -> String {
        self.store.name()
    }

    /// Tells whether it is the memory of this process, which nobody else has and which is never away.
    pub(crate) fn is_memory(&self) -> bool {
        self.name() == super::MemoryStore::NAME
    }

    /// What tells this store from others of the process.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.background).addr()
    }

    /// The same store, for limits that stand at a place of the program. Findings name it.
    pub(crate) fn at(&self, place: impl fmt::Display) -> Self {
        Self { place: Some(place.to_string().into()), ..self.clone() }
    }

    /// Notes a limit of the program that is kept here under a name, and its numbers.
    pub(crate) fn declare(&self, limit: String, numbers: String) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.entry(limit).or_default();
        let place = self.place.clone();
        match known.iter_mut().find(|declared| declared.numbers == numbers) {
            Some(declared) => declared.place = declared.place.take().or(place),
            None => known.push(Declared { numbers, place }),
        }
    }

    /// The limits of one name and of different numbers: each would go by its own, and count for all.
    pub(crate) fn contradictions(&self) -> Vec<Finding> {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let differing = limits.iter().filter(|(_, declared)| declared.len() > 1);
        let findings = differing.map(|(limit, declared)| {
            let numbers: Vec<_> = declared.iter().map(|one| one.numbers.as_str()).collect();
            let message = format!(
                "{limit} stands in the program with different numbers, and is one limit: {}; one of another name is another",
                numbers.join(", and ")
            );
            let placed = declared.iter().filter_map(|one| Some((one.place.as_deref()?, &one.numbers)));
            let places = placed.map(|(place, numbers)| format!("{place}, with {numbers}"));
            places.fold(Finding::new(message), Finding::at)
        });
        findings.collect()
    }

    /// Why the store may forget what it was given to keep, if it is one of those.
    pub(crate) fn forgets(&self) -> Option<&'static str> {
        match self.name() {
            _ if self.is_memory() => {
                Some("which ends with the process and is shared with no other")
            }
            name if name.starts_with("memcached:") => {
                Some("which is emptied by a restart and makes room for what is new")
            }
            _ => None,
        }
    }

    /// Tells whether the store can do something that not every one can.
    pub fn can(&self, capability: Capability) -> bool {
        self.store.capabilities().contains(&capability)
    }

    /// Connects, says what answered, and tries each operation with a key of its own.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn check(&self) -> Result<String, Error> {
        let answered = self.store.check().await?;
        let (key, ttl) = (format!("check:{}", random_id()?), Duration::from_secs(30));
        self.set(&key, "1", ttl).await?;
        let changed = self.compare_and_set(&key, Some("1".into()), "2", ttl).await?;
        if !changed || self.get(&key).await?.as_deref() != Some(b"2") {
            return Err(away("it does not keep what it is given"));
        }
        if self.can(Capability::Scan) {
            self.scan(&key, None, 1).await?;
        }
        if self.can(Capability::Lock)
            // One key for all checks, as servers remember locks for a while.
            && let Some(token) = self.try_lock("check", ttl).await?
        {
            self.unlock("check", token).await?;
        }
        self.delete(&key).await?;
        Ok(answered)
    }

    /// Returns what is kept under a key.
    ///
    /// # Errors
    /// As [`Store`] says.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.seen(self.store.get(key).await)
    }

    /// Keeps a value for a time.
    ///
    /// # Errors
    /// As [`Store`] says.
    pub async fn set(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<(), Error> {
        self.seen(self.store.set(key, value.into(), ttl).await)
    }

    /// Forgets what is kept under a key; tells whether there was something.
    ///
    /// # Errors
    /// As [`Store`] says.
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.seen(self.store.delete(key).await)
    }

    /// Tells whether something is kept under a key.
    ///
    /// # Errors
    /// As [`Store`] says.
    pub async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.seen(self.store.exists(key).await)
    }

    /// Keeps a value if what is there is what was expected; tells whether it did.
    ///
    /// # Errors
    /// As [`Store`] says.
    pub async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<bool, Error> {
        self.seen(self.store.compare_and_set(key, expected, value.into(), ttl).await)
    }

    /// Draws from a bucket.
    ///
    /// Where the store [does not do so by itself](Capability::Draw), those who draw from one bucket go one
    /// behind another, and wait for at most four seconds.
    ///
    /// # Errors
    /// As [`Store`] says.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether something was drawn.
    pub async fn draw(&self, key: &str, bucket: Bucket, draw: Draw) -> Result<Drawn, Error> {
        if self.can(Capability::Draw) {
            return self.seen(self.store.draw(key, bucket, draw).await);
        }
        let until = tokio::time::Instant::now() + DRAW_PATIENCE;
        // A lock of the same key is something else.
        let key_of_turn = format!("draw {key}");
        let turn = tokio::time::timeout_at(until, self.queues.lock(&key_of_turn)).await;
        let Ok(_turn) = turn else {
            return self.seen(Err(refused("too many wait to draw from one bucket")));
        };
        let drawn = tokio::time::timeout_at(until, self.store.draw(key, bucket, draw)).await;
        self.seen(drawn.unwrap_or_else(|_| Err(away("the store has not drawn in time"))))
    }

    /// Lists keys that begin like this, as far as a page goes.
    ///
    /// # Errors
    /// As [`Store`] says.
    pub async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        self.seen(self.store.scan(prefix, cursor, limit).await)
    }

    /// Closes connections that nobody uses at the moment. The next operation connects again.
    pub async fn close(&self) {
        self.store.close().await;
    }

    pub(super) async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        self.seen(self.store.try_lock(key, hold).await)
    }

    pub(super) async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        self.seen(self.store.renew(key, token, hold).await)
    }

    pub(super) async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        self.seen(self.store.unlock(key, token).await)
    }
}

impl<S: Store> From<S> for BoxStore {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl fmt::Debug for BoxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoxStore").field(&self.name()).finish()
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The boxed twin of [`Store`].
trait Erased: Send + Sync {
    fn name(&self) -> String;
    fn capabilities(&self) -> &'static [Capability];
    fn check(&self) -> Boxed<'_, String>;
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<Bytes>>;
    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Boxed<'a, ()>;
    fn delete<'a>(&'a self, key: &'a str) -> Boxed<'a, bool>;
    fn exists<'a>(&'a self, key: &'a str) -> Boxed<'a, bool>;
    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Boxed<'a, bool>;
    fn draw<'a>(&'a self, key: &'a str, bucket: Bucket, draw: Draw) -> Boxed<'a, Drawn>;
    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: usize,
    ) -> Boxed<'a, ScanPage>;
    fn try_lock<'a>(&'a self, key: &'a str, hold: Duration) -> Boxed<'a, Option<u64>>;
    fn renew<'a>(&'a self, key: &'a str, token: u64, hold: Duration) -> Boxed<'a, bool>;
    fn unlock<'a>(&'a self, key: &'a str, token: u64) -> Boxed<'a, bool>;
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<S: Store> Erased for S {
    fn name(&self) -> String {
        Store::name(self)
    }

    fn capabilities(&self) -> &'static [Capability] {
        Store::capabilities(self)
    }

    fn check(&self) -> Boxed<'_, String> {
        Box::pin(Store::check(self))
    }

    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<Bytes>> {
        Box::pin(Store::get(self, key))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Boxed<'a, ()> {
        Box::pin(Store::set(self, key, value, ttl))
    }

    fn delete<'a>(&'a self, key: &'a str) -> Boxed<'a, bool> {
        Box::pin(Store::delete(self, key))
    }

    fn exists<'a>(&'a self, key: &'a str) -> Boxed<'a, bool> {
        Box::pin(Store::exists(self, key))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Boxed<'a, bool> {
        Box::pin(Store::compare_and_set(self, key, expected, value, ttl))
    }

    fn draw<'a>(&'a self, key: &'a str, bucket: Bucket, draw: Draw) -> Boxed<'a, Drawn> {
        Box::pin(Store::draw(self, key, bucket, draw))
    }

    fn scan<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: usize,
    ) -> Boxed<'a, ScanPage> {
        Box::pin(Store::scan(self, prefix, cursor, limit))
    }

    fn try_lock<'a>(&'a self, key: &'a str, hold: Duration) -> Boxed<'a, Option<u64>> {
        Box::pin(Store::try_lock(self, key, hold))
    }

    fn renew<'a>(&'a self, key: &'a str, token: u64, hold: Duration) -> Boxed<'a, bool> {
        Box::pin(Store::renew(self, key, token, hold))
    }

    fn unlock<'a>(&'a self, key: &'a str, token: u64) -> Boxed<'a, bool> {
        Box::pin(Store::unlock(self, key, token))
    }
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Store::close(self))
    }
}
