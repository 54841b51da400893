use super::model::{RoutedModel, Surroundings};
use super::origins::Origins;
use super::spec::ModelSpec;
use super::strategy::{RoutingStrategy, Turns};
use super::{ModelRouter, Shared};
use crate::base::{Clock, Env};
use crate::llm::catalog::Catalog;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::events::EventBus;
use crate::llm::layer::{CircuitBreakerConfig, Ledger, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// Puts a router together: its models, and what stands around each of them.
///
/// ```
/// use ember::Env;
/// use ember::llm::{ModelRouter, RoutingStrategy};
///
/// let router = ModelRouter::builder()
///     .model("openai/gpt-5-mini")
///     .model("anthropic/claude-sonnet-4-6")
///     .strategy(RoutingStrategy::Cheapest)
///     .env(Env::of([("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-2")]))
///     .build()?;
/// assert_eq!(router.select(&"Hi".into())?.name, "openai/gpt-5-mini");
/// # Ok::<(), ember::llm::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a router is built by `build`"]
pub struct ModelRouterBuilder {
    specs: Vec<ModelSpec>,
    strategy: RoutingStrategy,
    named_only: bool,
    deadline: Duration,
    retry: Option<Option<RetryConfig>>,
    circuit_breaker: Option<Option<CircuitBreakerConfig>>,
    env: Env,
    clock: Clock,
    catalog: Catalog,
    ledger: Ledger,
    events: EventBus,
}

/// How long a call may take, all models together, unless it is set.
const DEADLINE: Duration = Duration::from_secs(600);

/// How long a provider may ask to be waited for where another can take over, unless the environment says otherwise.
const MAX_WAIT: Duration = Duration::from_secs(5);

impl ModelRouter {
    /// A router of these models, with keys and settings from the environment of this process.
    ///
    /// # Errors
    /// As [`ModelRouterBuilder::build`].
    pub fn new<S: Into<ModelSpec>>(models: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        Self::builder().models(models).build()
    }

    /// Begins a router that is put together piece by piece.
    pub fn builder() -> ModelRouterBuilder {
        ModelRouterBuilder {
            specs: Vec::new(),
            strategy: RoutingStrategy::default(),
            named_only: false,
            deadline: DEADLINE,
            retry: None,
            circuit_breaker: None,
            env: Env::process(),
            clock: Clock::system(),
            catalog: Catalog::new(),
            ledger: Ledger::new(),
            events: EventBus::new(),
        }
    }

    /// The router that the environment describes: `EMBER_MODELS` lists models as `openai/gpt-5-mini,
    /// anthropic/claude-sonnet-4-6`, and `EMBER_ROUTING` is `fallback`, `cheapest`, `fastest`, `round_robin` or
    /// `capability`. Keys come from the variables of each provider.
    ///
    /// # Errors
    /// When there are no models, or with all that is wrong with them.
    pub fn from_env(env: &Env) -> Result<Self, Error> {
        Self::check_env(env).map_err(joined)
    }

    /// As [`ModelRouter::from_env`], with each mistake by itself.
    pub(crate) fn check_env(env: &Env) -> Result<Self, Vec<Error>> {
        let list = env.var("EMBER_MODELS").unwrap_or_default();
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut builder = Self::builder().models(names).env(env.clone());
        let mut mistakes = Vec::new();
        if let Some(text) = env.var("EMBER_ROUTING") {
            match text.parse() {
                Ok(strategy) => builder = builder.strategy(strategy),
                Err(error) => {
                    let message = format!("EMBER_ROUTING: {error}");
                    mistakes.push(Error::new(ErrorKind::Config, message));
                }
            }
        }
        match builder.check() {
            Ok(router) if mistakes.is_empty() => Ok(router),
            Ok(_) => Err(mistakes),
            Err(others) => {
                mistakes.extend(others.into_iter().map(|error| {
                    let message = format!("EMBER_MODELS: {}", error.message());
                    let code = error.code().map(str::to_owned);
                    let error = Error::new(ErrorKind::Config, message).with_source(error);
                    match code {
                        Some(code) => error.with_code(code),
                        None => error,
                    }
                }));
                Err(mistakes)
            }
        }
    }
}

impl ModelRouterBuilder {
    /// Adds a model. Under [`RoutingStrategy::Fallback`] they are asked in the order in which they are added.
    pub fn model(mut self, model: impl Into<ModelSpec>) -> Self {
        self.specs.push(model.into());
        self
    }

    /// Adds models.
    pub fn models<S: Into<ModelSpec>>(mut self, models: impl IntoIterator<Item = S>) -> Self {
        self.specs.extend(models.into_iter().map(Into::into));
        self
    }

    /// Sets in which order the models are asked.
    pub fn strategy(mut self, strategy: RoutingStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Lets a request that names a model be answered by that one or by none; otherwise the others take
    /// its place when it fails.
    pub fn named_only(mut self) -> Self {
        self.named_only = true;
        self
    }

    /// Sets how long a call may take, all models together: until a whole answer is there, or until the
    /// first of a streamed one. A model that has another after it gets half of what is left of that time, so
    /// that the next can still answer. 600 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks a model again as this says before the call moves on, and not as `EMBER_RETRY_…` do. Unless either says
    /// otherwise, a provider that asks for more than 5 s of patience is not waited for.
    pub fn retry(mut self, config: RetryConfig) -> Self {
        self.retry = Some(Some(config));
        self
    }

    /// Asks each model once.
    pub fn without_retry(mut self) -> Self {
        self.retry = Some(None);
        self
    }

    /// Leaves a model alone as this says, and not as `EMBER_CIRCUIT_BREAKER_…` do.
    pub fn circuit_breaker(mut self, config: CircuitBreakerConfig) -> Self {
        self.circuit_breaker = Some(Some(config));
        self
    }

    /// Asks a model however often it has failed.
    pub fn without_circuit_breaker(mut self) -> Self {
        self.circuit_breaker = Some(None);
        self
    }

    /// Reads keys and settings from here, instead of the environment of this process.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Takes the time of waits and measurements from this clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Looks models up in this catalogue.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Counts what is used in a ledger that others may count in as well.
    pub fn ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = ledger;
        self
    }

    /// Tells this bus which models fail, and what happens in the [client](ModelRouter::client).
    pub fn events(mut self, bus: EventBus) -> Self {
        self.events = bus;
        self
    }

    /// The router.
    ///
    /// # Errors
    /// All that is wrong, in one message: no model at all, two of a name, a provider or model that nobody knows, a key
    /// that is missing.
    pub fn build(self) -> Result<ModelRouter, Error> {
        self.check().map_err(joined)
    }

    fn check(self) -> Result<ModelRouter, Vec<Error>> {
        let Self {
            specs, strategy, named_only, deadline, env, clock, catalog, ledger, events, ..
        } = self;
        let config = |message: String| Error::new(ErrorKind::Config, message);
        let mut mistakes = Vec::new();
        if specs.is_empty() {
            mistakes.push(config("a router needs at least one model".to_owned()));
        }
        let is_alone = specs.len() == 1;
        let retry = self.retry.unwrap_or_else(|| {
            let config = RetryConfig::from_env(&env);
            let patient = is_alone || env.var("EMBER_RETRY_MAX_WAIT").is_some();
            Some(if patient { config } else { config.max_wait(MAX_WAIT) })
        });
        let breaker = || Some(CircuitBreakerConfig::from_env(&env));
        let circuit_breaker = self.circuit_breaker.unwrap_or_else(breaker);
        let around = Surroundings { env, clock, catalog, ledger, retry, circuit_breaker };
        let mut models: Vec<RoutedModel> = Vec::new();
        for spec in specs {
            if models.iter().any(|model| model.name == spec.name) {
                mistakes.push(config(format!("two models have the name `{}`", spec.name)));
                continue;
            }
            match RoutedModel::new(spec, &around) {
                Ok(model) => models.push(model),
                Err(error) => mistakes.push(error),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let Surroundings { env, clock, catalog, ledger, .. } = around;
        let (turns, origins) = (Turns::default(), Origins::default());
        let shared =
            Shared { models, turns, origins, deadline, env, clock, catalog, ledger, events };
        Ok(ModelRouter { shared: Arc::new(shared), strategy, named_only })
    }
}

/// All mistakes in one.
fn joined(mistakes: Vec<Error>) -> Error {
    let messages: Vec<_> = mistakes.iter().map(Error::message).collect();
    Error::new(ErrorKind::Config, messages.join("; "))
}
