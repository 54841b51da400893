use super::pool::{Pool, Repeat};
use super::protocol::{Mode, Stored};
use crate::base::Error;
use crate::store::capability::Capability;
use crate::store::failure::cannot;
use crate::store::store::{ScanPage, Store};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The longest key that the protocol takes, in bytes.
const MAX_KEY: usize = 250;

/// Keeps values in Memcached, for caches and sessions. Clones share the connections.
///
/// The server forgets what it has no room for, and everything when it ends. It has neither scans
/// nor locks with tokens that grow, so that it [lacks](Store::capabilities) both, and what needs
/// them does not start with it. Times to live are whole seconds, and up to one more. A value has at most what
/// the server was told (1 MB unless it was told otherwise); a larger one is refused, and the server forgets
/// what was there before. A key that is too long for the protocol,
/// or has characters that it does not take, goes by its SHA-256.
#[derive(Clone)]
pub struct MemcachedStore {
    pool: Arc<Pool>,
    host: String,
    port: u16,
    prefix: String,
    pool_size: usize,
    timeout: Duration,
}

impl MemcachedStore {
    /// The port of a server that was told no other.
    pub const DEFAULT_PORT: u16 = 11211;

    /// How long an operation may take unless it is told otherwise, connecting included.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

    /// A server, with at most eight connections to it.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let (host, pool_size, timeout) = (host.into(), 8, Self::DEFAULT_TIMEOUT);
        let pool = Arc::new(Pool::new(host.clone(), port, pool_size, timeout));
        Self { pool, host, port, prefix: "ember:".to_owned(), pool_size, timeout }
    }

    /// Sets what all keys on the server begin with; `ember:` unless it is told otherwise.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how many connections there are at most.
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self.anew()
    }

    /// Sets how long an operation may take, connecting included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.anew()
    }

    fn anew(mut self) -> Self {
        self.pool = Arc::new(Pool::new(self.host.clone(), self.port, self.pool_size, self.timeout));
        self
    }

    fn key(&self, key: &str) -> String {
        let whole = format!("{}{key}", self.prefix);
        if whole.len() <= MAX_KEY && whole.bytes().all(|byte| byte.is_ascii_graphic()) {
            return whole;
        }
        let mut hashed = String::from("sha256:");
        for byte in Sha256::digest(whole.as_bytes()) {
            // Writing to a string cannot fail.
            let _ = write!(hashed, "{byte:02x}");
        }
        hashed
    }

    async fn store(
        &self,
        mode: Mode,
        key: String,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        // What was added once cannot be added again, though nobody has heard of the first time.
        let repeats = if matches!(mode, Mode::Set) { Repeat::Safe } else { Repeat::Never };
        let stored = self.pool.run(repeats, move |wire| {
            let (key, value) = (key.clone(), value.clone());
            Box::pin(async move { wire.store(mode, &key, &value, expiry(ttl)).await })
        });
        match stored.await? {
            Stored::Yes => Ok(true),
            Stored::No => Ok(false),
            Stored::TooLarge => Err(Error::payload_too_large("This is too large to be kept.")),
        }
    }
}

/// When something ends, as the protocol says it: seconds from now, or beyond thirty days the
/// date; 0 is never. A server counts the second that has begun, so there is one more.
fn expiry(ttl: Duration) -> u64 {
    const MONTH: u64 = 30 * 24 * 60 * 60;
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    let seconds = seconds.saturating_add(1);
    if seconds <= MONTH {
        return seconds;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // A server counts in 32 bits with a sign.
    let date = now.as_secs().checked_add(seconds);
    date.filter(|date| i32::try_from(*date).is_ok()).unwrap_or(0)
}

impl Store for MemcachedStore {
    fn name(&self) -> String {
        format!("memcached://{}:{}", self.host, self.port)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[]
    }

    async fn check(&self) -> Result<String, Error> {
        let version = self.pool.run(Repeat::Safe, |wire| Box::pin(wire.version())).await?;
        Ok(format!("Memcached {version} at {}", self.name()))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let key = self.key(key);
        let found = self.pool.run(Repeat::Safe, move |wire| {
            let key = key.clone();
            Box::pin(async move { wire.gets(&key).await })
        });
        Ok(found.await?.map(|found| found.value))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.store(Mode::Set, self.key(key), value, ttl).await.map(|_| ())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let key = self.key(key);
        let deleted = self.pool.run(Repeat::Never, move |wire| {
            let key = key.clone();
            Box::pin(async move { wire.delete(&key).await })
        });
        deleted.await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        // The classic protocol cannot ask without the value.
        Ok(self.get(key).await?.is_some())
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let key = self.key(key);
        let Some(expected) = expected else {
            return self.store(Mode::Add, key, value, ttl).await;
        };
        let asked = key.clone();
        let found = self.pool.run(Repeat::Safe, move |wire| {
            let key = asked.clone();
            Box::pin(async move { wire.gets(&key).await })
        });
        match found.await?.filter(|found| found.value == expected) {
            Some(found) => self.store(Mode::Cas(found.unique), key, value, ttl).await,
            None => Ok(false),
        }
    }

    async fn scan(&self, _: &str, _: Option<&str>, _: usize) -> Result<ScanPage, Error> {
        Err(cannot(&self.name(), Capability::Scan))
    }

    async fn try_lock(&self, _: &str, _: Duration) -> Result<Option<u64>, Error> {
        Err(cannot(&self.name(), Capability::Lock))
    }

    async fn renew(&self, _: &str, _: u64, _: Duration) -> Result<bool, Error> {
        Err(cannot(&self.name(), Capability::Lock))
    }

    async fn unlock(&self, _: &str, _: u64) -> Result<bool, Error> {
        Err(cannot(&self.name(), Capability::Lock))
    }

    async fn close(&self) {
        self.pool.close();
    }
}

impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("key_prefix", &self.prefix)
            .field("pool_size", &self.pool_size)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_the_protocol() {
        let store = MemcachedStore::new("localhost", 11211);
        assert_eq!(store.key("a/b?c=d"), "ember:a/b?c=d");
        for odd in ["two words", "line\r\nbreak", "größe", &"x".repeat(300)] {
            let key = store.key(odd);
            assert!(key.starts_with("sha256:") && key.len() <= MAX_KEY, "{key}");
        }
        assert_ne!(store.key("two words"), store.key("two  words"));
    }

    #[test]
    fn times_are_whole_seconds_and_then_dates() {
        assert_eq!(expiry(Duration::ZERO), 1);
        assert_eq!(expiry(Duration::from_millis(1001)), 3, "the second that has begun counts");
        assert!(expiry(Duration::from_secs(31 * 24 * 60 * 60)) > 1_700_000_000);
        assert_eq!(expiry(Duration::MAX), 0);
    }
}
