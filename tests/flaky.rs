//! A store that can go away, and forget.

use ember::Error;
use ember::bytes::Bytes;
use ember::store::{Bucket, Capability, Draw, Drawn, MemoryStore, ScanPage, Store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A store in memory, which can do as little as Memcached unless it is told otherwise. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct Flaky {
    memory: Arc<Mutex<MemoryStore>>,
    capabilities: &'static [Capability],
    retry_after: Option<Duration>,
    is_away: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
}

impl Flaky {
    /// A store that is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps everything in this store, with its clock and its bounds.
    pub fn memory(self, memory: MemoryStore) -> Self {
        Self { memory: Arc::new(Mutex::new(memory)), ..self }
    }

    /// Can do these things.
    pub fn capable(self, capabilities: &'static [Capability]) -> Self {
        Self { capabilities, ..self }
    }

    /// Says after what time to ask again while it is away.
    pub fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// Sets whether it is away. What it is asked meanwhile is not done.
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
        if !self.is_away.load(Ordering::SeqCst) {
            return Ok(self.memory.lock().unwrap().clone());
        }
        let away = Error::unavailable("It is away.");
        Err(match self.retry_after {
            Some(time) => away.with_retry_after(time),
            None => away,
        })
    }

    /// The store for what not every store can do.
    fn able_to(&self, capability: Capability) -> Result<MemoryStore, Error> {
        match self.capabilities.contains(&capability) {
            true => self.there(),
            false => Err(Error::unavailable(format!("It cannot {capability}."))),
        }
    }
}

impl Store for Flaky {
    fn name(&self) -> String {
        "flaky".to_owned()
    }

    fn capabilities(&self) -> &'static [Capability] {
        self.capabilities
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

    async fn draw(&self, key: &str, bucket: Bucket, draw: Draw) -> Result<Drawn, Error> {
        self.there()?.draw(key, bucket, draw).await
    }

    async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        self.able_to(Capability::Scan)?.scan(prefix, cursor, limit).await
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        self.able_to(Capability::Lock)?.try_lock(key, hold).await
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        self.able_to(Capability::Lock)?.renew(key, token, hold).await
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        self.able_to(Capability::Lock)?.unlock(key, token).await
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }
}
