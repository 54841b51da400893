use crate::base::Env;
use crate::llm::layer::retry::seconds;
use std::time::Duration;

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitBreakerConfig {
    /// After how many failures in a row the circuit opens; 0 is taken for 1. 5.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::millis;

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
