use super::{History, SessionChange, SessionMetadata, SessionQuery, SessionStore, SessionSummary};
use crate::base::{Clock, Error};
use crate::llm::message::{Media, MediaSource, Message, Part};
use crate::store::{BoundedMap, KeyedLock, KeyedLocks};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Keeps conversations in the memory of this process.
///
/// At most 10,000 are kept, with about 256 MiB of text, each for a day after its last turn, unless
/// it is told otherwise; the ones that have been silent longest make room.
#[doc(alias = "InMemorySessionStore")]
pub struct MemorySessionStore {
    sessions: Mutex<BoundedMap<Kept>>,
    versions: AtomicU64,
    locks: KeyedLocks,
    max_sessions: usize,
    max_bytes: u64,
    ttl: Duration,
    clock: Clock,
}

#[derive(Debug)]
struct Kept {
    messages: Vec<Message>,
    metadata: SessionMetadata,
    version: u64,
    changed: SystemTime,
    /// What the messages take.
    bytes: u64,
}

impl MemorySessionStore {
    /// How many bytes all conversations may have together unless it is told otherwise: 256 MiB.
    pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

    /// An empty store.
    pub fn new() -> Self {
        Self {
            sessions: Mutex::new(BoundedMap::new(0)),
            versions: AtomicU64::new(0),
            locks: KeyedLocks::new(),
            max_sessions: 10_000,
            max_bytes: Self::DEFAULT_MAX_BYTES,
            ttl: Duration::from_secs(24 * 60 * 60),
            clock: Clock::system(),
        }
        .bounded()
    }

    /// Sets how many conversations are kept.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self.bounded()
    }

    /// Sets how many bytes the conversations may have together, by estimate: their texts, and a
    /// little for each message.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self.bounded()
    }

    /// Sets how long a conversation is kept after its last turn; [`Duration::MAX`] is for ever.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn bounded(mut self) -> Self {
        let sessions = BoundedMap::new(self.max_sessions).max_weight(self.max_bytes);
        self.sessions = Mutex::new(sessions);
        self
    }

    fn sessions(&self) -> MutexGuard<'_, BoundedMap<Kept>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a conversation, if it still is what it was when it was loaded.
    fn put(&self, id: &str, version: u64, change: SessionChange) -> Result<u64, Error> {
        let SessionChange { messages, replaces, metadata } = change;
        let (now, expires) = (self.clock.now(), self.clock.after(self.ttl));
        let added = messages.iter().map(weight).fold(0, u64::saturating_add);
        let mut sessions = self.sessions();
        let known = sessions.get(id, now);
        if known.map_or(0, |session| session.version) != version {
            let message = "The conversation was changed or forgotten during this turn.";
            return Err(Error::conflict(message));
        }
        let bytes = added.saturating_add(known.filter(|_| !replaces).map_or(0, |kept| kept.bytes));
        let noted = metadata.as_ref().or(known.map(|session| &session.metadata));
        let all = bytes.saturating_add(noted.map_or(0, weight_of_metadata));
        if all > self.max_bytes {
            return Err(Error::payload_too_large("The conversation is too long to be kept."));
        }
        // One that has expired is still in the map, but not known.
        let before = sessions.remove(id).filter(|_| version != 0);
        let (told, noted) =
            before.map(|before| (before.messages, before.metadata)).unwrap_or_default();
        let session = Kept {
            messages: if replaces { messages } else { joined(told, messages) },
            metadata: metadata.unwrap_or(noted),
            version: self.next_version(),
            changed: self.clock.date(),
            bytes,
        };
        let version = session.version;
        sessions.insert_weighed(id, session, all, expires, now);
        Ok(version)
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn joined(mut messages: Vec<Message>, more: Vec<Message>) -> Vec<Message> {
    messages.extend(more);
    messages
}

/// What notes take of memory, about: as much as their JSON.
fn weight_of_metadata(metadata: &SessionMetadata) -> u64 {
    if metadata.is_empty() {
        return 0;
    }
    serde_json::to_string(metadata).map_or(u64::MAX, |json| json.len() as u64)
}

/// What a message takes of memory, about.
fn weight(message: &Message) -> u64 {
    const PER_MESSAGE: u64 = 128;
    let parts = message.content.iter().map(|part| match part {
        Part::Media(Media { source: MediaSource::Bytes(bytes), .. }) => bytes.len() as u64,
        Part::Media(Media { source: MediaSource::Url(url), .. }) => url.len() as u64,
        Part::Text(text) => text.text.len() as u64,
        Part::Reasoning(reasoning) => reasoning.text.len() as u64,
        Part::Refusal(text) => text.len() as u64,
        Part::ToolCall(call) => (call.name.len() + call.arguments.len()) as u64,
        Part::ToolResult(result) => (result.name.len() + result.content.len()) as u64,
        Part::Opaque(opaque) => opaque.value.to_string().len() as u64,
    });
    parts.map(|bytes| bytes.saturating_add(PER_MESSAGE)).fold(PER_MESSAGE, u64::saturating_add)
}

impl SessionStore for MemorySessionStore {
    type Lock = KeyedLock;

    async fn load(&self, id: &str) -> Result<History, Error> {
        let sessions = self.sessions();
        let session = sessions.get(id, self.clock.now());
        let history = |kept: &Kept| {
            History::new(kept.messages.clone(), kept.version).metadata(kept.metadata.clone())
        };
        Ok(session.map(history).unwrap_or_default())
    }

    async fn write(&self, id: &str, version: u64, change: SessionChange) -> Result<u64, Error> {
        self.put(id, version, change)
    }

    async fn delete(&self, id: &str) -> Result<bool, Error> {
        let mut sessions = self.sessions();
        let is_known = sessions.get(id, self.clock.now()).is_some();
        sessions.remove(id);
        Ok(is_known)
    }

    async fn exists(&self, id: &str) -> Result<bool, Error> {
        Ok(self.sessions().get(id, self.clock.now()).is_some())
    }

    async fn list(&self, page: SessionQuery) -> Result<Vec<SessionSummary>, Error> {
        let sessions = self.sessions();
        let mut found: Vec<_> = sessions
            .iter(self.clock.now())
            .filter(|(id, kept)| page.includes(kept.changed, id))
            .collect();
        found.sort_by(|(id, kept), (other, than)| {
            than.changed.cmp(&kept.changed).then_with(|| id.cmp(other))
        });
        let listed = |(id, kept): (&str, &Kept)| {
            SessionSummary::new(id, kept.changed)
                .messages(kept.messages.len())
                .metadata(kept.metadata.clone())
        };
        Ok(found.into_iter().take(page.limit).map(listed).collect())
    }

    async fn lock(&self, id: &str) -> Result<KeyedLock, Error> {
        Ok(self.locks.lock(id).await)
    }
}

impl Default for MemorySessionStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessionStore")
            .field("sessions", &self.sessions().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{History, MemorySessionStore, Message, SessionChange, SessionStore};
    use crate::base::clock::{ManualClock, millis, secs};
    use crate::llm::Sessions;
    use std::time::Duration;

    #[tokio::test]
    async fn a_turn_that_is_not_committed_leaves_nothing() {
        let sessions = Sessions::new(MemorySessionStore::new());
        drop(sessions.begin("a", secs(1)).await.unwrap());
        let (mut turn, history) = sessions.begin("a", secs(1)).await.unwrap();
        assert!(history.is_empty());
        turn.commit(vec![Message::user("Hi"), Message::assistant("Hello")]).await.unwrap();
        drop(turn);
        let (_turn, history) = sessions.begin("a", secs(1)).await.unwrap();
        assert_eq!(history.len(), 2);
        let (_turn, history) = sessions.begin("b", secs(1)).await.unwrap();
        assert!(history.is_empty());
    }

    #[tokio::test]
    async fn turns_of_one_conversation_wait_for_each_other() {
        let sessions = Sessions::new(MemorySessionStore::new());
        let turn = sessions.begin("a", secs(1)).await.unwrap();
        assert_eq!(sessions.begin("a", millis(1)).await.unwrap_err().status(), 409);
        drop(turn);
        assert!(sessions.begin("a", millis(1)).await.is_ok());
    }

    #[tokio::test]
    async fn conversations_are_forgotten_after_their_time() {
        let hands = ManualClock::new();
        let store = MemorySessionStore::new().ttl(secs(10)).clock(hands.clock());
        let version =
            store.write("a", 0, SessionChange::append(vec![Message::user("Hi")])).await.unwrap();
        hands.advance(secs(9));
        store
            .write("a", version, SessionChange::append(vec![Message::assistant("Hello")]))
            .await
            .unwrap();
        hands.advance(secs(9));
        assert_eq!(store.load("a").await.unwrap().messages.len(), 2);
        hands.advance(secs(1));
        assert!(!store.exists("a").await.unwrap());
    }

    #[tokio::test]
    async fn for_ever_is_a_time_to_live() {
        let store = MemorySessionStore::new().ttl(Duration::MAX);
        let version =
            store.write("a", 0, SessionChange::append(vec![Message::user("Hi")])).await.unwrap();
        store
            .write("a", version, SessionChange::append(vec![Message::assistant("Hello")]))
            .await
            .unwrap();
        assert_eq!(store.load("a").await.unwrap().messages.len(), 2);
    }

    #[tokio::test]
    async fn a_turn_whose_beginning_is_gone_is_not_kept() {
        let hands = ManualClock::new();
        let store = MemorySessionStore::new().ttl(secs(10)).max_sessions(1).clock(hands.clock());
        let sessions = Sessions::new(store);
        let (mut turn, _) = sessions.begin("a", secs(1)).await.unwrap();
        turn.commit(vec![Message::system("Be kind.")]).await.unwrap();
        hands.advance(secs(10));
        let expired = turn.commit(vec![Message::user("Hi")]).await.unwrap_err();
        assert_eq!(expired.status(), 409);
        drop(turn);
        assert!(!sessions.exists("a").await.unwrap());
        let (mut turn, _) = sessions.begin("a", secs(1)).await.unwrap();
        turn.commit(vec![Message::system("Be kind.")]).await.unwrap();
        let (mut other, _) = sessions.begin("b", secs(1)).await.unwrap();
        other.commit(vec![Message::user("I take the place.")]).await.unwrap();
        assert_eq!(turn.commit(vec![Message::user("Hi")]).await.unwrap_err().status(), 409);
        assert_eq!(turn.replace(vec![Message::user("Hi")]).await.unwrap_err().status(), 409);
        drop(turn);
        let (_turn, history) = sessions.begin("a", secs(1)).await.unwrap();
        assert!(history.is_empty());
    }

    #[tokio::test]
    async fn a_version_is_written_once() {
        let store = MemorySessionStore::new();
        let first =
            store.write("a", 0, SessionChange::append(vec![Message::user("Hi")])).await.unwrap();
        assert!(
            store
                .write("a", 0, SessionChange::append(vec![Message::user("Me, too")]))
                .await
                .is_err()
        );
        let second = store
            .write("a", first, SessionChange::replace(vec![Message::user("Ho")]))
            .await
            .unwrap();
        assert!(
            store
                .write("a", first, SessionChange::append(vec![Message::user("Late")]))
                .await
                .is_err()
        );
        assert_eq!(store.load("a").await.unwrap(), History::new(vec![Message::user("Ho")], second));
    }

    #[tokio::test]
    async fn memory_is_bounded_by_bytes() {
        let store = MemorySessionStore::new().max_bytes(10_000);
        for id in ["a", "b", "c"] {
            store
                .write(id, 0, SessionChange::replace(vec![Message::user("x".repeat(4_000))]))
                .await
                .unwrap();
        }
        assert!(!store.exists("a").await.unwrap(), "the oldest made room");
        assert!(store.exists("b").await.unwrap() && store.exists("c").await.unwrap());
        let too_long = store
            .write("d", 0, SessionChange::replace(vec![Message::user("x".repeat(20_000))]))
            .await;
        assert_eq!(too_long.unwrap_err().status(), 413);
        assert!(store.exists("b").await.unwrap(), "nothing made room for what cannot be kept");
    }
}
