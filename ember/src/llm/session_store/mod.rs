//! Where conversations are kept.

mod memory;
mod store_sessions;
mod sessions;

pub use memory::MemorySessionStore;
pub use sessions::{Sessions, Turn};
pub use store_sessions::StoreSessions;

use super::message::Message;
use crate::base::Error;
use serde_json::{Map, Value};
use std::future::Future;
use std::time::SystemTime;

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

    /// Changes a conversation, or begins it, and returns its new version.
    ///
    /// # Errors
    /// A conflict when the conversation does not have this version any more; nothing has changed.
    fn write(
        &self,
        id: &str,
        version: u64,
        change: SessionChange,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Forgets a conversation; tells whether there was one.
    fn delete(&self, id: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Tells whether there is a conversation.
    fn exists(&self, id: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Lists conversations by their last change, the latest first, as far as a page goes.
    fn list(
        &self,
        page: SessionQuery,
    ) -> impl Future<Output = Result<Vec<SessionSummary>, Error>> + Send;

    /// Waits until nobody else holds the conversation.
    fn lock(&self, id: &str) -> impl Future<Output = Result<Self::Lock, Error>> + Send;
}

/// What an application notes of a conversation beside its messages: a title, a language, a tag.
pub type SessionMetadata = Map<String, Value>;

/// A conversation as it was when it was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// What was said. Copies of a message share its texts.
    pub messages: Vec<Message>,
    /// What is noted of it.
    pub metadata: SessionMetadata,
    /// Which state this is: 0 for a conversation that does not exist, and a number that never
    /// comes again after every change.
    pub version: u64,
}

impl History {
    /// Messages of a version.
    pub fn new(messages: Vec<Message>, version: u64) -> Self {
        Self { messages, metadata: SessionMetadata::new(), version }
    }

    /// Sets what is noted of the conversation.
    #[must_use]
    pub fn metadata(mut self, metadata: SessionMetadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// What one write does to a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SessionChange {
    /// Messages to write.
    pub messages: Vec<Message>,
    /// Whether they take the place of those there were, or come after them.
    pub replaces: bool,
    /// What is to be noted instead of what was; `None` leaves that as it is.
    pub metadata: Option<SessionMetadata>,
}

impl SessionChange {
    /// Adds messages to the end.
    pub fn append(messages: Vec<Message>) -> Self {
        Self { messages, replaces: false, metadata: None }
    }

    /// Puts messages in place of those there were.
    pub fn replace(messages: Vec<Message>) -> Self {
        Self { messages, replaces: true, metadata: None }
    }

    /// Notes this of the conversation, instead of what was noted.
    #[must_use]
    pub fn metadata(mut self, metadata: SessionMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }
}

/// Which conversations to list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionQuery {
    /// What their ids begin with.
    pub prefix: String,
    /// How many at most.
    pub limit: usize,
    /// The last one of the page before: its last change, and its id.
    pub after: Option<(SystemTime, String)>,
}

impl SessionQuery {
    /// The first page of the conversations whose ids begin so.
    pub fn new(prefix: impl Into<String>, limit: usize) -> Self {
        Self { prefix: prefix.into(), limit, after: None }
    }

    /// Goes on after a conversation that was the last of a page.
    #[must_use]
    pub fn after(mut self, changed: SystemTime, id: impl Into<String>) -> Self {
        self.after = Some((changed, id.into()));
        self
    }

    /// Tells whether a conversation comes on this page or a later one.
    pub fn includes(&self, changed: SystemTime, id: &str) -> bool {
        let is_later = |(last, last_id): &(SystemTime, String)| {
            changed < *last || changed == *last && id > last_id.as_str()
        };
        id.starts_with(&self.prefix) && self.after.as_ref().is_none_or(is_later)
    }
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its id.
    pub id: String,
    /// When it was last changed.
    pub changed: SystemTime,
    /// How many messages it has.
    pub messages: usize,
    /// What is noted of it.
    pub metadata: SessionMetadata,
}

impl SessionSummary {
    /// A conversation without messages.
    pub fn new(id: impl Into<String>, changed: SystemTime) -> Self {
        Self { id: id.into(), changed, messages: 0, metadata: SessionMetadata::new() }
    }

    /// Sets how many messages it has.
    #[must_use]
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// Sets what is noted of it.
    #[must_use]
    pub fn metadata(mut self, metadata: SessionMetadata) -> Self {
        self.metadata = metadata;
        self
    }
}
