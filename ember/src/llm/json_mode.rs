#[cfg(feature = "openai")]
use super::adapter::openai::Vendor;
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
    /// The provider shows the schema to the model, and enforces nothing. It takes schemas that are
    /// too much for what enforces them.
    LooseSchema,
    /// The model must call a tool whose arguments are the answer.
    Tool,
    /// The provider is asked for any JSON; the schema stands in the instructions.
    Json,
}

impl JsonMode {
    /// What suits a model: its provider's own schema, unless the catalogue knows that it has none,
    /// or the provider's interface has no place for one.
    pub(super) fn of(catalog: &Catalog, provider: &str, model: Option<&str>) -> Self {
        let schemas = takes_schemas(provider);
        match model.and_then(|model| catalog.find(provider, model)) {
            None if schemas => Self::Schema,
            None => Self::Json,
            Some(model) if schemas && model.can(Capability::JsonSchema) => Self::Schema,
            Some(model) if model.can(Capability::Tools) => Self::Tool,
            Some(_) => Self::Json,
        }
    }

    /// What is tried where this provider refuses this.
    pub(super) fn below(self, provider: &str) -> Option<Self> {
        match self {
            Self::Schema if ENFORCING.contains(&provider) => Some(Self::Tool),
            Self::Schema => Some(Self::LooseSchema),
            Self::LooseSchema => Some(Self::Tool),
            Self::Tool => Some(Self::Json),
            Self::Json => None,
        }
    }
}

/// Tells whether a provider's interface has a place for a schema of the answer.
fn takes_schemas(provider: &str) -> bool {
    #[cfg(feature = "openai")]
    {
        Vendor::find(provider).is_none_or(|vendor| vendor.quirks.json_schema)
    }
    #[cfg(not(feature = "openai"))]
    {
        let _ = provider;
        true
    }
}

/// Providers that enforce every schema that they are given: a loose one means nothing to them.
const ENFORCING: &[&str] = &["anthropic"];

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

    #[cfg(feature = "openai")]
    #[test]
    fn an_interface_without_schemas_is_given_none() {
        let of = |model: &str| JsonMode::of(&Catalog::new(), "deepseek", Some(model));
        assert_eq!((of("deepseek-v4-flash"), of("unheard-of")), (JsonMode::Tool, JsonMode::Json));
    }

    #[test]
    fn each_way_is_plainer_than_the_one_before() {
        let ways = |provider: &str| {
            let below = |mode: &JsonMode| mode.below(provider);
            std::iter::successors(Some(JsonMode::Schema), below).collect::<Vec<_>>()
        };
        use JsonMode::*;
        assert_eq!(ways("openai"), [Schema, LooseSchema, Tool, Json]);
        assert_eq!(ways("anthropic"), [Schema, Tool, Json]);
    }

    #[test]
    fn ways_are_kept_by_model_and_schema_and_not_without_end() {
        let schema = |name: &str| Schema::from(serde_json::json!({"title": name}));
        let ways = Ways::default();
        let key =
            |model: usize, name: &str| Ways::key("p", Some(&model.to_string()), &schema(name));
        assert_ne!(key(1, "a"), key(2, "a"));
        assert_ne!(key(1, "a"), key(1, "b"));
        for model in 0..=MAX_WAYS {
            ways.keep(&key(model, "a"), JsonMode::Tool);
        }
        assert_eq!(ways.get(&key(MAX_WAYS, "a")), Some(JsonMode::Tool));
        assert_eq!(ways.get(&key(0, "a")), None, "the oldest made room");
        assert_eq!(ways.lock().len(), MAX_WAYS);
    }
}
