use super::message::{Media, MediaSource, Message, Part};
use crate::base::{Clock, Error};
use crate::store::{BoundedMap, KeyedLock, KeyedLocks};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the messages of conversations, and lets one turn of each happen at a time.
///
/// A turn [locks](SessionStore::lock) the conversation, loads it, and writes to it only when it
/// has succeeded. A turn that fails or is abandoned therefore leaves nothing behind.
///
/// Whoever writes says which version was read. A conversation that has another version by then,
/// or was forgotten in between, is not touched, and the writer gets a conflict (409): a turn whose
/// beginning is gone must not be kept by half.
pub trait SessionStore: Send + Sync + 'static {
    /// Holds a conversation until it is dropped.
    type Lock: Send + 'static;

    /// Returns a conversation as it is now; [`History::default`] if there is none.
    fn load(&self, id: &str) -> impl Future<Output = Result<History, Error>> + Send;

    /// Adds messages to the end of a conversation, and returns its new version.
    ///
    /// # Errors
    /// A conflict when the conversation does not have this version any more; nothing has changed.
    fn append(
        &self,
        id: &str,
        version: u64,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Puts messages in place of those there were, and returns the new version.
    ///
    /// # Errors
    /// As [`SessionStore::append`].
    fn save(
        &self,
        id: &str,
        version: u64,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Forgets a conversation.
    fn delete(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Tells whether there is a conversation.
    fn exists(&self, id: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Waits until nobody else holds the conversation.
    fn lock(&self, id: &str) -> impl Future<Output = Result<Self::Lock, Error>> + Send;
}

/// A conversation as it was when it was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// What was said. Copies of a message share its texts.
    pub messages: Vec<Message>,
    /// Which state this is: 0 for a conversation that does not exist, and a number that never
    /// comes again after every change.
    pub version: u64,
}

impl History {
    /// Messages of a version.
    pub fn new(messages: Vec<Message>, version: u64) -> Self {
        Self { messages, version }
    }
}

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
    version: u64,
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
    fn put(
        &self,
        id: &str,
        version: u64,
        messages: Vec<Message>,
        append: bool,
    ) -> Result<u64, Error> {
        let (now, expires) = (self.clock.now(), self.clock.after(self.ttl));
        let added = messages.iter().map(weight).fold(0, u64::saturating_add);
        let mut sessions = self.sessions();
        let known = sessions.get(id, now);
        if known.map_or(0, |session| session.version) != version {
            let message = "The conversation was changed or forgotten during this turn.";
            return Err(Error::conflict(message));
        }
        let kept = known.filter(|_| append).map_or(0, |session| session.bytes);
        let bytes = added.saturating_add(kept);
        if bytes > self.max_bytes {
            return Err(Error::payload_too_large("The conversation is too long to be kept."));
        }
        let mut session = Kept { messages, version: self.next_version(), bytes };
        if let Some(before) = sessions.remove(id).filter(|_| append && version != 0) {
            session.messages.splice(0..0, before.messages);
        }
        let version = session.version;
        sessions.insert_weighed(id, session, bytes, expires, now);
        Ok(version)
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed) + 1
    }
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
        let history = |session: &Kept| History::new(session.messages.clone(), session.version);
        Ok(session.map(history).unwrap_or_default())
    }

    async fn append(&self, id: &str, version: u64, messages: Vec<Message>) -> Result<u64, Error> {
        self.put(id, version, messages, true)
    }

    async fn save(&self, id: &str, version: u64, messages: Vec<Message>) -> Result<u64, Error> {
        self.put(id, version, messages, false)
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        self.sessions().remove(id);
        Ok(())
    }

    async fn exists(&self, id: &str) -> Result<bool, Error> {
        Ok(self.sessions().get(id, self.clock.now()).is_some())
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

/// A session store whose type is forgotten.
#[derive(Clone)]
pub struct Sessions(Arc<dyn Erased>);

impl Sessions {
    /// Forgets the type of a store.
    pub fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }

    /// Returns what was said in a conversation so far, without waiting for a turn that is under way.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(&self, id: &str) -> Result<Vec<Message>, Error> {
        Ok(self.0.load(id).await?.messages)
    }

    /// Tells whether there is a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn exists(&self, id: &str) -> Result<bool, Error> {
        self.0.exists(id).await
    }

    /// Begins a turn: waits until the conversation is free, and loads what was said in it.
    ///
    /// # Errors
    /// When the store fails, or the conversation is not free within `patience` (409).
    pub async fn begin(&self, id: &str, patience: Duration) -> Result<(Turn, Vec<Message>), Error> {
        let lock = match tokio::time::timeout(patience, self.0.lock(id)).await {
            Ok(lock) => lock?,
            Err(_) => {
                return Err(Error::conflict(
                    "Another turn of this conversation has not ended yet.",
                ));
            }
        };
        let History { messages, version } = self.0.load(id).await?;
        Ok((Turn { store: self.clone(), id: id.to_owned(), version, _lock: lock }, messages))
    }
}

impl<S: SessionStore> From<S> for Sessions {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

/// One turn of a conversation. The conversation is held until this is dropped.
pub struct Turn {
    store: Sessions,
    id: String,
    /// The state of the conversation that this turn goes on from.
    version: u64,
    _lock: Box<dyn Send>,
}

impl Turn {
    /// Adds what was said.
    ///
    /// # Errors
    /// When the store fails, or the conversation was changed or forgotten in between (409);
    /// nothing has changed then.
    pub async fn commit(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.version = self.store.0.append(&self.id, self.version, messages).await?;
        Ok(())
    }

    /// Puts these messages in place of all there were.
    ///
    /// # Errors
    /// As [`Turn::commit`].
    pub async fn replace(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.version = self.store.0.save(&self.id, self.version, messages).await?;
        Ok(())
    }

    /// Forgets the conversation. What is added afterwards begins a new one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&mut self) -> Result<(), Error> {
        self.store.0.delete(&self.id).await?;
        self.version = 0;
        Ok(())
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("id", &self.id).finish_non_exhaustive()
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The boxed twin of [`SessionStore`].
trait Erased: Send + Sync {
    fn load<'a>(&'a self, id: &'a str) -> Boxed<'a, History>;
    fn append<'a>(&'a self, id: &'a str, version: u64, messages: Vec<Message>) -> Boxed<'a, u64>;
    fn save<'a>(&'a self, id: &'a str, version: u64, messages: Vec<Message>) -> Boxed<'a, u64>;
    fn delete<'a>(&'a self, id: &'a str) -> Boxed<'a, ()>;
    fn exists<'a>(&'a self, id: &'a str) -> Boxed<'a, bool>;
    fn lock<'a>(&'a self, id: &'a str) -> Boxed<'a, Box<dyn Send>>;
}

impl<S: SessionStore> Erased for S {
    fn load<'a>(&'a self, id: &'a str) -> Boxed<'a, History> {
        Box::pin(SessionStore::load(self, id))
    }

    fn append<'a>(&'a self, id: &'a str, version: u64, messages: Vec<Message>) -> Boxed<'a, u64> {
        Box::pin(SessionStore::append(self, id, version, messages))
    }

    fn save<'a>(&'a self, id: &'a str, version: u64, messages: Vec<Message>) -> Boxed<'a, u64> {
        Box::pin(SessionStore::save(self, id, version, messages))
    }

    fn delete<'a>(&'a self, id: &'a str) -> Boxed<'a, ()> {
        Box::pin(SessionStore::delete(self, id))
    }

    fn exists<'a>(&'a self, id: &'a str) -> Boxed<'a, bool> {
        Box::pin(SessionStore::exists(self, id))
    }

    fn lock<'a>(&'a self, id: &'a str) -> Boxed<'a, Box<dyn Send>> {
        Box::pin(async move { Ok(Box::new(SessionStore::lock(self, id).await?) as Box<dyn Send>) })
    }
}

#[cfg(test)]
mod tests {
    use super::{History, MemorySessionStore, Message, SessionStore, Sessions};
    use crate::base::clock::{ManualClock, millis, secs};
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
        let version = store.append("a", 0, vec![Message::user("Hi")]).await.unwrap();
        hands.advance(secs(9));
        store.append("a", version, vec![Message::assistant("Hello")]).await.unwrap();
        hands.advance(secs(9));
        assert_eq!(store.load("a").await.unwrap().messages.len(), 2);
        hands.advance(secs(1));
        assert!(!store.exists("a").await.unwrap());
    }

    #[tokio::test]
    async fn for_ever_is_a_time_to_live() {
        let store = MemorySessionStore::new().ttl(Duration::MAX);
        let version = store.append("a", 0, vec![Message::user("Hi")]).await.unwrap();
        store.append("a", version, vec![Message::assistant("Hello")]).await.unwrap();
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
        let first = store.append("a", 0, vec![Message::user("Hi")]).await.unwrap();
        assert!(store.append("a", 0, vec![Message::user("Me, too")]).await.is_err());
        let second = store.save("a", first, vec![Message::user("Ho")]).await.unwrap();
        assert!(store.append("a", first, vec![Message::user("Late")]).await.is_err());
        assert_eq!(store.load("a").await.unwrap(), History::new(vec![Message::user("Ho")], second));
    }

    #[tokio::test]
    async fn memory_is_bounded_by_bytes() {
        let store = MemorySessionStore::new().max_bytes(10_000);
        for id in ["a", "b", "c"] {
            store.save(id, 0, vec![Message::user("x".repeat(4_000))]).await.unwrap();
        }
        assert!(!store.exists("a").await.unwrap(), "the oldest made room");
        assert!(store.exists("b").await.unwrap() && store.exists("c").await.unwrap());
        let too_long = store.save("d", 0, vec![Message::user("x".repeat(20_000))]).await;
        assert_eq!(too_long.unwrap_err().status(), 413);
        assert!(store.exists("b").await.unwrap(), "nothing made room for what cannot be kept");
    }
}
