//! A store for tests: it can go away, or be slow, and counts what it is asked.

use super::capability::Capability;
use super::failure::away;
use super::memory::MemoryStore;
use super::store::{ScanPage, Store};
use crate::base::Error;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A store in memory. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Flaky {
    memory: MemoryStore,
    is_away: Arc<AtomicBool>,
    /// In milliseconds of the runtime.
    delay: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
}

impl Flaky {
    pub(crate) fn new(memory: MemoryStore) -> Self {
        Self { memory, is_away: Arc::default(), delay: Arc::default(), asked: Arc::default() }
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn take_its_time(&self, milliseconds: u64) {
        self.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// How many operations there were so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn there(&self) -> Result<&MemoryStore, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let delay = self.delay.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(away("it is away")),
            false => Ok(&self.memory),
        }
    }
}

impl Store for Flaky {
    fn name(&self) -> String {
        "flaky".to_owned()
    }

    /// As few as Memcached has.
    fn capabilities(&self) -> &'static [Capability] {
        &[]
    }

    async fn check(&self) -> Result<String, Error> {
        self.there().await?.check().await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.there().await?.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.there().await?.set(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.there().await?.delete(key).await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.there().await?.exists(key).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        self.there().await?.compare_and_set(key, expected, value, ttl).await
    }

    async fn scan(&self, _: &str, _: Option<&str>, _: usize) -> Result<ScanPage, Error> {
        Err(away("it cannot list its keys"))
    }

    async fn try_lock(&self, _: &str, _: Duration) -> Result<Option<u64>, Error> {
        Err(away("it has no locks"))
    }

    async fn renew(&self, _: &str, _: u64, _: Duration) -> Result<bool, Error> {
        Err(away("it has no locks"))
    }

    async fn unlock(&self, _: &str, _: u64) -> Result<bool, Error> {
        Err(away("it has no locks"))
    }
}
