use super::message::Message;
use crate::base::{Clock, Error};
use crate::store::{BoundedMap, KeyedLock, KeyedLocks};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the messages of conversations, and lets one turn of each happen at a time.
///
/// A turn [locks](SessionStore::lock) the conversation, loads it, and appends to it only when it
/// has succeeded. A turn that fails or is abandoned therefore leaves nothing behind.
pub trait SessionStore: Send + Sync + 'static {
    /// Holds a conversation until it is dropped.
    type Lock: Send + 'static;

    /// Returns the messages of a conversation; none if there is none.
    fn load(&self, id: &str) -> impl Future<Output = Result<Arc<Vec<Message>>, Error>> + Send;

    /// Adds messages to the end of a conversation.
    fn append(
        &self,
        id: &str,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Puts messages in place of those there were.
    fn save(
        &self,
        id: &str,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets a conversation.
    fn delete(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Tells whether there is a conversation.
    fn exists(&self, id: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Waits until nobody else holds the conversation.
    fn lock(&self, id: &str) -> impl Future<Output = Result<Self::Lock, Error>> + Send;
}

/// Keeps conversations in the memory of this process.
///
/// At most 10,000 are kept, each for a day after its last turn, unless it is told otherwise; the
/// ones that have been silent longest make room.
#[doc(alias = "InMemorySessionStore")]
pub struct MemorySessionStore {
    sessions: Mutex<BoundedMap<Arc<Vec<Message>>>>,
    locks: KeyedLocks,
    ttl: Duration,
    clock: Clock,
}

impl MemorySessionStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            sessions: Mutex::new(BoundedMap::new(10_000)),
            locks: KeyedLocks::new(),
            ttl: Duration::from_secs(24 * 60 * 60),
            clock: Clock::system(),
        }
    }

    /// Sets how many conversations are kept.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.sessions = Mutex::new(BoundedMap::new(sessions));
        self
    }

    /// Sets how long a conversation is kept after its last turn.
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

    fn sessions(&self) -> MutexGuard<'_, BoundedMap<Arc<Vec<Message>>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: &str, change: impl FnOnce(&mut Vec<Message>)) {
        let now = self.clock.now();
        let mut sessions = self.sessions();
        let mut messages = sessions.get(id, now).cloned().unwrap_or_default();
        // The map's own reference would make the vector shared, and every turn a copy of it.
        sessions.remove(id);
        change(Arc::make_mut(&mut messages));
        sessions.insert(id, messages, now + self.ttl, now);
    }
}

impl SessionStore for MemorySessionStore {
    type Lock = KeyedLock;

    async fn load(&self, id: &str) -> Result<Arc<Vec<Message>>, Error> {
        Ok(self.sessions().get(id, self.clock.now()).cloned().unwrap_or_default())
    }

    async fn append(&self, id: &str, messages: Vec<Message>) -> Result<(), Error> {
        self.put(id, |known| known.extend(messages));
        Ok(())
    }

    async fn save(&self, id: &str, messages: Vec<Message>) -> Result<(), Error> {
        self.put(id, |known| *known = messages);
        Ok(())
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

    /// Begins a turn: waits until the conversation is free, and loads what was said in it.
    ///
    /// # Errors
    /// When the store fails, or the conversation is not free within `patience` (409).
    pub async fn begin(
        &self,
        id: &str,
        patience: Duration,
    ) -> Result<(Turn, Arc<Vec<Message>>), Error> {
        let lock = match tokio::time::timeout(patience, self.0.lock(id)).await {
            Ok(lock) => lock?,
            Err(_) => {
                return Err(Error::conflict(
                    "Another turn of this conversation has not ended yet.",
                ));
            }
        };
        let history = self.0.load(id).await?;
        Ok((Turn { store: self.clone(), id: id.to_owned(), _lock: lock }, history))
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
    _lock: Box<dyn Send>,
}

impl Turn {
    /// Adds what was said.
    ///
    /// # Errors
    /// When the store fails; nothing has changed then.
    pub async fn commit(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.store.0.append(&self.id, messages).await
    }

    /// Puts these messages in place of all there were.
    ///
    /// # Errors
    /// As [`Turn::commit`].
    pub async fn replace(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.store.0.save(&self.id, messages).await
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
    fn load<'a>(&'a self, id: &'a str) -> Boxed<'a, Arc<Vec<Message>>>;
    fn append<'a>(&'a self, id: &'a str, messages: Vec<Message>) -> Boxed<'a, ()>;
    fn save<'a>(&'a self, id: &'a str, messages: Vec<Message>) -> Boxed<'a, ()>;
    fn lock<'a>(&'a self, id: &'a str) -> Boxed<'a, Box<dyn Send>>;
}

impl<S: SessionStore> Erased for S {
    fn load<'a>(&'a self, id: &'a str) -> Boxed<'a, Arc<Vec<Message>>> {
        Box::pin(SessionStore::load(self, id))
    }

    fn append<'a>(&'a self, id: &'a str, messages: Vec<Message>) -> Boxed<'a, ()> {
        Box::pin(SessionStore::append(self, id, messages))
    }

    fn save<'a>(&'a self, id: &'a str, messages: Vec<Message>) -> Boxed<'a, ()> {
        Box::pin(SessionStore::save(self, id, messages))
    }

    fn lock<'a>(&'a self, id: &'a str) -> Boxed<'a, Box<dyn Send>> {
        Box::pin(async move { Ok(Box::new(SessionStore::lock(self, id).await?) as Box<dyn Send>) })
    }
}

#[cfg(test)]
mod tests {
    use super::{MemorySessionStore, Message, SessionStore, Sessions};
    use crate::base::clock::{ManualClock, millis, secs};

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
        store.append("a", vec![Message::user("Hi")]).await.unwrap();
        hands.advance(secs(9));
        store.append("a", vec![Message::assistant("Hello")]).await.unwrap();
        hands.advance(secs(9));
        assert_eq!(store.load("a").await.unwrap().len(), 2);
        hands.advance(secs(1));
        assert!(!store.exists("a").await.unwrap());
    }
}
