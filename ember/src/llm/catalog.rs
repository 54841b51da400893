//! What is known of models: window, limits, prices, capabilities.
//!
//! The figures are list prices, compiled in from `catalog.csv`, which names its source and its
//! date. What is not in there is unknown: no price is guessed from a name that looks alike, and
//! an unknown price is not zero. A program adds and replaces entries at run time.

use super::usage::Usage;
use super::usd::{ParseUsdError, Usd};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// The prices of a model, each for a million tokens.
///
/// ```
/// use ember::llm::{Price, Usage};
///
/// let price = Price::per_million("0.15", "0.6")?.cache_read("0.075")?;
/// assert_eq!(price.cost(&Usage::new(1_000, 100)).unwrap().to_string(), "0.00021");
/// # Ok::<(), ember::llm::ParseUsdError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// For input that is read anew.
    pub input: Option<Usd>,
    /// For output, reasoning included.
    pub output: Option<Usd>,
    /// For input that the provider had cached; that of input where there is none.
    pub cache_read: Option<Usd>,
    /// For input that the provider caches for later; that of input where there is none.
    pub cache_write: Option<Usd>,
}

impl Price {
    /// Dollars for a million tokens of input and of output, as text: `"0.15"`.
    ///
    /// # Errors
    /// When one is no amount, or has more than six decimals.
    pub fn per_million(input: &str, output: &str) -> Result<Self, ParseUsdError> {
        Ok(Self { input: Some(million(input)?), output: Some(million(output)?), ..Self::default() })
    }

    /// Sets the price of a million tokens that the provider had cached.
    ///
    /// # Errors
    /// As [`Price::per_million`].
    pub fn cache_read(mut self, price: &str) -> Result<Self, ParseUsdError> {
        self.cache_read = Some(million(price)?);
        Ok(self)
    }

    /// Sets the price of a million tokens that the provider caches for later.
    ///
    /// # Errors
    /// As [`Price::per_million`].
    pub fn cache_write(mut self, price: &str) -> Result<Self, ParseUsdError> {
        self.cache_write = Some(million(price)?);
        Ok(self)
    }

    /// Tells whether there is a price of all that a call may use.
    pub(in crate::llm) fn is_whole(&self) -> bool {
        self.input.is_some() && self.output.is_some()
    }

    /// What no call of either price exceeds, if both are whole.
    pub(in crate::llm) fn or_higher(&self, other: &Self) -> Self {
        let cached = |price: &Self| price.cache_read.or(price.input);
        let written = |price: &Self| price.cache_write.or(price.input);
        Self {
            input: self.input.max(other.input).filter(|_| other.is_whole()),
            output: self.output.max(other.output).filter(|_| other.is_whole()),
            cache_read: cached(self).max(cached(other)),
            cache_write: written(self).max(written(other)),
        }
    }

    /// What a call costs; `None` where it used something whose price is unknown.
    pub fn cost(&self, usage: &Usage) -> Option<Usd> {
        let parts = [
            (usage.input_tokens, self.input),
            (usage.cache_read_tokens, self.cache_read.or(self.input)),
            (usage.cache_write_tokens, self.cache_write.or(self.input)),
            (usage.output_tokens, self.output),
            (usage.reasoning_tokens, self.output),
        ];
        let mut cost = Usd::ZERO;
        for (tokens, price) in parts {
            let tokens = tokens.unwrap_or(0);
            if tokens > 0 {
                cost += per_token(price?).times(tokens);
            }
        }
        Some(cost)
    }
}

/// Reads a price whose millionth part is a whole number of the smallest amount.
fn million(text: &str) -> Result<Usd, ParseUsdError> {
    let price: Usd = text.parse()?;
    match price.picos() % 1_000_000 {
        0 => Ok(price),
        _ => Err(ParseUsdError),
    }
}

fn per_token(price: Usd) -> Usd {
    Usd::from_picos(price.picos() / 1_000_000)
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Calls tools.
    Tools,
    /// Calls several tools in one turn.
    ParallelTools,
    /// Answers in JSON of a schema.
    JsonSchema,
    /// Looks at images.
    Vision,
    /// Thinks before it answers.
    Reasoning,
    /// Keeps what it has read.
    PromptCaching,
}

/// Each capability, and its letter in the table.
const LETTERS: [(char, Capability); 6] = [
    ('t', Capability::Tools),
    ('p', Capability::ParallelTools),
    ('j', Capability::JsonSchema),
    ('v', Capability::Vision),
    ('r', Capability::Reasoning),
    ('c', Capability::PromptCaching),
];

/// What is known of one model. What is `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Who serves it, by the name that `LLM_PROVIDER` uses.
    pub provider: Arc<str>,
    /// Its id.
    pub id: Arc<str>,
    /// How many tokens it can read and write together.
    pub context_window: Option<u64>,
    /// How many tokens it can answer with.
    pub max_output: Option<u64>,
    /// What it costs.
    pub price: Price,
    /// How many numbers its embeddings have, for a model that makes them.
    pub dimensions: Option<u32>,
    /// Whether it takes a temperature. Where that is unknown, a model that thinks is sent none unless
    /// the request names one.
    pub takes_temperature: Option<bool>,
    /// The day from which it is deprecated, as `2026-06-09`.
    pub deprecated_from: Option<Arc<str>>,
    embeds: bool,
    capabilities: Vec<Capability>,
}

impl Model {
    /// A model of which nothing is known yet.
    pub fn new(provider: impl Into<Arc<str>>, id: impl Into<Arc<str>>) -> Self {
        Self {
            provider: provider.into(),
            id: id.into(),
            context_window: None,
            max_output: None,
            price: Price::default(),
            dimensions: None,
            takes_temperature: None,
            deprecated_from: None,
            embeds: false,
            capabilities: Vec::new(),
        }
    }

    /// Sets how many tokens it can read and write together.
    #[must_use]
    pub fn context_window(mut self, tokens: u64) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// Sets how many tokens it can answer with.
    #[must_use]
    pub fn max_output(mut self, tokens: u64) -> Self {
        self.max_output = Some(tokens);
        self
    }

    /// Sets what it costs.
    #[must_use]
    pub fn price(mut self, price: Price) -> Self {
        self.price = price;
        self
    }

    /// Sets whether it takes a temperature.
    #[must_use]
    pub fn takes_temperature(mut self, takes: bool) -> Self {
        self.takes_temperature = Some(takes);
        self
    }

    /// Adds something that it can do.
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Tells whether it is known to be able to do something.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Tells whether it makes embeddings, and does not chat.
    pub fn embeds(&self) -> bool {
        self.embeds
    }
}

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

/// The id without the date at its end, if there is one.
pub(super) fn without_date(id: &str) -> Option<&str> {
    if let Some(stem) = id.strip_suffix("-latest") {
        return Some(stem);
    }
    [11, 9].into_iter().find_map(|length| {
        let (stem, date) = id.split_at_checked(id.len().checked_sub(length)?)?;
        (!stem.is_empty() && is_date(date)).then_some(stem)
    })
}

/// Tells whether a text is `-2025-08-07`, `-20250807` or `@20250807`.
fn is_date(text: &str) -> bool {
    let shape = match text.len() {
        11 => "-dddd-dd-dd",
        9 if text.starts_with('@') => "@dddddddd",
        9 => "-dddddddd",
        _ => return false,
    };
    text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
        b'd' => byte.is_ascii_digit(),
        _ => byte == wanted,
    })
}

/// The newest of the table's ids that are this one and a date. Dates of one shape sort by time.
fn newest(provider: &str, id: &str) -> Option<Arc<Model>> {
    let start = TABLE.partition_point(|model| (&*model.provider, &*model.id) < (provider, id));
    let alike = TABLE[start..]
        .iter()
        .take_while(|model| &*model.provider == provider && model.id.starts_with(id));
    alike.filter(|model| is_date(&model.id[id.len()..])).last().cloned()
}

/// The table, sorted by provider and id.
static TABLE: LazyLock<Vec<Arc<Model>>> = LazyLock::new(|| {
    let lines = include_str!("catalog.csv").lines().filter(|line| !line.starts_with('#'));
    // A line that does not parse would be a model that is unknown; a test sees that none is.
    let mut table: Vec<_> = lines.filter_map(parse).map(Arc::new).collect();
    table.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    table
});

fn parse(line: &str) -> Option<Model> {
    let fields: Vec<_> = line.split(',').collect();
    let [provider, id, kind, window, output, prices @ .., letters, dimensions, deprecated] =
        &fields[..]
    else {
        return None;
    };
    let [input, answer, read, write] = prices else { return None };
    let price = |text: &str| match text {
        "" => Some(None),
        text => million(text).ok().map(Some),
    };
    Some(Model {
        context_window: number(window)?,
        max_output: number(output)?,
        price: Price {
            input: price(input)?,
            output: price(answer)?,
            cache_read: price(read)?,
            cache_write: price(write)?,
        },
        dimensions: number(dimensions)?,
        deprecated_from: Some(*deprecated).filter(|day| !day.is_empty()).map(Into::into),
        embeds: *kind == "e",
        capabilities: LETTERS
            .iter()
            .filter(|(letter, _)| letters.contains(*letter))
            .map(|(_, capability)| *capability)
            .collect(),
        ..Model::new(*provider, *id)
    })
}

/// A number, or nothing; `None` where it is neither.
fn number<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("catalog.csv").lines().filter(|line| !line.starts_with('#'));
        for line in lines.clone() {
            let model = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(model.price.input.is_some(), "{line}");
        }
        assert_eq!(TABLE.len(), lines.count());
        assert!(TABLE.len() > 250);
        assert!(
            TABLE.is_sorted_by(|a, b| (&a.provider, &a.id) < (&b.provider, &b.id)),
            "no model twice"
        );
    }

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

    #[test]
    fn an_unknown_price_is_unknown() {
        let usage = Usage {
            input_tokens: Some(1_000_000),
            cache_read_tokens: Some(1_000_000),
            cache_write_tokens: Some(1_000_000),
            output_tokens: Some(1_000_000),
            reasoning_tokens: Some(1_000_000),
            estimated: false,
        };
        let price = Price::per_million("1", "10").unwrap();
        let cost = |price: Price| price.cost(&usage).map(|cost| cost.to_string());
        assert_eq!(
            cost(price).as_deref(),
            Some("23"),
            "without a price of its own, all input costs the same"
        );
        let cached = price.cache_read("0.1").unwrap().cache_write("1.25").unwrap();
        assert_eq!(cost(cached).as_deref(), Some("22.35"));
        assert_eq!(cost(Price { output: None, ..price }), None);
        assert_eq!(
            Price { output: None, ..price }.cost(&Usage::new(1, 0)).unwrap().to_string(),
            "0.000001"
        );
        assert!(Price::per_million("0.0000001", "1").is_err());
        assert_eq!(Price::default().cost(&Usage::default()), Some(Usd::ZERO));
    }
}
