use super::config::CircuitBreakerConfig;
use crate::base::Clock;
use crate::llm::chat::ChatRequest;
use crate::llm::error::{Error, ErrorKind};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// The circuits of all models of a provider. Clones are the same circuits.
#[derive(Clone)]
pub(super) struct Circuits(Arc<Shared>);

struct Shared {
    config: CircuitBreakerConfig,
    clock: Clock,
    /// By model: only those that have failed lately.
    circuits: Mutex<HashMap<String, Circuit>>,
}

/// How many models are watched; their names come from requests. The one that failed longest ago makes room.
pub(super) const MAX_CIRCUITS: usize = 1_024;

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
    /// All of them are closed.
    pub(super) fn new(config: CircuitBreakerConfig, clock: Clock) -> Self {
        // The field can be set without its setter.
        let config = config.failures(config.failures);
        Self(Arc::new(Shared { config, clock, circuits: Mutex::default() }))
    }

    pub(super) fn config(&self) -> CircuitBreakerConfig {
        self.0.config
    }

    /// How many models are watched.
    #[cfg(test)]
    pub(super) fn watched(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.0.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a model's circuit.
    pub(super) fn state(&self, model: &str) -> CircuitState {
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
    pub(super) fn left(&self, model: &str) -> Duration {
        let now = self.0.clock.now();
        let circuits = self.lock();
        let circuit = circuits.get(model).filter(|circuit| circuit.open);
        let until = circuit.map(|circuit| circuit.open_until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Lets a call through, or not.
    pub(super) fn enter(&self, provider: &str, request: &ChatRequest) -> Result<Call, Error> {
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
pub(super) struct Call {
    circuits: Circuits,
    model: String,
    epoch: u64,
    probe: bool,
}

impl Call {
    /// The provider has begun to answer. A probe need not wait for the end.
    pub(super) fn begun(&mut self) {
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
    pub(super) fn succeeded(&mut self) {
        self.begun();
        let mut circuits = self.circuits.lock();
        if circuits
            .get(&self.model)
            .is_some_and(|circuit| !circuit.open && circuit.epoch == self.epoch)
        {
            circuits.remove(&self.model);
        }
    }

    pub(super) fn failed(&mut self, error: &Error) {
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

/// Tells whether an error tells of the provider's health.
fn counts(error: &Error) -> bool {
    use ErrorKind::{Overloaded, Server, Timeout, Transport, Truncated};
    matches!(error.kind(), Overloaded | Server | Timeout | Transport | Truncated)
}
