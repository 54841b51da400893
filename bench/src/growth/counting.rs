//! A store that tells how much is handed to it.

use crate::process::STORED;
use ember::bytes::Bytes;
use ember::store::{Capability, ScanPage, Store};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

type Stored<T> = std::result::Result<T, ember::Error>;

/// Counts the bytes that are handed to a store.
pub(super) struct Counting<S>(pub(super) S);

impl<S: Store> Store for Counting<S> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn capabilities(&self) -> &'static [Capability] {
        self.0.capabilities()
    }

    async fn check(&self) -> Stored<String> {
        self.0.check().await
    }

    async fn get(&self, key: &str) -> Stored<Option<Bytes>> {
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Stored<()> {
        STORED.fetch_add(value.len() as u64, Relaxed);
        self.0.set(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Stored<bool> {
        self.0.delete(key).await
    }

    async fn exists(&self, key: &str) -> Stored<bool> {
        self.0.exists(key).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Stored<bool> {
        STORED.fetch_add(value.len() as u64, Relaxed);
        self.0.compare_and_set(key, expected, value, ttl).await
    }

    async fn scan(&self, prefix: &str, cursor: Option<&str>, limit: usize) -> Stored<ScanPage> {
        self.0.scan(prefix, cursor, limit).await
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Stored<Option<u64>> {
        self.0.try_lock(key, hold).await
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Stored<bool> {
        self.0.renew(key, token, hold).await
    }

    async fn unlock(&self, key: &str, token: u64) -> Stored<bool> {
        self.0.unlock(key, token).await
    }
}
