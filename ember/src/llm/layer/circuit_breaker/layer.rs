use super::circuits::{Call, CircuitState, Circuits};
use super::config::CircuitBreakerConfig;
use crate::base::Clock;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::layer::retry::is_preliminary;
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatEvent, ChatStream, Watch};
use std::fmt;
use std::time::Duration;

/// Leaves a provider alone that keeps failing, and finds out when it is back.
///
/// Each model of the provider has a circuit of its own. After so many failures in a row it
/// opens: calls fail at once with [`ErrorKind::CircuitOpen`](crate::llm::ErrorKind::CircuitOpen). When the provider has been left alone for a
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

impl<P> CircuitBreaker<P> {
    /// Leaves the provider alone, as the configuration says.
    pub fn new(inner: P, config: CircuitBreakerConfig) -> Self {
        Self { inner, circuits: Circuits::new(config, Clock::system()) }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { circuits: Circuits::new(self.circuits.config(), clock), ..self }
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
            .field("config", &self.circuits.config())
            .finish_non_exhaustive()
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
    use super::super::circuits::MAX_CIRCUITS;
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};
    use crate::llm::error::ErrorKind;
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
            assert_eq!(breaker.circuits.watched(), 0);
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
    async fn a_limit_of_no_failures_is_one_failure() {
        for streamed in [false, true] {
            let hands = ManualClock::new();
            let mut config = CircuitBreakerConfig::new().recovery(secs(10));
            config.failures = 0;
            let fake = FakeProvider::new().reply(down()).reply(up()).reply(down());
            let breaker = CircuitBreaker::new(fake, config).clock(hands.clock());
            assert_eq!(ask(&breaker, streamed).await, Err(ErrorKind::Overloaded));
            assert_eq!(breaker.state(None), CircuitState::Open);
            hands.advance(secs(10));
            assert_eq!(ask(&breaker, streamed).await, Ok(()));
            assert_eq!(breaker.state(None), CircuitState::Closed);
            assert_eq!(ask(&breaker, streamed).await, Err(ErrorKind::Overloaded));
            assert_eq!(breaker.state(None), CircuitState::Open);
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
        assert_eq!(breaker.circuits.watched(), MAX_CIRCUITS);
    }
}
