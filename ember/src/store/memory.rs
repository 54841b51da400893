use super::bounded::BoundedMap;
use super::capability::Capability;
use super::draw::{Bucket, Draw, Drawn};
use super::failure::away;
use super::level::{self, Change};
use super::store::{ScanPage, Store};
use crate::base::{Clock, Error};
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many locks may be held at a time; whoever waits for one has a request that waits as well.
const MAX_LOCKS: usize = 100_000;

/// Keeps values in the memory of this process, which forgets them when it ends.
///
/// At most 100,000 values are kept, of 256 MiB together; those that were not set for longest make
/// room. Clones share what they keep.
///
/// It stands on a map under one lock and not on a concurrent cache: comparing and setting is one
/// step with nothing else to synchronise, pages are cut from one state, and time is a value.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    max_entries: usize,
    max_bytes: u64,
    clock: Clock,
    /// The moment from which buckets count.
    began: Instant,
}

struct State {
    values: BoundedMap<Bytes>,
    locks: HashMap<String, Held>,
    /// The last token that was given out.
    token: u64,
}

struct Held {
    token: u64,
    until: Instant,
}

impl MemoryStore {
    /// What it is called.
    pub(super) const NAME: &'static str = "memory";

    /// How many bytes all keys and values have together at most unless it is told otherwise: 256 MiB.
    pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

    /// An empty store.
    pub fn new() -> Self {
        let (max_entries, max_bytes) = (100_000, Self::DEFAULT_MAX_BYTES);
        let state = room(max_entries, max_bytes);
        let clock = Clock::system();
        let began = clock.now();
        Self { state, max_entries, max_bytes, clock, began }
    }

    /// Sets how many values are kept.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self.state = room(entries, self.max_bytes);
        self
    }

    /// Sets how many bytes all keys and values may have together.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self.state = room(self.max_entries, bytes);
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.began = clock.now();
        self.clock = clock;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a value counts for, if it can be kept at all.
    fn weigh(&self, key: &str, value: &Bytes) -> Result<u64, Error> {
        let weight = (key.len() + value.len()) as u64;
        if weight > self.max_bytes {
            return Err(Error::payload_too_large("This is too large to be kept."));
        }
        Ok(weight)
    }
}

fn room(entries: usize, bytes: u64) -> Arc<Mutex<State>> {
    let values = BoundedMap::new(entries).max_weight(bytes);
    Arc::new(Mutex::new(State { values, locks: HashMap::new(), token: 0 }))
}

impl Store for MemoryStore {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    fn capabilities(&self) -> &'static [Capability] {
        Capability::ALL
    }

    async fn check(&self) -> Result<String, Error> {
        Ok("memory of this process".to_owned())
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.state().values.get(key, self.clock.now()).cloned())
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        let weight = self.weigh(key, &value)?;
        let (now, expires) = (self.clock.now(), self.clock.after(ttl));
        self.state().values.insert_weighed(key, value, weight, expires, now);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let mut state = self.state();
        let was_there = state.values.get(key, self.clock.now()).is_some();
        state.values.remove(key);
        Ok(was_there)
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(self.state().values.get(key, self.clock.now()).is_some())
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let weight = self.weigh(key, &value)?;
        let (now, expires) = (self.clock.now(), self.clock.after(ttl));
        let mut state = self.state();
        let is_expected = state.values.get(key, now) == expected.as_ref();
        if is_expected {
            state.values.insert_weighed(key, value, weight, expires, now);
        }
        Ok(is_expected)
    }

    async fn draw(&self, key: &str, bucket: Bucket, what: Draw) -> Result<Drawn, Error> {
        let now = self.clock.now();
        let micros = now.saturating_duration_since(self.began).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        let mut state = self.state();
        let kept = state.values.get(key, now).cloned();
        let (drawn, change) = level::draw(kept.as_deref(), &bucket, what, micros)?;
        match change {
            Change::Nothing => {}
            Change::Forget => drop(state.values.remove(key)),
            Change::Keep(value, ttl) => {
                let weight = self.weigh(key, &value)?;
                state.values.insert_weighed(key, value, weight, self.clock.after(ttl), now);
            }
        }
        Ok(drawn)
    }

    async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        let state = self.state();
        let keys = state.values.iter(self.clock.now()).map(|(key, _)| key);
        let keys = keys.filter(|key| key.starts_with(prefix) && cursor.is_none_or(|at| *key > at));
        let mut keys: Vec<_> = keys.map(str::to_owned).collect();
        drop(state);
        keys.sort_unstable();
        let is_last = keys.len() <= limit.max(1);
        keys.truncate(limit.max(1));
        let cursor = keys.last().filter(|_| !is_last).cloned();
        Ok(ScanPage::new(keys, cursor))
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        let (now, until) = (self.clock.now(), self.clock.after(hold));
        let mut state = self.state();
        if state.locks.get(key).is_some_and(|held| now < held.until) {
            return Ok(None);
        }
        if state.locks.len() >= MAX_LOCKS {
            state.locks.retain(|_, held| now < held.until);
            if state.locks.len() >= MAX_LOCKS {
                return Err(away("more locks are held than may be"));
            }
        }
        state.token += 1;
        let token = state.token;
        state.locks.insert(key.to_owned(), Held { token, until });
        Ok(Some(token))
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        let (now, until) = (self.clock.now(), self.clock.after(hold));
        let mut state = self.state();
        let held = state.locks.get_mut(key);
        Ok(match held.filter(|held| held.token == token && now < held.until) {
            Some(held) => {
                held.until = until;
                true
            }
            None => false,
        })
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut state = self.state();
        let is_ours = state.locks.get(key).is_some_and(|held| held.token == token);
        let held = if is_ours { state.locks.remove(key) } else { None };
        Ok(held.is_some_and(|held| now < held.until))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("values", &self.state().values.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};

    #[tokio::test]
    async fn memory_is_bounded_and_forgets_in_time() {
        let hands = ManualClock::new();
        let store = MemoryStore::new().max_entries(2).max_bytes(20).clock(hands.clock());
        for key in ["a", "b", "c"] {
            store.set(key, "1234".into(), secs(10)).await.unwrap();
        }
        assert!(!store.exists("a").await.unwrap(), "the oldest made room");
        let large = store.set("d", vec![0; 20].into(), secs(10)).await.unwrap_err();
        assert_eq!(large.status(), 413);
        assert!(store.exists("b").await.unwrap());
        hands.advance(secs(10));
        assert!(!store.exists("b").await.unwrap() && !store.delete("b").await.unwrap());
        assert!(store.compare_and_set("c", None, "new".into(), Duration::MAX).await.unwrap());
    }

    #[tokio::test]
    async fn a_lock_that_is_not_renewed_goes_to_the_next() {
        let hands = ManualClock::new();
        let store = MemoryStore::new().clock(hands.clock());
        let first = store.try_lock("a", secs(10)).await.unwrap().unwrap();
        assert_eq!(store.try_lock("a", secs(10)).await.unwrap(), None);
        hands.advance(secs(9));
        assert!(store.renew("a", first, secs(10)).await.unwrap());
        hands.advance(secs(9));
        assert_eq!(store.try_lock("a", secs(10)).await.unwrap(), None);
        hands.advance(secs(1));
        let second = store.try_lock("a", secs(10)).await.unwrap().unwrap();
        assert!(second > first);
        assert!(!store.renew("a", first, secs(10)).await.unwrap());
        assert!(!store.unlock("a", first).await.unwrap());
        assert!(store.unlock("a", second).await.unwrap());
    }
}
