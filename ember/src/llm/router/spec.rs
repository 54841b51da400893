use crate::base::Secret;
use crate::llm::catalog::{Capability, Price};
use crate::llm::provider::{BoxProvider, Provider, Timeouts};
use std::time::Duration;

/// One of the models that a [`ModelRouter`](super::ModelRouter) chooses from.
///
/// `openai/gpt-5-mini` is a whole one: the provider by the name that `LLM_PROVIDER` knows it by, and its
/// model; the key comes from the provider's own variable, and the rest from the catalogue. A name without
/// a slash is looked up in the catalogue. What the catalogue does not know, or knows otherwise, is
/// said here.
///
/// ```
/// use ember::llm::catalog::Capability;
/// use ember::llm::{ModelSpec, Price};
/// use std::time::Duration;
///
/// let spec = ModelSpec::new("house")
///     .provider("vllm")
///     .model("qwen3-32b")
///     .endpoint("http://gpu-1:8000/v1")
///     .context_window(32_768)
///     .price(Price::per_million("0.02", "0.08")?)
///     .capability(Capability::Tools)
///     .first_token(Duration::from_secs(5))
///     .weight(3);
/// # Ok::<(), ember::llm::ParseUsdError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelSpec {
    /// What requests and people call it by.
    pub name: String,
    /// Who serves it, by the name that `LLM_PROVIDER` uses.
    pub provider: Option<String>,
    /// The id by which its provider knows it.
    pub model: Option<String>,
    /// Where it is served, if not at the provider's usual address.
    pub endpoint: Option<String>,
    /// The variable that holds the key, if not the provider's own.
    pub api_key_env: Option<String>,
    /// The key itself.
    pub api_key: Option<Secret>,
    /// How many tokens it can read and write together.
    pub context_window: Option<u64>,
    /// How many tokens it may answer with.
    pub max_output: Option<u64>,
    /// What it costs.
    pub price: Option<Price>,
    /// What it can do beside what the catalogue says.
    pub more_capabilities: Vec<Capability>,
    /// What it can do, whatever the catalogue says.
    pub capabilities: Option<Vec<Capability>>,
    /// How long it may take, stage by stage.
    pub timeouts: Timeouts,
    /// How long the first token may take, from the request on.
    pub first_token: Option<Duration>,
    /// Its share of the requests under [`RoundRobin`](super::RoutingStrategy::RoundRobin). 1.
    pub weight: u32,
    pub(super) served: Option<BoxProvider>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = Some($name.into());
            self
        }
    )*};
}

impl ModelSpec {
    /// A model by its name: `provider/model`, or a name that the catalogue knows, or one that the other
    /// settings explain.
    pub fn new(name: impl Into<String>) -> Self {
        let secs = Duration::from_secs;
        Self {
            name: name.into(),
            provider: None,
            model: None,
            endpoint: None,
            api_key_env: None,
            api_key: None,
            context_window: None,
            max_output: None,
            price: None,
            more_capabilities: Vec::new(),
            capabilities: None,
            // Where another model can take over, patience is shorter than where there is one alone.
            timeouts: Timeouts::default()
                .headers(secs(30))
                .first_event(secs(60))
                .gap(secs(30))
                .total(secs(300)),
            first_token: None,
            weight: 1,
            served: None,
        }
    }

    /// A model that is served by a provider of the program's own.
    ///
    /// The provider is put into retry, circuit breaker and cost like the others; key, address and
    /// time-outs are its own affair.
    pub fn served_by(name: impl Into<String>, provider: impl Provider) -> Self {
        Self { served: Some(BoxProvider::new(provider)), ..Self::new(name) }
    }

    setters! {
        /// Sets who serves it, by the name that `LLM_PROVIDER` uses.
        provider: impl Into<String>;
        /// Sets the id by which its provider knows it; its name, without the provider, otherwise.
        model: impl Into<String>;
        /// Sets where it is served: `https://api.openai.com/v1`, with or without the path of the call itself.
        /// A key is then sent only if [`api_key_env`](Self::api_key_env) or [`api_key`](Self::api_key) says
        /// which, so that no provider's key goes to another's address.
        endpoint: impl Into<String>;
        /// Sets the variable that holds the key, in place of the provider's own.
        api_key_env: impl Into<String>;
        /// Sets the key itself.
        api_key: impl Into<Secret>;
        /// Sets how many tokens it can read and write together.
        context_window: u64;
        /// Sets how many tokens it may answer with. A request for more gets as many.
        #[doc(alias = "max_tokens")]
        max_output: u64;
        /// Sets what it costs.
        #[doc(alias = "cost_per_input_token")]
        #[doc(alias = "cost_per_output_token")]
        price: Price;
        /// Sets what it can do, whatever the catalogue says.
        capabilities: impl Into<Vec<Capability>>;
        /// Sets how long the first token may take, from the request on. A whole answer is then asked for as a
        /// stream and put together here, so that the limit holds for it as well.
        first_token: Duration;
    }

    /// Adds something that it can do to what the catalogue says.
    #[doc(alias = "supports_tools")]
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        match &mut self.capabilities {
            Some(all) => all.push(capability),
            None => self.more_capabilities.push(capability),
        }
        self
    }

    /// Sets how long it may take, stage by stage. 30 s until the answer begins, 60 s from there to the first event
    /// of a stream, 30 s between two, and 300 s in all, unless it is set.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets its share of the requests under [`RoundRobin`](super::RoutingStrategy::RoundRobin); at least 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight.max(1);
        self
    }
}

impl From<&str> for ModelSpec {
    fn from(name: &str) -> Self {
        Self::new(name.trim())
    }
}

impl From<String> for ModelSpec {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}
