use super::client::{Client, Parts};
use super::error::{Error, ErrorKind};
use super::events::EventBus;
use super::layer::{
    CacheConfig, CircuitBreakerConfig, CostConfig, Ledger, RetryConfig, Routed, StackConfig,
};
use super::provider::{BoxProvider, Provider, ProviderConfig, ProviderDescriptor};
use super::router::ModelRouter;
use super::session_store::{MemorySessionStore, Sessions};
use crate::base::{Clock, Env};

/// Puts a client together: a provider, and what stands around it.
///
/// The provider is a given one, the one that a configuration describes, or else the one that
/// `LLM_PROVIDER` names. Retry, circuit breaker, cost and events are there unless they are turned
/// off; a cache is there if it is asked for.
///
/// ```
/// use ember::llm::layer::{CacheConfig, RetryConfig};
/// use ember::llm::{Client, FakeProvider};
///
/// let client = Client::builder()
///     .provider(FakeProvider::new())
///     .retry(RetryConfig::new().max_retries(4))
///     .without_circuit_breaker()
///     .cache(CacheConfig::new())
///     .build()?;
/// # Ok::<(), ember::llm::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a client is built by `build`"]
pub struct ClientBuilder {
    provider: Option<BoxProvider>,
    /// What the models of a router cost, if that is the provider.
    routed: Option<CostConfig>,
    config: Option<ProviderConfig>,
    env: Env,
    retry: Setting<RetryConfig>,
    circuit_breaker: Setting<CircuitBreakerConfig>,
    cost: Setting<CostConfig>,
    cache: Option<CacheConfig>,
    events: Setting<EventBus>,
    ledger: Ledger,
    sessions: Option<Sessions>,
    clock: Clock,
}

#[derive(Debug)]
enum Setting<T> {
    Default,
    Set(T),
    Off,
}

impl<T> Setting<T> {
    /// What was set, the default where nothing was, or nothing.
    fn resolve(self, default: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::Default => Some(default()),
            Self::Set(value) => Some(value),
            Self::Off => None,
        }
    }
}

impl Client {
    /// Begins a client that is put together piece by piece.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            provider: None,
            routed: None,
            config: None,
            env: Env::process(),
            retry: Setting::Default,
            circuit_breaker: Setting::Default,
            cost: Setting::Default,
            cache: None,
            events: Setting::Default,
            ledger: Ledger::new(),
            sessions: None,
            clock: Clock::system(),
        }
    }

    /// A client of the provider that a configuration describes, with everything around it.
    ///
    /// # Errors
    /// When there is no such provider, or the configuration lacks something.
    pub fn from_config(config: ProviderConfig) -> Result<Self, Error> {
        Self::builder().config(config).build()
    }

    /// A client of the provider that `LLM_PROVIDER` names, with that provider's own variables, and
    /// with everything around it.
    ///
    /// # Errors
    /// When there is no such provider, or its key is missing.
    pub fn from_env() -> Result<Self, Error> {
        Self::with_env(Env::process())
    }

    /// As [`Client::from_env`], with other variables.
    ///
    /// # Errors
    /// When there is no such provider, or its key is missing.
    pub fn with_env(env: Env) -> Result<Self, Error> {
        Self::builder().env(env).build()
    }
}

impl ModelRouter {
    /// A client of the models: usage, events, budgets, sessions and tools as with one provider. Nothing is tried again
    /// or counted twice, as [`ClientBuilder::router`] says.
    pub fn client(&self) -> Client {
        let sessions = Sessions::new(MemorySessionStore::new());
        let (env, ..) = self.settings();
        Client::of(Parts {
            provider: BoxProvider::new(self.clone()),
            env: env.clone(),
            model: None,
            ledger: self.ledger().clone(),
            events: Some(self.events().clone()),
            prices: self.prices(),
            sessions,
            fills: false,
        })
    }
}

impl ClientBuilder {
    /// Asks this provider.
    pub fn provider(mut self, provider: impl Provider) -> Self {
        (self.provider, self.routed) = (Some(BoxProvider::new(provider)), None);
        self
    }

    /// Asks the models of a router.
    ///
    /// Retries, circuit breaker and prices are those that the router has around each model; this client adds none
    /// unless they are set here after this. The ledger, the events, the settings and the clock are the router's.
    pub fn router(mut self, router: ModelRouter) -> Self {
        let (env, _, clock) = router.settings();
        (self.env, self.clock) = (env.clone(), clock.clone());
        // What the router counts is counted, unless this client has prices of its own.
        (self.ledger, self.events) =
            (router.ledger().clone(), Setting::Set(router.events().clone()));
        (self.retry, self.circuit_breaker, self.cost) = (Setting::Off, Setting::Off, Setting::Off);
        self.routed = Some(router.prices());
        self.provider = Some(BoxProvider::new(router));
        self
    }

    /// Asks the provider that this describes.
    pub fn config(mut self, config: ProviderConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Reads settings from here, instead of the environment of this process.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Asks again as this says, and not as `EMBER_RETRY_…` do.
    pub fn retry(mut self, config: RetryConfig) -> Self {
        self.retry = Setting::Set(config);
        self
    }

    /// Asks once.
    pub fn without_retry(mut self) -> Self {
        self.retry = Setting::Off;
        self
    }

    /// Leaves the provider alone as this says, and not as `EMBER_CIRCUIT_BREAKER_…` do.
    pub fn circuit_breaker(mut self, config: CircuitBreakerConfig) -> Self {
        self.circuit_breaker = Setting::Set(config);
        self
    }

    /// Asks the provider however often it has failed.
    pub fn without_circuit_breaker(mut self) -> Self {
        self.circuit_breaker = Setting::Off;
        self
    }

    /// Prices what is used as this says. Of a [router](ClientBuilder::router) that stands before this, the
    /// answers are counted at these prices, and in a ledger of their own.
    pub fn cost(mut self, config: CostConfig) -> Self {
        if self.routed.is_some() {
            self.ledger = Ledger::new();
        }
        self.cost = Setting::Set(config);
        self
    }

    /// Counts nothing: [`Client::usage`] stays empty.
    pub fn without_cost(mut self) -> Self {
        self.cost = Setting::Off;
        self
    }

    /// Counts in a ledger that other clients may count in as well.
    pub fn ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = ledger;
        self
    }

    /// Replays answers to requests that were answered before.
    pub fn cache(mut self, config: CacheConfig) -> Self {
        self.cache = Some(config);
        self
    }

    /// Tells this bus what happens, which other clients may tell as well.
    pub fn events(mut self, bus: EventBus) -> Self {
        self.events = Setting::Set(bus);
        self
    }

    /// Tells nobody what happens: what [`Client::on`] registers is never called.
    pub fn without_events(mut self) -> Self {
        self.events = Setting::Off;
        self
    }

    /// Keeps the conversations of [`Client::session`] here, where other clients may keep theirs as
    /// well; in the memory of the client unless this is set.
    pub fn sessions(mut self, sessions: impl Into<Sessions>) -> Self {
        self.sessions = Some(sessions.into());
        self
    }

    /// Takes the time of waits and limits from this clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// When both a provider and a configuration were given, there is no such provider, or its configuration
    /// lacks something.
    pub fn build(self) -> Result<Client, Error> {
        let Self {
            provider,
            routed,
            config,
            env,
            retry,
            circuit_breaker,
            cost,
            cache,
            events,
            ledger,
            sessions,
            clock,
        } = self;
        let (provider, model) = match (provider, config) {
            (Some(_), Some(_)) => {
                let message = "a client has a provider or a configuration of one, not both";
                return Err(Error::new(ErrorKind::Config, message));
            }
            (Some(provider), None) => (provider, None),
            (None, config) => made(config, &env)?,
        };
        let mut stack = StackConfig::new();
        stack.retry = retry.resolve(|| RetryConfig::from_env(&env));
        stack.circuit_breaker = circuit_breaker.resolve(|| CircuitBreakerConfig::from_env(&env));
        stack.cost = cost.resolve(CostConfig::new).map(|cost| match &model {
            Some(model) if cost.default_model.is_none() => cost.default_model(model),
            _ => cost,
        });
        let fills = routed.is_none();
        let prices = match (stack.cost.clone(), routed) {
            (Some(mut cost), Some(routed)) => {
                // Whichever of the models answers, at prices that are set here.
                cost.routed = routed.routed.map(|routed| Routed { own_prices: false, ..routed });
                cost
            }
            (cost, routed) => cost.or(routed).unwrap_or_default(),
        };
        stack.cache = cache.map(|cache| match &model {
            Some(model) if cache.default_model.is_none() => cache.default_model(model),
            _ => cache,
        });
        stack.ledger = ledger.clone();
        stack.clock = clock;
        let events = events.resolve(EventBus::new);
        let provider = stack.boxed(provider);
        let sessions = sessions.unwrap_or_else(|| Sessions::new(MemorySessionStore::new()));
        Ok(Client::of(Parts { provider, env, model, ledger, events, prices, sessions, fills }))
    }
}

/// Makes the provider that a configuration describes, or else the environment; and tells its model.
fn made(config: Option<ProviderConfig>, env: &Env) -> Result<(BoxProvider, Option<String>), Error> {
    let (descriptor, config) = match config {
        Some(config) => (ProviderDescriptor::find(&config.provider)?, config),
        None => {
            let name =
                env.var("LLM_PROVIDER").unwrap_or_else(|| Client::DEFAULT_PROVIDER.to_owned());
            let descriptor = ProviderDescriptor::find(name.trim())?;
            (descriptor, descriptor.configure(env)?)
        }
    };
    let model = Some(config.model.clone()).filter(|model| !model.is_empty());
    Ok((descriptor.make(config)?, model))
}
