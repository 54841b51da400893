use super::cache::{Cache, CacheConfig};
use super::circuit_breaker::{CircuitBreaker, CircuitBreakerConfig};
use super::cost::Cost;
use super::ledger::Ledger;
use super::prices::CostConfig;
use super::retry::{Retry, RetryConfig};
use crate::base::{Clock, Env};
use crate::llm::provider::{BoxProvider, Provider};

/// A provider with all that makes it dependable, in the order that bears load.
///
/// Retries stand inside the breaker: a call whose retries are used up is one failure, not
/// three. Cost stands outermost: it counts what was answered.
///
/// ```
/// use ember::llm::layer::{Stack, StackConfig};
/// use ember::llm::{FakeProvider, Provider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let provider: Stack<FakeProvider> = StackConfig::new().around(FakeProvider::new().text("Hello"));
/// provider.chat(&"Good morning".into()).await?;
/// assert_eq!(provider.usage().total_requests(), 1);
/// # Ok(()) }
/// ```
pub type Stack<P> = Cost<CircuitBreaker<Retry<P>>>;

/// What is put around a provider. What is `None` is left out; only a [`Cache`] is, unless it is asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StackConfig {
    /// Asks again.
    pub retry: Option<RetryConfig>,
    /// Leaves a provider alone that keeps failing.
    pub circuit_breaker: Option<CircuitBreakerConfig>,
    /// Counts what is used.
    pub cost: Option<CostConfig>,
    /// Replays answers.
    pub cache: Option<CacheConfig>,
    /// Where what is used is counted.
    pub ledger: Ledger,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self::from_env(&Env::of::<&str, &str>([]))
    }
}

impl StackConfig {
    /// Retry, breaker and cost, each with its defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Retry, breaker and cost, as the environment configures them.
    pub fn from_env(env: &Env) -> Self {
        Self {
            retry: Some(RetryConfig::from_env(env)),
            circuit_breaker: Some(CircuitBreakerConfig::from_env(env)),
            cost: Some(CostConfig::new()),
            cache: None,
            ledger: Ledger::new(),
            clock: Clock::system(),
        }
    }

    /// Puts the three around a provider, each with its defaults where it was left out, with all types known.
    pub fn around<P: Provider>(self, provider: P) -> Stack<P> {
        let Self { retry, circuit_breaker, cost, ledger, clock, .. } = self;
        let retry = Retry::new(provider, retry.unwrap_or_default()).clock(clock.clone());
        let breaker = CircuitBreaker::new(retry, circuit_breaker.unwrap_or_default()).clock(clock);
        Cost::sharing(breaker, cost.unwrap_or_default(), ledger)
    }

    /// Puts around a provider what was not left out, and forgets the types.
    pub fn boxed(self, provider: impl Provider) -> BoxProvider {
        match self.retry {
            Some(config) => {
                let retry = Retry::new(provider, config).clock(self.clock.clone());
                self.broken(retry)
            }
            None => self.broken(provider),
        }
    }

    fn broken(self, provider: impl Provider) -> BoxProvider {
        match self.circuit_breaker {
            Some(config) => {
                let breaker = CircuitBreaker::new(provider, config).clock(self.clock.clone());
                self.counted(breaker)
            }
            None => self.counted(provider),
        }
    }

    fn counted(mut self, provider: impl Provider) -> BoxProvider {
        match self.cost.take() {
            Some(config) => {
                let cost = Cost::sharing(provider, config, self.ledger.clone());
                self.cached(cost)
            }
            None => self.cached(provider),
        }
    }

    fn cached(self, provider: impl Provider) -> BoxProvider {
        match self.cache {
            Some(config) => BoxProvider::new(Cache::new(provider, config).clock(self.clock)),
            None => BoxProvider::new(provider),
        }
    }
}
