use super::engine::{SessionEngine, SessionRecord};
use crate::base::{Clock, Error};
use crate::store::BoxStore;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Keeps sessions in a [`Store`](crate::store::Store), which many processes may share.
///
/// An application with a store has it without being told: see
/// [`Ember::store`](crate::Ember::store). When the store is away, requests that need a session are
/// answered with 503. The ids of sessions are secrets, so the store knows only their SHA-256.
///
/// ```
/// use ember::store::MemoryStore;
/// use ember::web::session::{SessionConfig, StoreSession};
///
/// let sessions = SessionConfig::new(StoreSession::new(MemoryStore::new()));
/// let app = ember::Ember::new().component(sessions);
/// # app.build().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct StoreSession {
    store: BoxStore,
    clock: Clock,
}

impl StoreSession {
    /// Keeps sessions in this store.
    pub fn new(store: impl Into<BoxStore>) -> Self {
        Self { store: store.into(), clock: Clock::system() }
    }

    /// Takes the time from this clock; what the store forgets is its own clock's matter.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    async fn read(&self, id: &str) -> Result<Option<(SessionRecord, Bytes)>, Error> {
        let Some(bytes) = self.store.get(&key(id)).await? else { return Ok(None) };
        let record: SessionRecord = serde_json::from_slice(&bytes).map_err(Error::internal)?;
        Ok(Some((record, bytes)))
    }
}

fn key(id: &str) -> String {
    let mut key = String::from("session:");
    for byte in Sha256::digest(id.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

impl SessionEngine for StoreSession {
    async fn load(&self, id: &str) -> Result<Option<SessionRecord>, Error> {
        Ok(self.read(id).await?.map(|(record, _)| record))
    }

    async fn save(
        &self,
        id: &str,
        record: SessionRecord,
        expected: Option<u64>,
    ) -> Result<bool, Error> {
        // What is there is compared whole, so the version in it is the one that was expected.
        let present = self.read(id).await?;
        if present.as_ref().map(|(record, _)| record.version) != expected {
            return Ok(false);
        }
        let ttl = record.expires.duration_since(self.clock.date()).unwrap_or_default();
        let bytes = serde_json::to_vec(&record).map_err(Error::internal)?;
        let before = present.map(|(_, bytes)| bytes);
        self.store.compare_and_set(&key(id), before, bytes, ttl).await
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        self.store.delete(&key(id)).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::saves_over_what_is_expected;
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use crate::store::{MemoryStore, Store as _};

    #[tokio::test]
    async fn saves_only_over_what_is_expected_and_does_not_know_ids() {
        let hands = ManualClock::new();
        let kept = MemoryStore::new().clock(hands.clock());
        let engine = StoreSession::new(kept.clone()).clock(hands.clock());
        let record = SessionRecord {
            values: Default::default(),
            version: 1,
            created: hands.clock().date(),
            expires: hands.clock().date() + secs(10),
        };
        assert!(engine.save("secret", record, None).await.unwrap());
        let keys = kept.scan("", None, 10).await.unwrap().keys;
        assert!(keys.len() == 1 && !keys[0].contains("secret"), "{keys:?}");
        saves_over_what_is_expected(engine, &hands).await;
    }
}
