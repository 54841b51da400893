//! A store that can go away, and that remembers what it was asked.

use ember::Error;
use ember::bytes::Bytes;
use ember::store::{Capability, MemoryStore, ScanPage, Store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A store in memory, which can do as little as Memcached. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct Flaky {
    memory: Arc<Mutex<MemoryStore>>,
    is_away: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
}

impl Flaky {
    /// A store that is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether it is away.
    pub fn go_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    /// Forgets everything, as a server that is restarted.
    pub fn restart(&self) {
        *self.memory.lock().unwrap() = MemoryStore::new();
    }

    /// The keys that begin like this.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let memory = self.memory.lock().unwrap().clone();
        memory.scan(prefix, None, 10_000).await.unwrap().keys
    }

    /// Tells whether its connections were closed.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    fn there(&self) -> Result<MemoryStore, Error> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("It is away.")),
            false => Ok(self.memory.lock().unwrap().clone()),
        }
    }
}

impl Store for Flaky {
    fn name(&self) -> String {
        "flaky".to_owned()
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[]
    }

    async fn check(&self) -> Result<String, Error> {
        self.there()?.check().await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.there()?.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.there()?.set(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.there()?.delete(key).await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.there()?.exists(key).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        self.there()?.compare_and_set(key, expected, value, ttl).await
    }

    async fn scan(&self, _: &str, _: Option<&str>, _: usize) -> Result<ScanPage, Error> {
        Err(Error::unavailable("It cannot list its keys."))
    }

    async fn try_lock(&self, _: &str, _: Duration) -> Result<Option<u64>, Error> {
        Err(Error::unavailable("It has no locks."))
    }

    async fn renew(&self, _: &str, _: u64, _: Duration) -> Result<bool, Error> {
        Err(Error::unavailable("It has no locks."))
    }

    async fn unlock(&self, _: &str, _: u64) -> Result<bool, Error> {
        Err(Error::unavailable("It has no locks."))
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }
}
