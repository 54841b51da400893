use crate::base::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

/// What is kept of one session. It is written with `serde`, for engines that store bytes.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The values, by their keys.
    pub values: Map<String, Value>,
    /// Counts how often the record was saved.
    pub version: u64,
    /// When the session began.
    pub created: SystemTime,
    /// When it ends unless it is used; an engine may forget it then.
    pub expires: SystemTime,
}

/// Where sessions are kept.
///
/// An id is a secret: whoever knows it has the session.
pub trait SessionEngine: Send + Sync + 'static {
    /// Returns the record of an id.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn load(&self, id: &str) -> impl Future<Output = Result<Option<SessionRecord>, Error>> + Send;

    /// Saves a record if the one that is there has the version `expected`, or if there is none
    /// and none is expected; tells whether it did. Looking and saving must be one step.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn save(
        &self,
        id: &str,
        record: SessionRecord,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Forgets a record, if there is one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn delete(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The number of values, which themselves may be private.
impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("values", &self.values.len())
            .field("version", &self.version)
            .field("created", &self.created)
            .field("expires", &self.expires)
            .finish()
    }
}

type EngineFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The boxed twin of [`SessionEngine`]: the configuration forgets the type of its engine.
pub(super) trait BoxedEngine: Send + Sync {
    fn load<'a>(&'a self, id: &'a str) -> EngineFuture<'a, Option<SessionRecord>>;
    fn save<'a>(
        &'a self,
        id: &'a str,
        record: SessionRecord,
        expected: Option<u64>,
    ) -> EngineFuture<'a, bool>;
    fn delete<'a>(&'a self, id: &'a str) -> EngineFuture<'a, ()>;
}

impl<E: SessionEngine> BoxedEngine for E {
    fn load<'a>(&'a self, id: &'a str) -> EngineFuture<'a, Option<SessionRecord>> {
        Box::pin(SessionEngine::load(self, id))
    }

    fn save<'a>(
        &'a self,
        id: &'a str,
        record: SessionRecord,
        expected: Option<u64>,
    ) -> EngineFuture<'a, bool> {
        Box::pin(SessionEngine::save(self, id, record, expected))
    }

    fn delete<'a>(&'a self, id: &'a str) -> EngineFuture<'a, ()> {
        Box::pin(SessionEngine::delete(self, id))
    }
}
