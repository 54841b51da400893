use super::engine::{SessionEngine, SessionRecord};
use crate::base::{Clock, Error};
use crate::store::BoundedMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps sessions in the memory of this process, which forgets them when it ends.
///
/// Clones share what they keep.
#[derive(Clone)]
pub struct MemorySession {
    records: Arc<Mutex<BoundedMap<SessionRecord>>>,
    clock: Clock,
}

impl MemorySession {
    /// Keeps at most 10,000 sessions.
    pub fn new() -> Self {
        Self::with_capacity(10_000)
    }

    /// Keeps at most this many sessions; those that were not saved for longest make room.
    pub fn with_capacity(sessions: usize) -> Self {
        Self { records: Arc::new(Mutex::new(BoundedMap::new(sessions))), clock: Clock::system() }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn records(&self) -> MutexGuard<'_, BoundedMap<SessionRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionEngine for MemorySession {
    async fn load(&self, id: &str) -> Result<Option<SessionRecord>, Error> {
        Ok(self.records().get(id, self.clock.now()).cloned())
    }

    async fn save(
        &self,
        id: &str,
        record: SessionRecord,
        expected: Option<u64>,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let rest = record.expires.duration_since(self.clock.date()).unwrap_or_default();
        let mut records = self.records();
        let is_expected = records.get(id, now).map(|record| record.version) == expected;
        if is_expected {
            records.insert(id, record, now + rest, now);
        }
        Ok(is_expected)
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        self.records().remove(id);
        Ok(())
    }
}

impl Default for MemorySession {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySession").field("sessions", &self.records().len()).finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};

    #[tokio::test]
    async fn saves_only_over_what_is_expected() {
        let hands = ManualClock::new();
        saves_over_what_is_expected(MemorySession::new().clock(hands.clock()), &hands).await;
    }

    /// What every engine does with versions and time.
    pub(in crate::web::session) async fn saves_over_what_is_expected(
        engine: impl SessionEngine,
        hands: &ManualClock,
    ) {
        let clock = hands.clock();
        let record = |version| SessionRecord {
            values: Default::default(),
            version,
            created: clock.date(),
            expires: clock.date() + secs(10),
        };
        assert!(!engine.save("a", record(2), Some(1)).await.unwrap(), "there is none");
        assert!(engine.save("a", record(1), None).await.unwrap());
        assert!(!engine.save("a", record(1), None).await.unwrap(), "there is one");
        assert!(engine.save("a", record(2), Some(1)).await.unwrap());
        assert_eq!(engine.load("a").await.unwrap().unwrap().version, 2);
        hands.advance(secs(10));
        assert_eq!(engine.load("a").await.unwrap(), None);
        assert!(!engine.save("a", record(3), Some(2)).await.unwrap(), "what has expired is gone");
        assert!(engine.save("a", record(1), None).await.unwrap());
        engine.delete("a").await.unwrap();
        assert_eq!(engine.load("a").await.unwrap(), None);
    }

    #[test]
    fn a_record_is_written_and_read() {
        let record = SessionRecord {
            values: [("user".to_owned(), "ann".into())].into_iter().collect(),
            version: 7,
            created: std::time::SystemTime::UNIX_EPOCH,
            expires: std::time::SystemTime::UNIX_EPOCH + secs(5),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<SessionRecord>(&text).unwrap(), record);
        assert!(!format!("{record:?}").contains("ann"));
    }
}
