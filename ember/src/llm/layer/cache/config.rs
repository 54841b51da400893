use crate::store::BoxStore;
use std::time::Duration;

/// How much is kept, for how long, and where.
///
/// ```
/// use ember::base::clock::secs;
/// use ember::llm::layer::CacheConfig;
/// use ember::llm::{Client, FakeProvider};
/// use ember::store::MemoryStore;
///
/// # fn main() -> Result<(), ember::llm::Error> {
/// // With `BoxStore::from_url("redis://…")?` in its place, all processes share what is kept.
/// let config = CacheConfig::new().ttl(secs(600)).store(MemoryStore::new());
/// let client = Client::builder().provider(FakeProvider::new()).cache(config).build()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How many answers are kept; the oldest make room. 1,000.
    pub max_entries: usize,
    /// How large an answer may be to be kept, in bytes of its JSON. 256 KiB.
    pub max_answer: usize,
    /// How long an answer is kept. 5 minutes.
    pub ttl: Duration,
    /// How long a request waits for an equal one, before one of those that wait is asked in its place. 30 s. In all
    /// no request waits for others longer than twice that.
    pub patience: Duration,
    /// Where answers are kept for all processes, beside those of its own that each keeps itself; nowhere.
    pub store: Option<BoxStore>,
    /// What keys in the store begin with: `answers:`.
    pub key_prefix: String,
    /// The model that answers requests which name none, as far as it is known: those of two programs with different ones
    /// are not the same. [`ClientBuilder`](crate::llm::ClientBuilder) sets it to that of the provider's configuration.
    pub default_model: Option<String>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_entries: 1_000,
            max_answer: 256 << 10,
            ttl: Duration::from_secs(300),
            patience: Duration::from_secs(30),
            store: None,
            key_prefix: "answers:".to_owned(),
            default_model: None,
        }
    }
}

impl CacheConfig {
    /// A thousand answers for five minutes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many answers are kept.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets how large an answer may be to be kept, in bytes of its JSON.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sets how long an answer is kept.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how long a request waits for an equal one.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Keeps answers in a store as well, for all processes that share it.
    #[must_use]
    pub fn store(mut self, store: impl Into<BoxStore>) -> Self {
        self.store = Some(store.into());
        self
    }

    /// Sets what keys in the store begin with.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Names the model that answers requests which name none.
    #[must_use]
    pub fn default_model(mut self, model: impl Into<String>) -> Self {
        self.default_model = Some(model.into());
        self
    }
}
