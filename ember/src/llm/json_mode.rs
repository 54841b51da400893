use super::catalog::{Capability, Catalog};
use crate::base::{Clock, Schema};
use crate::store::BoundedMap;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a model is brought to answer in JSON of a schema.
///
/// Whichever it is, the answer is checked by the schema and the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonMode {
    /// The provider is given the schema, and enforces what it can of it.
    Schema,
    /// The model must call a tool whose arguments are the answer.
    Tool,
    /// The provider is asked for any JSON; the schema stands in the instructions.
    Json,
}

impl JsonMode {
    /// What suits a model: its provider's own schema, unless the catalogue knows that it has none.
    pub(super) fn of(catalog: &Catalog, provider: &str, model: Option<&str>) -> Self {
        match model.and_then(|model| catalog.find(provider, model)) {
            None => Self::Schema,
            Some(model) if model.can(Capability::JsonSchema) => Self::Schema,
            Some(model) if model.can(Capability::Tools) => Self::Tool,
            Some(_) => Self::Json,
        }
    }

    /// What is tried where this is refused.
    pub(super) fn below(self) -> Option<Self> {
        match self {
            Self::Schema => Some(Self::Tool),
            Self::Tool => Some(Self::Json),
            Self::Json => None,
        }
    }
}

/// How models were last brought to answer by a schema, where the usual way was refused.
///
/// The last 1,000 are kept, each for an hour: what a provider refuses today it may learn.
#[derive(Clone)]
pub(super) struct Ways(Arc<Mutex<BoundedMap<JsonMode>>>);

const MAX_WAYS: usize = 1_000;
const KEPT: Duration = Duration::from_secs(60 * 60);

impl Ways {
    /// What a way is remembered by.
    pub(super) fn key(provider: &str, model: Option<&str>, schema: &Schema) -> String {
        let mut hash = Sha256::new();
        for part in [provider, model.unwrap_or_default(), &schema.as_value().to_string()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        format!("{:x}", hash.finalize())
    }

    pub(super) fn get(&self, key: &str) -> Option<JsonMode> {
        self.lock().get(key, Clock::system().now()).copied()
    }

    pub(super) fn keep(&self, key: &str, mode: JsonMode) {
        let now = Clock::system().now();
        self.lock().insert(key, mode, now + KEPT, now);
    }

    fn lock(&self) -> MutexGuard<'_, BoundedMap<JsonMode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Ways {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(BoundedMap::new(MAX_WAYS))))
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways").field("kept", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::catalog::Model;

    #[test]
    fn the_catalogue_decides_and_the_unknown_is_taken_for_able() {
        let catalog = Catalog::new();
        catalog.add(Model::new("p", "tools").capability(Capability::Tools));
        catalog.add(Model::new("p", "nothing"));
        for (model, mode) in [
            (Some("tools"), JsonMode::Tool),
            (Some("nothing"), JsonMode::Json),
            (Some("unheard-of"), JsonMode::Schema),
            (None, JsonMode::Schema),
        ] {
            assert_eq!(JsonMode::of(&catalog, "p", model), mode, "{model:?}");
        }
        assert_eq!(JsonMode::of(&catalog, "openai", Some("gpt-4o-mini")), JsonMode::Schema);
    }
}
