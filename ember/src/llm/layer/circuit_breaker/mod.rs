//! Leaving a provider alone that keeps failing.
//!
//! The layer asks the circuits whether a call may pass, and tells them how it has ended. Knows nothing of why a
//! provider fails.

mod config;
mod circuits;
mod layer;

pub use circuits::CircuitState;
pub use config::CircuitBreakerConfig;
pub use layer::CircuitBreaker;
