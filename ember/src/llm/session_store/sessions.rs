use super::{History, SessionChange, SessionMetadata, SessionQuery, SessionStore, SessionSummary};
use crate::base::Error;
use crate::llm::message::Message;
use crate::store::Background;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A session store whose type is forgotten. Clones are the same store.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Erased>,
    /// What goes on after the request that began it.
    background: Arc<Background>,
}

impl Sessions {
    /// Forgets the type of a store.
    pub fn new(store: impl SessionStore) -> Self {
        Self { store: Arc::new(store), background: Arc::default() }
    }

    /// What goes on after the request that began it.
    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    /// Returns a conversation as it is now, without waiting for a turn that is under way;
    /// [`History::default`] if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(&self, id: &str) -> Result<History, Error> {
        self.store.load(id).await
    }

    /// Lists conversations by their last change, the latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, page: SessionQuery) -> Result<Vec<SessionSummary>, Error> {
        self.store.list(page).await
    }

    /// Forgets a conversation; tells whether there was one. A turn that is under way fails when it
    /// comes to be remembered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        self.store.delete(id).await
    }

    /// Tells whether there is a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn exists(&self, id: &str) -> Result<bool, Error> {
        self.store.exists(id).await
    }

    /// Begins a turn: waits until the conversation is free, and loads what was said in it.
    ///
    /// # Errors
    /// When the store fails, or the conversation is not free within `patience` (409).
    pub async fn begin(&self, id: &str, patience: Duration) -> Result<(Turn, Vec<Message>), Error> {
        let lock = match tokio::time::timeout(patience, self.store.lock(id)).await {
            Ok(lock) => lock?,
            Err(_) => {
                return Err(Error::conflict(
                    "Another turn of this conversation has not ended yet.",
                ));
            }
        };
        let History { messages, metadata, version } = self.store.load(id).await?;
        let (store, id) = (self.clone(), id.to_owned());
        Ok((Turn { store, id, version, metadata, _lock: lock }, messages))
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
    metadata: SessionMetadata,
    _lock: Box<dyn Send>,
}

impl Turn {
    /// What is noted of the conversation.
    pub fn metadata(&self) -> &SessionMetadata {
        &self.metadata
    }

    /// Where the rest of the turn can go on without its request.
    pub(crate) fn background(&self) -> Arc<Background> {
        self.store.background.clone()
    }

    /// Adds what was said.
    ///
    /// # Errors
    /// As [`Turn::write`].
    pub async fn commit(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.write(SessionChange::append(messages)).await
    }

    /// Puts these messages in place of all there were.
    ///
    /// # Errors
    /// As [`Turn::write`].
    pub async fn replace(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.write(SessionChange::replace(messages)).await
    }

    /// Changes the conversation.
    ///
    /// # Errors
    /// When the conversation was changed or forgotten in between (409), and nothing has changed then;
    /// or when the store fails, which may have kept it and not said so.
    pub async fn write(&mut self, change: SessionChange) -> Result<(), Error> {
        let metadata = change.metadata.clone();
        self.version = self.store.store.write(&self.id, self.version, change).await?;
        if let Some(metadata) = metadata {
            self.metadata = metadata;
        }
        Ok(())
    }

    /// Forgets the conversation. What is added afterwards begins a new one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&mut self) -> Result<(), Error> {
        self.store.store.delete(&self.id).await?;
        self.metadata.clear();
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
    fn write<'a>(&'a self, id: &'a str, version: u64, change: SessionChange) -> Boxed<'a, u64>;
    fn delete<'a>(&'a self, id: &'a str) -> Boxed<'a, bool>;
    fn list(&self, page: SessionQuery) -> Boxed<'_, Vec<SessionSummary>>;
    fn exists<'a>(&'a self, id: &'a str) -> Boxed<'a, bool>;
    fn lock<'a>(&'a self, id: &'a str) -> Boxed<'a, Box<dyn Send>>;
}

impl<S: SessionStore> Erased for S {
    fn load<'a>(&'a self, id: &'a str) -> Boxed<'a, History> {
        Box::pin(SessionStore::load(self, id))
    }

    fn write<'a>(&'a self, id: &'a str, version: u64, change: SessionChange) -> Boxed<'a, u64> {
        Box::pin(SessionStore::write(self, id, version, change))
    }

    fn delete<'a>(&'a self, id: &'a str) -> Boxed<'a, bool> {
        Box::pin(SessionStore::delete(self, id))
    }

    fn list(&self, page: SessionQuery) -> Boxed<'_, Vec<SessionSummary>> {
        Box::pin(SessionStore::list(self, page))
    }

    fn exists<'a>(&'a self, id: &'a str) -> Boxed<'a, bool> {
        Box::pin(SessionStore::exists(self, id))
    }

    fn lock<'a>(&'a self, id: &'a str) -> Boxed<'a, Box<dyn Send>> {
        Box::pin(async move { Ok(Box::new(SessionStore::lock(self, id).await?) as Box<dyn Send>) })
    }
}
