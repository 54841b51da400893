use super::dated::{is_date, without_date};
use super::model::Model;
use super::table::TABLE;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The models that are known: those of the table, and what a program adds to it.
///
/// A model is looked up at the provider that serves it, by the first of these rules that finds one:
///
/// 1. the id as it is, what the program has added before what the table has;
/// 2. without `models/`, or without the provider's own name before a slash (`openai/gpt-5-mini`
///    at `openai`); at `openrouter`, which passes the vendors' prices on, the name before the slash is
///    the provider;
/// 3. without a date at its end (`-2025-08-07`, `-20250807`, `@20250807`) or `-latest`;
/// 4. the newest of the ids that are this one and a date.
///
/// Clones are the same catalogue.
///
/// ```
/// use ember::llm::catalog::{Capability, Catalog, Model};
///
/// let catalog = Catalog::new();
/// let model = catalog.find("openai", "gpt-4o-mini-2024-07-18").unwrap();
/// assert!(model.can(Capability::Tools));
/// assert!(catalog.find("openai", "gpt-4o-mini-of-mine").is_none());
/// catalog.add(Model::new("openai", "gpt-4o-mini-of-mine").context_window(8_192));
/// assert_eq!(catalog.find("openai", "gpt-4o-mini-of-mine").unwrap().context_window, Some(8_192));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    added: Arc<RwLock<Added>>,
}

/// What a program has added, by provider and id.
type Added = BTreeMap<(Arc<str>, Arc<str>), Arc<Model>>;

/// Providers that serve others' models at their prices, and put the vendor before the id.
const PASS_THROUGH: &[&str] = &["openrouter"];

/// Other names of providers, and those of the table.
const ALIASES: &[(&str, &str)] = &[
    ("google", "gemini"),
    ("x-ai", "xai"),
    ("mistralai", "mistral"),
    ("openai-responses", "openai"),
];

impl Catalog {
    /// The table, with nothing added.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model, or replaces what is known of it. It takes effect with the next look-up.
    pub fn add(&self, model: Model) {
        let key = (model.provider.clone(), model.id.clone());
        let mut added = self.added.write().unwrap_or_else(PoisonError::into_inner);
        added.insert(key, Arc::new(model));
    }

    /// Finds what is known of a model at a provider.
    pub fn find(&self, provider: &str, id: &str) -> Option<Arc<Model>> {
        let alias =
            |name: &str| ALIASES.iter().find(|(known, _)| *known == name).map(|(_, name)| *name);
        let provider = alias(provider).unwrap_or(provider);
        if let Some(model) = self.by_date(provider, id) {
            return Some(model);
        }
        let (prefix, rest) = id.split_once('/')?;
        let vendor = alias(prefix).unwrap_or(prefix);
        if vendor == provider || prefix == "models" {
            self.by_date(provider, rest)
        } else if PASS_THROUGH.contains(&provider) {
            self.by_date(vendor, rest)
        } else {
            None
        }
    }

    /// Every model of the table and every one that was added, by provider and id.
    pub fn models(&self) -> Vec<Arc<Model>> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        let mut models: BTreeMap<_, _> =
            TABLE.iter().map(|model| ((&model.provider, &model.id), model)).collect();
        models.extend(added.values().map(|model| ((&model.provider, &model.id), model)));
        models.into_values().cloned().collect()
    }

    fn by_date(&self, provider: &str, id: &str) -> Option<Arc<Model>> {
        self.exact(provider, id)
            .or_else(|| self.exact(provider, without_date(id)?))
            .or_else(|| newest(provider, id))
    }

    fn exact(&self, provider: &str, id: &str) -> Option<Arc<Model>> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        if !added.is_empty()
            && let Some(model) = added.get(&(provider.into(), id.into()))
        {
            return Some(model.clone());
        }
        let place =
            TABLE.binary_search_by(|model| (&*model.provider, &*model.id).cmp(&(provider, id)));
        Some(TABLE[place.ok()?].clone())
    }
}

/// The newest of the table's ids that are this one and a date. Dates of one shape sort by time.
fn newest(provider: &str, id: &str) -> Option<Arc<Model>> {
    let start = TABLE.partition_point(|model| (&*model.provider, &*model.id) < (provider, id));
    let alike = TABLE[start..]
        .iter()
        .take_while(|model| &*model.provider == provider && model.id.starts_with(id));
    alike.filter(|model| is_date(&model.id[id.len()..])).last().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::catalog::{Capability, Price};

    #[track_caller]
    fn check(provider: &str, id: &str, found: Option<&str>) {
        let model = Catalog::new().find(provider, id);
        let name = model.map(|model| format!("{}/{}", model.provider, model.id));
        assert_eq!(name.as_deref(), found, "{id} at {provider}");
    }

    #[test]
    fn models_are_found_by_the_rules_and_no_others() {
        check("openai", "gpt-4o-mini", Some("openai/gpt-4o-mini"));
        check("openai", "gpt-4o-2024-05-13", Some("openai/gpt-4o-2024-05-13"));
        check("openai", "openai/gpt-4o-mini", Some("openai/gpt-4o-mini"));
        check("openai", "gpt-4o-mini-2031-01-01", Some("openai/gpt-4o-mini"));
        check("anthropic", "claude-haiku-4-5@20251001", Some("anthropic/claude-haiku-4-5"));
        check("anthropic", "claude-haiku-4-5-latest", Some("anthropic/claude-haiku-4-5"));
        check("openai", "gpt-4o-audio-preview", Some("openai/gpt-4o-audio-preview-2025-06-03"));
        check("google", "models/gemini-2.5-flash", Some("gemini/gemini-2.5-flash"));
        check("openrouter", "anthropic/claude-haiku-4-5", Some("anthropic/claude-haiku-4-5"));
        check("groq", "openai/gpt-oss-120b", Some("groq/openai/gpt-oss-120b"));
        check("openrouter", "anthropic/claude-haiku-4-5:free", None);
        check("ollama", "openai/gpt-4o-mini", None);
        check("lm-studio", "gpt-4o-mini", None);
        check("openai", "gpt-4o-mini-2024-07", None);
        check("openai", "ft:gpt-4o-mini:org", None);
        check("openai", "gpt", None);
        check("openai", "", None);
        check("openai", "-2024-07-18", None);
        check("openai", "é-2024-07-18", None);
    }

    #[test]
    fn what_the_program_adds_goes_before_the_table() {
        let catalog = Catalog::new();
        let price = Price::per_million("1", "2").unwrap();
        catalog.add(Model::new("openai", "gpt-4o-mini").price(price));
        let found = catalog.find("openai", "gpt-4o-mini-2031-01-01").unwrap();
        assert_eq!((found.price, found.context_window), (price, None));
        assert_eq!(catalog.models().len(), TABLE.len());
        catalog.add(Model::new("corp", "own").capability(Capability::Vision));
        assert!(catalog.clone().find("corp", "own").unwrap().can(Capability::Vision));
        assert_eq!(catalog.models().len(), TABLE.len() + 1);
    }
}
