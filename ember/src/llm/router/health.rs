//! How each model does: whether it is to be asked, and how fast it was.

use crate::base::Clock;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::layer::CircuitState;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How one model of a router does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelHealth {
    /// The model, by the name that the router has for it.
    pub name: String,
    /// Whether it is asked.
    pub state: ModelState,
    /// How long its first token takes: a moving average, retries included.
    pub time_to_first_token: Option<Duration>,
    /// How long its whole answers take that were not streamed: a moving average, retries included.
    pub time_to_answer: Option<Duration>,
    /// How many answers it has begun.
    pub answers: u64,
    /// How often it has failed, retries not counted.
    pub failures: u64,
    /// How it failed last.
    pub last_error: Option<ErrorKind>,
}

/// Whether a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelState {
    /// It is.
    Available,
    /// It is left alone, for so long yet.
    Unavailable(Duration),
    /// It was left alone; one request will find out whether it is back.
    Recovering,
}

/// How long a model is left alone whose failure will not pass by itself soon, and how long a provider may ask to be
/// left alone at most: whoever repairs it sees it back within that time.
pub(super) const REST: Duration = Duration::from_secs(30);

/// How long a request that finds out whether a model is back keeps the others from doing the same.
const PROBE: Duration = Duration::from_secs(10);

/// How long a measurement of speed holds; an older one is repeated with the next request.
const FRESH: Duration = Duration::from_secs(60);

/// How much a new measurement weighs against the average, at least.
const WEIGHT: f64 = 0.2;

/// In which time an average loses most of its weight against a new measurement.
const MEMORY: Duration = Duration::from_secs(30);

/// What is known of how one model does.
pub(super) struct Gauge {
    clock: Clock,
    /// The state of its circuit, where there is one.
    circuit: Option<Watch>,
    state: Mutex<State>,
}

type Watch = Box<dyn Fn() -> (CircuitState, Duration) + Send + Sync>;

#[derive(Default)]
struct State {
    /// Until when it is left alone, and whether one request finds out then that it is back.
    rest: Option<(Instant, bool)>,
    first_token: Average,
    answer: Average,
    /// When its speed is to be measured again, whatever came of the last attempt.
    explore_at: Option<Instant>,
    answers: u64,
    failures: u64,
    last_error: Option<ErrorKind>,
}

#[derive(Default)]
struct Average(Option<(f64, Instant)>);

impl Average {
    /// Takes in a measurement: the longer ago the others were made, the less they count.
    fn add(&mut self, value: Duration, now: Instant) {
        let value = value.as_secs_f64();
        let average = match self.0 {
            None => value,
            Some((average, at)) => {
                let age = now.saturating_duration_since(at).as_secs_f64() / MEMORY.as_secs_f64();
                let weight = (1.0 - (-age).exp()).max(WEIGHT);
                average + weight * (value - average)
            }
        };
        self.0 = Some((average, now));
    }

    fn get(&self) -> Option<Duration> {
        self.0.and_then(|(average, _)| Duration::try_from_secs_f64(average).ok())
    }
}

impl Gauge {
    pub(super) fn new(clock: Clock, circuit: Option<Watch>) -> Self {
        Self { clock, circuit, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the model alone because somebody said so.
    pub(super) fn mark_unavailable(&self, time: Duration) {
        self.lock().rest = Some((self.clock.after(time), false));
    }

    pub(super) fn mark_available(&self) {
        self.lock().rest = None;
    }

    pub(super) fn state(&self) -> ModelState {
        if let Some((until, probes)) = self.lock().rest {
            let left = until.saturating_duration_since(self.clock.now());
            if !left.is_zero() {
                return ModelState::Unavailable(left);
            }
            if probes {
                return ModelState::Recovering;
            }
        }
        match self.circuit.as_ref().map(|circuit| circuit()) {
            Some((CircuitState::Open, left)) => ModelState::Unavailable(left),
            Some((CircuitState::HalfOpen, _)) => ModelState::Recovering,
            _ => ModelState::Available,
        }
    }

    /// Lets a request through; of those that come while it is not known whether the model is back, one.
    pub(super) fn enter(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        match &mut state.rest {
            Some((until, _)) if *until > now => false,
            Some((until, true)) => {
                *until = self.clock.after(PROBE);
                true
            }
            _ => {
                state.rest = None;
                true
            }
        }
    }

    /// The model has begun to answer, so long after it was asked.
    pub(super) fn begun(&self, first_token: Duration) {
        self.succeeded(|state| &mut state.first_token, first_token);
    }

    /// The model has answered all at once, so long after it was asked.
    pub(super) fn answered(&self, time: Duration) {
        self.succeeded(|state| &mut state.answer, time);
    }

    fn succeeded(&self, average: fn(&mut State) -> &mut Average, time: Duration) {
        let now = self.clock.now();
        let mut state = self.lock();
        average(&mut state).add(time, now);
        state.answers += 1;
        // What somebody said stays said.
        if state.rest.is_some_and(|(_, probes)| probes) {
            state.rest = None;
        }
        state.explore_at = Some(self.clock.after(FRESH));
    }

    /// The model has refused a request as it would refuse it another time: it is there.
    pub(super) fn refused(&self) {
        let mut state = self.lock();
        if state.rest.is_some_and(|(_, probes)| probes) {
            state.rest = None;
        }
    }

    /// The model has failed.
    pub(super) fn failed(&self, error: &Error) {
        use ErrorKind::{Auth, Config, Overloaded, Quota, RateLimit};
        let asked_for = error.retry_after().map(|wait| wait.min(REST));
        let rest = match error.kind() {
            Auth | Config | Quota => Some(REST),
            RateLimit | Overloaded => asked_for,
            _ => None,
        };
        let mut state = self.lock();
        state.failures += 1;
        state.last_error = Some(error.kind());
        let until = rest.map(|rest| self.clock.after(rest));
        match (&mut state.rest, until) {
            (Some((_, false)), _) => {}
            (_, Some(until)) => state.rest = Some((until, true)),
            // It has answered in some way, which is all that was to be found out.
            (Some((_, true)), None) if shows_an_answer(error) => state.rest = None,
            (Some((until, true)), None) => *until = self.clock.after(asked_for.unwrap_or(REST)),
            (None, None) => {}
        }
    }

    /// Leaves the model alone for a while because it has kept a call for as long as that may be kept.
    pub(super) fn rest(&self) {
        let mut state = self.lock();
        if state.rest.is_none_or(|(_, probes)| probes) {
            state.rest = Some((self.clock.after(REST), true));
        }
    }

    /// How long the first token takes, as far as that is known.
    pub(super) fn first_token(&self) -> Option<Duration> {
        self.lock().first_token.get()
    }

    /// Tells whether the speed of the model is to be measured, and takes that turn if so.
    pub(super) fn explore(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        let due = state.explore_at.is_none_or(|at| at <= now);
        if due {
            state.explore_at = Some(self.clock.after(FRESH));
        }
        due
    }

    pub(super) fn report(&self, name: &str) -> ModelHealth {
        let availability = self.state();
        let state = self.lock();
        ModelHealth {
            name: name.to_owned(),
            state: availability,
            time_to_first_token: state.first_token.get(),
            time_to_answer: state.answer.get(),
            answers: state.answers,
            failures: state.failures,
            last_error: state.last_error,
        }
    }
}

/// Tells whether a failure is something that the model has said; silence and broken connections are not.
fn shows_an_answer(error: &Error) -> bool {
    use ErrorKind::{Decode, Overloaded, RateLimit, Server};
    error.status().is_some() || matches!(error.kind(), Decode | Overloaded | RateLimit | Server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};

    fn gauge() -> (Gauge, ManualClock) {
        let hands = ManualClock::new();
        (Gauge::new(hands.clock(), None), hands)
    }

    #[test]
    fn averages_move_and_decay() {
        let (gauge, hands) = gauge();
        gauge.begun(millis(1_000));
        gauge.begun(millis(500));
        assert_eq!(gauge.first_token(), Some(millis(900)));
        hands.advance(secs(3_600));
        gauge.begun(millis(200));
        let average = gauge.first_token().unwrap();
        assert!(average < millis(201), "what was an hour ago counts for nothing: {average:?}");
    }

    #[test]
    fn one_request_at_a_time_finds_out_whether_a_model_is_back() {
        let (gauge, hands) = gauge();
        gauge.failed(&Error::new(ErrorKind::Auth, "no"));
        assert_eq!((gauge.state(), gauge.enter()), (ModelState::Unavailable(REST), false));
        hands.advance(REST);
        assert_eq!(gauge.state(), ModelState::Recovering);
        assert_eq!((gauge.enter(), gauge.enter()), (true, false));
        hands.advance(PROBE);
        assert!(gauge.enter(), "the one before was abandoned");
        gauge.answered(secs(1));
        assert_eq!(
            (gauge.state(), gauge.enter(), gauge.enter()),
            (ModelState::Available, true, true)
        );
    }

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks_within_reason() {
        let (gauge, _) = gauge();
        let limited = |wait| Error::new(ErrorKind::RateLimit, "slow").with_retry_after(wait);
        gauge.failed(&limited(secs(3)));
        assert_eq!(gauge.state(), ModelState::Unavailable(secs(3)));
        gauge.failed(&limited(secs(86_400)));
        assert_eq!(gauge.state(), ModelState::Unavailable(REST));
        gauge.mark_available();
        gauge.failed(&Error::new(ErrorKind::RateLimit, "slow"));
        assert_eq!(gauge.state(), ModelState::Available);
    }

    #[test]
    fn a_probe_that_meets_with_silence_does_not_end_the_rest() {
        use ErrorKind::{CircuitOpen, Server, Timeout, Transport};
        for (error, ends) in [
            (Error::new(Timeout, "nothing came"), false),
            (Error::new(Transport, "refused"), false),
            (Error::new(CircuitOpen, "left alone"), false),
            (Error::new(Server, "it has a fault"), true),
            (Error::new(Timeout, "504").with_status(504), true),
        ] {
            let (gauge, hands) = gauge();
            gauge.failed(&Error::new(ErrorKind::Auth, "no"));
            hands.advance(REST);
            assert!(gauge.enter());
            gauge.failed(&error);
            let expected = if ends { ModelState::Available } else { ModelState::Unavailable(REST) };
            assert_eq!((gauge.state(), gauge.enter()), (expected, ends), "{error}");
        }
        let (gauge, _) = gauge();
        gauge.failed(&Error::new(Timeout, "of a model that was in use"));
        assert_eq!(gauge.state(), ModelState::Available);
    }

    #[test]
    fn what_somebody_said_holds_for_as_long_as_was_said() {
        let (gauge, hands) = gauge();
        gauge.mark_unavailable(secs(100));
        gauge.failed(&Error::new(ErrorKind::Auth, "of a request that was under way"));
        gauge.begun(secs(1));
        hands.advance(secs(99));
        assert_eq!((gauge.state(), gauge.enter()), (ModelState::Unavailable(secs(1)), false));
        hands.advance(secs(1));
        assert_eq!(
            (gauge.state(), gauge.enter(), gauge.enter()),
            (ModelState::Available, true, true)
        );
    }
}
