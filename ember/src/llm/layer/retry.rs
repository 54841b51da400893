use super::budget::RetryBudget;
use crate::base::{Clock, Env};
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatEvent, ChatStream};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Asks again when a provider fails in a way that may pass.
///
/// What may pass is what [`Error::is_retryable`] says. A stream is opened anew only as long as nothing of
/// the answer has been told; whoever reads it never sees a word twice.
///
/// Before a retry it waits: by chance between nothing and a limit that doubles with each retry
/// ("full jitter", Marc Brooker, "Exponential Backoff And Jitter", AWS 2015); and never less than the
/// provider asks for, and a little longer by chance, so that those who were refused together do not
/// come back together. A provider that asks for nothing (`Retry-After: 0`, or a date that has passed)
/// is not overrun for that. A provider that wants to be left alone for longer
/// than [`RetryConfig::max_wait`] is not waited for: the error is returned at once, for a
/// fallback to take over.
///
/// ```
/// use ember::llm::layer::{Retry, RetryConfig};
/// use ember::llm::{ErrorKind, FakeProvider, FakeReply, Provider};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let shaky = FakeProvider::new().reply(FakeReply::error(ErrorKind::Overloaded, "busy")).text("Hello");
/// let config = RetryConfig::new().base_delay(Duration::from_millis(1));
/// assert_eq!(Retry::new(shaky, config).chat(&"Hi".into()).await?.text(), "Hello");
/// # Ok(()) }
/// ```
#[doc(alias = "RetryingProvider")]
pub struct Retry<P> {
    /// Shared with the streams that may be opened anew.
    shared: Arc<Shared<P>>,
}

struct Shared<P> {
    inner: P,
    config: RetryConfig,
    budget: RetryBudget,
    clock: Clock,
    /// A number from 0 up to 1.
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// How often to ask again, and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How often a call is repeated at most. 2.
    pub max_retries: u32,
    /// The longest wait before the first retry where the provider asks for no longer one. 500 ms.
    pub base_delay: Duration,
    /// The longest wait before any retry where the provider asks for no longer one. 8 s.
    pub max_delay: Duration,
    /// The longest wait that a provider may ask for. 60 s.
    pub max_wait: Duration,
    /// How many retries there may be for each 100 calls, all calls together. 20.
    pub budget_percent: u32,
    /// How many retries there may be within 10 seconds whatever the number of calls. 20.
    pub budget_reserve: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_retries: 2,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
            max_wait: Duration::from_secs(60),
            budget_percent: 20,
            budget_reserve: 20,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $type:ty, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

/// Within which time calls and retries are set against each other.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// How much longer than it asks for a provider is left alone, at most: a tenth, and this.
const EXTRA: Duration = Duration::from_secs(1);

/// How many events that tell nothing of the answer are held back.
pub(in crate::llm) const HELD: usize = 64;

impl RetryConfig {
    /// Two retries, within half a second and a second, or as the provider asks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `EMBER_RETRY_MAX_RETRIES`, and in seconds `EMBER_RETRY_BASE_DELAY`, `EMBER_RETRY_MAX_DELAY`
    /// and `EMBER_RETRY_MAX_WAIT`.
    pub fn from_env(env: &Env) -> Self {
        let default = Self::default();
        Self {
            max_retries: env.parse("EMBER_RETRY_MAX_RETRIES", default.max_retries),
            base_delay: seconds(env, "EMBER_RETRY_BASE_DELAY", default.base_delay),
            max_delay: seconds(env, "EMBER_RETRY_MAX_DELAY", default.max_delay),
            max_wait: seconds(env, "EMBER_RETRY_MAX_WAIT", default.max_wait),
            ..default
        }
    }

    setters! {
        max_retries: u32, "Sets how often a call is repeated at most.";
        base_delay: Duration, "Sets the longest wait before the first retry.";
        max_delay: Duration, "Sets the longest wait before any retry.";
        max_wait: Duration, "Sets the longest wait that a provider may ask for.";
        budget_percent: u32, "Sets how many retries there may be for each 100 calls.";
        budget_reserve: u32, "Sets how many retries there may be within 10 seconds whatever the number of calls.";
    }

    /// How long to wait before a retry, counted from 0, or `None` if that is longer than it is worth.
    fn wait(&self, retry: u32, hint: Option<Duration>, chance: f64) -> Option<Duration> {
        // The longest duration is no number of seconds that can be turned back into one.
        let part = |whole: Duration| {
            let seconds = whole.as_secs_f64() * chance.clamp(0.0, 1.0);
            Duration::try_from_secs_f64(seconds).unwrap_or(whole)
        };
        let doubled = self.base_delay.saturating_mul(1 << retry.min(16));
        let own = part(doubled.min(self.max_delay));
        let Some(hint) = hint else { return Some(own) };
        let asked_for = || hint.saturating_add(part((hint / 10).min(EXTRA)));
        (hint <= self.max_wait).then(|| asked_for().max(own))
    }
}

/// Reads a number of seconds, which may have decimals.
pub(super) fn seconds(env: &Env, name: &str, default: Duration) -> Duration {
    let valid = |seconds: &f64| Duration::try_from_secs_f64(*seconds).is_ok();
    env.parse_if(name, valid).map_or(default, Duration::from_secs_f64)
}

impl<P> Retry<P> {
    /// Asks again, as the configuration says.
    pub fn new(inner: P, config: RetryConfig) -> Self {
        let budget = RetryBudget::new(config.budget_percent, config.budget_reserve, BUDGET_WINDOW);
        let (clock, chance) = (Clock::system(), Box::new(by_the_machine));
        Self { shared: Arc::new(Shared { inner, config, budget, clock, chance }) }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.with(|shared| shared.clock = clock)
    }

    /// Takes chance from this function, which returns numbers from 0 up to 1.
    #[must_use]
    pub fn chance(self, chance: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.chance = Box::new(chance))
    }

    /// The provider is not shared before its first call.
    fn with(mut self, change: impl FnOnce(&mut Shared<P>)) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            change(shared);
        }
        self
    }
}

impl<P> Shared<P> {
    /// Waits until a call may be repeated; returns the error if it may not.
    async fn pause(&self, retries: &mut u32, error: Error) -> Result<(), Error> {
        if *retries >= self.config.max_retries {
            return Err(error);
        }
        let Some(wait) = self.config.wait(*retries, error.retry_after(), (self.chance)()) else {
            return Err(error);
        };
        if !self.budget.withdraw(&self.clock) {
            tracing::warn!(%error, "no retry is left for now: too many calls fail");
            return Err(error);
        }
        *retries += 1;
        tracing::debug!(%error, retry = *retries, ?wait, "a model is asked again");
        self.clock.sleep(wait).await;
        Ok(())
    }
}

impl<P: Provider> Shared<P> {
    /// Opens a stream, as often as it may be.
    async fn open(&self, request: &ChatRequest, retries: &mut u32) -> Result<ChatStream, Error> {
        loop {
            match self.inner.stream(request).await {
                Err(error) if error.is_retryable() => self.pause(retries, error).await?,
                outcome => return outcome,
            }
        }
    }

    /// Reads a stream until it tells something of the answer, and opens it anew where it does not.
    async fn begin(
        self: Arc<Self>,
        request: ChatRequest,
        mut stream: ChatStream,
        mut retries: u32,
    ) -> Result<(VecDeque<ChatEvent>, ChatStream), Error> {
        let mut held = VecDeque::new();
        while let Some(item) = stream.next().await {
            match item {
                Ok(event) => {
                    let tells = !is_preliminary(&event) || held.len() >= HELD;
                    held.push_back(event);
                    if tells {
                        break;
                    }
                }
                // An answer that broke off before it began is a connection that failed.
                Err(error) if error.is_retryable() || error.kind() == ErrorKind::Truncated => {
                    self.pause(&mut retries, error).await?;
                    held.clear();
                    stream = self.open(&request, &mut retries).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((held, stream))
    }
}

/// Tells whether an event tells nothing of the answer itself.
pub(in crate::llm) fn is_preliminary(event: &ChatEvent) -> bool {
    matches!(event, ChatEvent::Start { .. } | ChatEvent::Dropped(_) | ChatEvent::Usage(_))
}

impl<P: Provider> Provider for Retry<P> {
    fn name(&self) -> &str {
        self.shared.inner.name()
    }

    fn models(&self) -> Vec<String> {
        self.shared.inner.models()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.shared.budget.deposit(&self.shared.clock);
        let mut retries = 0;
        loop {
            match self.shared.inner.chat(request).await {
                Err(error) if error.is_retryable() => {
                    self.shared.pause(&mut retries, error).await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        self.shared.budget.deposit(&self.shared.clock);
        let mut retries = 0;
        let stream = self.shared.open(request, &mut retries).await?;
        if retries >= self.shared.config.max_retries {
            return Ok(stream);
        }
        let begin = self.shared.clone().begin(request.clone(), stream, retries);
        Ok(ChatStream::opening(begin))
    }
}

impl<P: fmt::Debug> fmt::Debug for Retry<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("inner", &self.shared.inner)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

/// Chance from the operating system; without any, the middle.
fn by_the_machine() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::getrandom(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{millis, secs};

    #[test]
    fn waits_are_what_the_provider_asks_for_or_double() {
        let config = RetryConfig::new();
        let wait = |retry, hint, chance| config.wait(retry, hint, chance);
        assert_eq!(wait(0, None, 1.0), Some(millis(500)));
        assert_eq!(wait(1, None, 1.0), Some(secs(1)));
        assert_eq!(wait(1, None, 0.25), Some(millis(250)));
        assert_eq!(wait(9, None, 1.0), Some(secs(8)), "the limit");
        assert_eq!(wait(u32::MAX, None, 1.0), Some(secs(8)));
        assert_eq!(wait(0, Some(secs(2)), 0.0), Some(secs(2)), "never earlier than asked for");
        assert_eq!(wait(0, Some(secs(2)), 1.0), Some(millis(2_200)));
        assert_eq!(wait(0, Some(secs(60)), 1.0), Some(secs(61)));
        assert_eq!(wait(1, Some(Duration::ZERO), 1.0), Some(secs(1)), "not at once");
        assert_eq!(wait(1, Some(millis(20)), 1.0), Some(secs(1)));
        assert_eq!(wait(1, Some(millis(20)), 0.0), Some(millis(20)));
        assert_eq!(wait(0, Some(millis(60_001)), 0.0), None);
    }

    #[test]
    fn no_wait_is_too_long_to_be_counted() {
        let config = RetryConfig::new();
        let config =
            config.base_delay(Duration::MAX).max_delay(Duration::MAX).max_wait(Duration::MAX);
        for chance in [1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(config.wait(0, Some(Duration::MAX), chance), Some(Duration::MAX));
            assert_eq!(config.wait(9, None, chance), Some(Duration::MAX));
        }
        assert_eq!(config.wait(0, Some(Duration::MAX), 0.0), Some(Duration::MAX));
        assert_eq!(config.wait(0, None, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn the_environment_configures_and_nonsense_does_not() {
        let env = Env::of([
            ("EMBER_RETRY_MAX_RETRIES", "5"),
            ("EMBER_RETRY_BASE_DELAY", "0.25"),
            ("EMBER_RETRY_MAX_DELAY", "-1"),
            ("EMBER_RETRY_MAX_WAIT", "1e300"),
        ]);
        let expected = RetryConfig::new().max_retries(5).base_delay(millis(250));
        assert_eq!(RetryConfig::from_env(&env), expected);
    }

    #[test]
    fn chance_is_a_number_from_0_up_to_1() {
        assert!((0..1_000).map(|_| by_the_machine()).all(|chance| (0.0..1.0).contains(&chance)));
    }
}
