use super::retry::{is_preliminary, seconds};
use crate::base::{Clock, Env};
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatEvent, ChatStream, Watch};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Leaves a provider alone that keeps failing, and finds out when it is back.
///
/// Each model of the provider has a circuit of its own. After so many failures in a row it
/// opens: calls fail at once with [`ErrorKind::CircuitOpen`]. When the provider has been left alone for a
/// while, one call is let through as a probe; the others still fail. If the provider answers, the circuit
/// closes; if not, it stays open for as long again. A probe that is abandoned tells nothing, and the
/// next call becomes the probe.
///
/// Only failures that tell of the provider's health count: overload, time-outs, broken connections and
/// 5xx. A request that is wrong, too long, or refused says nothing about the next one; neither does a
/// rate limit, which has its own wait. A stream counts when it ends; as a probe it has succeeded when it tells
/// the first of its answer, so that a long answer does not keep the others waiting, but if it
/// breaks after that, the circuit opens again at once.
#[doc(alias = "CircuitBreakerProvider")]
pub struct CircuitBreaker<P> {
    inner: P,
    circuits: Circuits,
}

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitBreakerConfig {
    /// After how many failures in a row the circuit opens. 5.
    pub failures: u32,
    /// How long the provider is left alone. 15 s.
    pub recovery: Duration,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self { failures: 5, recovery: Duration::from_secs(15) }
    }
}

impl CircuitBreakerConfig {
    /// Five failures, and fifteen seconds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `EMBER_CIRCUIT_BREAKER_FAILURES`, and in seconds `EMBER_CIRCUIT_BREAKER_RECOVERY`.
    pub fn from_env(env: &Env) -> Self {
        let default = Self::default();
        let some = |failures: &u32| *failures > 0;
        Self {
            failures: env
                .parse_if("EMBER_CIRCUIT_BREAKER_FAILURES", some)
                .unwrap_or(default.failures),
            recovery: seconds(env, "EMBER_CIRCUIT_BREAKER_RECOVERY", default.recovery),
        }
    }

    /// Sets after how many failures in a row the circuit opens; at least one.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// Sets how long the provider is left alone.
    #[must_use]
    pub fn recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// It goes through.
    Closed,
    /// It fails at once.
    Open,
    /// It is the probe, or fails because another one is.
    HalfOpen,
}

impl<P> CircuitBreaker<P> {
    /// Leaves the provider alone, as the configuration says.
    pub fn new(inner: P, config: CircuitBreakerConfig) -> Self {
        let shared = Shared { config, clock: Clock::system(), circuits: Mutex::default() };
        Self { inner, circuits: Circuits(Arc::new(shared)) }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        let config = self.circuits.0.config;
        let shared = Shared { config, clock, circuits: Mutex::default() };
        Self { circuits: Circuits(Arc::new(shared)), ..self }
    }

    /// The state of a model's circuit; of that of the default model where none is named.
    pub fn state(&self, model: Option<&str>) -> CircuitState {
        self.circuits.state(model.unwrap_or_default())
    }

    /// Tells the state of a model's circuit, and for how long it will be open yet, to somebody who does
    /// not hold the breaker.
    pub(in crate::llm) fn watch(
        &self,
        model: String,
    ) -> impl Fn() -> (CircuitState, Duration) + Send + Sync + 'static {
        let circuits = self.circuits.clone();
        move || (circuits.state(&model), circuits.left(&model))
    }
}

impl<P: Provider> Provider for CircuitBreaker<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn models(&self) -> Vec<String> {
        self.inner.models()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let mut call = self.circuits.enter(self.inner.name(), request)?;
        let outcome = self.inner.chat(request).await;
        match &outcome {
            Ok(_) => call.succeeded(),
            Err(error) => call.failed(error),
        }
        outcome
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        let mut call = self.circuits.enter(self.inner.name(), request)?;
        match self.inner.stream(request).await {
            Ok(stream) => Ok(stream.watched(call)),
            Err(error) => {
                call.failed(&error);
                Err(error)
            }
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for CircuitBreaker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("inner", &self.inner)
            .field("config", &self.circuits.0.config)
            .finish_non_exhaustive()
    }
}

/// Tells whether an error tells of the provider's health.
fn counts(error: &Error) -> bool {
    use ErrorKind::{Overloaded, Server, Timeout, Transport, Truncated};
    matches!(error.kind(), Overloaded | Server | Timeout | Transport | Truncated)
}

#[derive(Clone)]
struct Circuits(Arc<Shared>);

struct Shared {
    config: CircuitBreakerConfig,
    clock: Clock,
    /// By model: only those that have failed lately.
    circuits: Mutex<HashMap<String, Circuit>>,
}

/// How many models are watched; their names come from requests. The one that failed longest ago makes room.
const MAX_CIRCUITS: usize = 1_024;

struct Circuit {
    /// How many in a row.
    failures: u32,
    last_failure: Instant,
    /// Until when it is open, if it is.
    open_until: Instant,
    /// Counts the times it has opened. What a call of an earlier time finds out is old news.
    epoch: u64,
    open: bool,
    probing: bool,
}

impl Circuits {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.0.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, model: &str) -> CircuitState {
        let now = self.0.clock.now();
        match self.lock().get(model) {
            Some(circuit) if circuit.open => match now < circuit.open_until {
                true => CircuitState::Open,
                false => CircuitState::HalfOpen,
            },
            _ => CircuitState::Closed,
        }
    }

    /// For how long a model's circuit will be open yet.
    fn left(&self, model: &str) -> Duration {
        let now = self.0.clock.now();
        let circuits = self.lock();
        let circuit = circuits.get(model).filter(|circuit| circuit.open);
        let until = circuit.map(|circuit| circuit.open_until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Lets a call through, or not.
    fn enter(&self, provider: &str, request: &ChatRequest) -> Result<Call, Error> {
        let model = request.model.as_deref().unwrap_or_default();
        let mut circuits = self.lock();
        let call =
            |epoch, probe| Call { circuits: self.clone(), model: model.to_owned(), epoch, probe };
        let Some(circuit) = circuits.get_mut(model) else { return Ok(call(0, false)) };
        if !circuit.open {
            return Ok(call(circuit.epoch, false));
        }
        let wait = circuit.open_until.saturating_duration_since(self.0.clock.now());
        if !wait.is_zero() || circuit.probing {
            let message = "it has failed too often lately and is left alone for a while";
            let error = Error::new(ErrorKind::CircuitOpen, message).with_provider(provider);
            // While a probe is under way, nobody knows how long.
            return Err(if wait.is_zero() { error } else { error.with_retry_after(wait) });
        }
        circuit.probing = true;
        Ok(call(circuit.epoch, true))
    }
}

/// A call that was let through. Dropped without an outcome, it has found out nothing.
struct Call {
    circuits: Circuits,
    model: String,
    epoch: u64,
    probe: bool,
}

impl Call {
    /// The provider has begun to answer. A probe need not wait for the end.
    fn begun(&mut self) {
        if !std::mem::take(&mut self.probe) {
            return;
        }
        let limit = self.circuits.0.config.failures;
        if let Some(circuit) = self.circuits.lock().get_mut(&self.model) {
            circuit.open = false;
            circuit.probing = false;
            // One more failure opens it again.
            circuit.failures = limit - 1;
            tracing::info!(model = self.model, "the provider answers again");
        }
    }

    /// The provider has answered.
    fn succeeded(&mut self) {
        self.begun();
        let mut circuits = self.circuits.lock();
        if circuits
            .get(&self.model)
            .is_some_and(|circuit| !circuit.open && circuit.epoch == self.epoch)
        {
            circuits.remove(&self.model);
        }
    }

    fn failed(&mut self, error: &Error) {
        if !counts(error) {
            return self.undecided(error);
        }
        let probe = std::mem::take(&mut self.probe);
        let (now, limit) = (self.circuits.0.clock.now(), self.circuits.0.config.failures);
        let mut circuits = self.circuits.lock();
        if !circuits.contains_key(&self.model) {
            make_room(&mut circuits);
        }
        let circuit = circuits.entry(self.model.clone()).or_insert(Circuit {
            failures: 0,
            last_failure: now,
            open_until: now,
            epoch: self.epoch,
            open: false,
            probing: false,
        });
        if circuit.epoch != self.epoch || circuit.open && !probe {
            return;
        }
        circuit.last_failure = now;
        circuit.failures = circuit.failures.saturating_add(1);
        if probe || circuit.failures >= limit {
            circuit.open = true;
            circuit.open_until = self.circuits.0.clock.after(self.circuits.0.config.recovery);
            circuit.probing = false;
            circuit.epoch += 1;
            tracing::warn!(model = self.model, %error, "the provider keeps failing and is left alone");
        }
    }

    /// An error that says nothing of the provider's health, but that it answers.
    fn undecided(&mut self, error: &Error) {
        // An answer with a status shows that somebody is there again.
        if error.status().is_some() {
            self.begun();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.probe
            && let Some(circuit) = self.circuits.lock().get_mut(&self.model)
            && circuit.epoch == self.epoch
        {
            circuit.probing = false;
        }
    }
}

/// Lets the circuit go that failed longest ago, if there are too many.
fn make_room(circuits: &mut HashMap<String, Circuit>) {
    if circuits.len() >= MAX_CIRCUITS {
        let oldest = circuits.iter().min_by_key(|(_, circuit)| circuit.last_failure);
        if let Some(model) = oldest.map(|(model, _)| model.clone()) {
            circuits.remove(&model);
        }
    }
}

/// The outcome of a stream counts.
impl Watch for Call {
    fn look(&mut self, item: &Result<ChatEvent, Error>) {
        match item {
            Ok(ChatEvent::Finish(_)) => self.succeeded(),
            Ok(event) if !is_preliminary(event) => self.begun(),
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};
    use crate::llm::fake::{FakeProvider, FakeReply};
    use futures_util::FutureExt as _;

    fn down() -> FakeReply {
        FakeReply::error(ErrorKind::Overloaded, "busy")
    }

    fn up() -> FakeReply {
        FakeReply::new().text("a b c")
    }

    /// A breaker that opens after three failures, for ten seconds.
    fn breaker(
        replies: impl IntoIterator<Item = FakeReply>,
    ) -> (CircuitBreaker<FakeProvider>, ManualClock) {
        let hands = ManualClock::new();
        let fake = replies.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
        let config = CircuitBreakerConfig::new().failures(3).recovery(secs(10));
        (CircuitBreaker::new(fake, config).clock(hands.clock()), hands)
    }

    /// Asks in one of the two ways, which are to be the same.
    async fn ask(breaker: &CircuitBreaker<FakeProvider>, streamed: bool) -> Result<(), ErrorKind> {
        let request = ChatRequest::from("x");
        let outcome = match streamed {
            true => match breaker.stream(&request).await {
                Ok(stream) => stream.collect().await,
                Err(error) => Err(error),
            },
            false => breaker.chat(&request).await,
        };
        outcome.map(drop).map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn opens_probes_and_closes_again() {
        for streamed in [false, true] {
            let broken = up().fail_after(2, ErrorKind::Transport, "reset");
            let (breaker, hands) = breaker([down(), broken, down(), down(), up(), up()]);
            for kind in [ErrorKind::Overloaded, ErrorKind::Transport, ErrorKind::Overloaded] {
                assert_eq!(ask(&breaker, streamed).await, Err(kind));
            }
            assert_eq!(breaker.state(None), CircuitState::Open);
            assert_eq!(breaker.state(Some("other")), CircuitState::Closed, "each model by itself");
            let refused = breaker.chat(&"x".into()).await.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.retry_after()),
                (ErrorKind::CircuitOpen, Some(secs(10)))
            );
            assert_eq!(ask(&breaker, streamed).await, Err(ErrorKind::CircuitOpen));
            hands.advance(millis(9_999));
            assert_eq!(ask(&breaker, streamed).await, Err(ErrorKind::CircuitOpen));
            hands.advance(millis(1));
            assert_eq!(breaker.state(None), CircuitState::HalfOpen);
            assert_eq!(ask(&breaker, streamed).await, Err(ErrorKind::Overloaded), "the probe");
            assert_eq!(
                ask(&breaker, streamed).await,
                Err(ErrorKind::CircuitOpen),
                "open as long again"
            );
            hands.advance(secs(10));
            assert_eq!(ask(&breaker, streamed).await, Ok(()), "the second probe");
            assert_eq!(
                (breaker.state(None), ask(&breaker, streamed).await),
                (CircuitState::Closed, Ok(()))
            );
            assert!(breaker.circuits.lock().is_empty());
        }
    }

    #[tokio::test]
    async fn a_recovery_without_end_leaves_the_provider_alone_for_good() {
        for streamed in [false, true] {
            let hands = ManualClock::new();
            let config = CircuitBreakerConfig::new().failures(1).recovery(Duration::MAX);
            let fake = FakeProvider::new().reply(down());
            let breaker = CircuitBreaker::new(fake, config).clock(hands.clock());
            let left = breaker.watch("m".to_owned());
            let request = ChatRequest::from("x").model("m");
            assert!(breaker.chat(&request).await.is_err());
            hands.advance(secs(1_000_000));
            assert_eq!(breaker.state(Some("m")), CircuitState::Open);
            let (state, left) = left();
            assert!(state == CircuitState::Open && left > secs(1_000_000), "{left:?}");
            let error = match streamed {
                true => breaker.stream(&request).await.map(drop).unwrap_err(),
                false => breaker.chat(&request).await.map(drop).unwrap_err(),
            };
            assert_eq!(error.kind(), ErrorKind::CircuitOpen);
        }
    }

    #[tokio::test]
    async fn a_success_between_failures_starts_the_count_again() {
        for streamed in [false, true] {
            let (breaker, _) = breaker([down(), down(), up(), down(), down(), up()]);
            for _ in 0..6 {
                let _ = ask(&breaker, streamed).await;
                assert_eq!(breaker.state(None), CircuitState::Closed);
            }
        }
    }

    #[tokio::test]
    async fn only_the_providers_health_counts() {
        use ErrorKind::{
            Auth, ContentFilter, ContextLength, Decode, InvalidRequest, Quota, RateLimit,
        };
        for kind in [Auth, ContentFilter, ContextLength, Decode, InvalidRequest, Quota, RateLimit] {
            let (breaker, _) = breaker((0..4).map(|_| FakeReply::error(kind, "no")));
            for streamed in [false, true, false, true] {
                assert_eq!(ask(&breaker, streamed).await, Err(kind));
            }
            assert_eq!(breaker.state(None), CircuitState::Closed);
        }
    }

    #[tokio::test]
    async fn one_probe_at_a_time_and_an_abandoned_one_makes_room() {
        let (breaker, hands) =
            breaker([down(), down(), down(), up().hang_after(0), up().hang_after(0), up()]);
        for _ in 0..3 {
            let _ = ask(&breaker, false).await;
        }
        hands.advance(secs(10));
        for streamed in [false, true] {
            // A probe that hangs.
            let probe = ask(&breaker, streamed);
            tokio::pin!(probe);
            assert!(probe.as_mut().now_or_never().is_none());
            assert_eq!(ask(&breaker, true).await, Err(ErrorKind::CircuitOpen));
            assert_eq!(ask(&breaker, false).await, Err(ErrorKind::CircuitOpen));
        }
        assert_eq!(ask(&breaker, false).await, Ok(()), "both were dropped");
    }

    #[tokio::test]
    async fn a_streamed_probe_has_succeeded_with_its_first_word() {
        let broken = up().fail_after(2, ErrorKind::Transport, "reset");
        let (breaker, hands) = breaker([down(), down(), down(), broken]);
        for _ in 0..3 {
            let _ = ask(&breaker, true).await;
        }
        hands.advance(secs(10));
        let mut probe = breaker.stream(&"x".into()).await.unwrap();
        assert!(matches!(probe.next().await, Some(Ok(ChatEvent::Start { .. }))));
        assert_eq!(breaker.state(None), CircuitState::HalfOpen);
        assert!(matches!(probe.next().await, Some(Ok(ChatEvent::Text(_)))));
        assert_eq!(breaker.state(None), CircuitState::Closed);
        assert!(probe.collect().await.is_err());
        assert_eq!(breaker.state(None), CircuitState::Open, "it broke all the same");
    }

    #[tokio::test]
    async fn old_news_change_nothing() {
        let (breaker, hands) = breaker([up(), down(), down(), down(), up()]);
        let mut old = breaker.stream(&"x".into()).await.unwrap();
        old.next().await.unwrap().unwrap();
        for _ in 0..3 {
            let _ = ask(&breaker, false).await;
        }
        old.collect().await.unwrap();
        assert_eq!(breaker.state(None), CircuitState::Open, "a success from before");
        hands.advance(secs(10));
        assert_eq!(ask(&breaker, false).await, Ok(()));
    }

    #[tokio::test]
    async fn the_models_that_are_watched_are_bounded() {
        let (breaker, _) = breaker([]);
        for index in 0..2 * MAX_CIRCUITS {
            let request = ChatRequest::from("x").model(format!("model-{index}"));
            let mut call = breaker.circuits.enter("fake", &request).unwrap();
            call.failed(&Error::new(ErrorKind::Server, "no"));
        }
        assert_eq!(breaker.circuits.lock().len(), MAX_CIRCUITS);
    }

    #[test]
    fn the_environment_configures_and_nonsense_does_not() {
        let env = Env::of([
            ("EMBER_CIRCUIT_BREAKER_FAILURES", "0"),
            ("EMBER_CIRCUIT_BREAKER_RECOVERY", "2.5"),
        ]);
        let config = CircuitBreakerConfig::from_env(&env);
        assert_eq!(config, CircuitBreakerConfig::new().recovery(millis(2_500)));
    }
}
