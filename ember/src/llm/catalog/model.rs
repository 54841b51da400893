use super::price::Price;
use std::sync::Arc;

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
    pub(super) embeds: bool,
    pub(super) capabilities: Vec<Capability>,
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
