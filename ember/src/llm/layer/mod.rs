//! Decorators: what is put around a provider to make it dependable.
//!
//! Each is a [`Provider`](super::Provider) around a provider, in one file or folder, and does the same for
//! an answer that arrives whole and for one that is streamed. Time and chance come in as values.
//! None knows the client.
//!
//! The order of a [`Stack`] bears load: [`Retry`] stands inside the [`CircuitBreaker`], so that a
//! call whose retries are used up is one failure; [`Cost`] stands outside of both, so that it
//! counts what was answered, and not what was tried. A [`Cache`] goes around them all: what it
//! replays was billed before.

mod budget;
mod retry;
mod circuit_breaker;
mod prices;
mod ledger;
mod cost;
mod cache;
mod stack;

pub use cache::{Cache, CacheConfig};
pub use circuit_breaker::{CircuitBreaker, CircuitBreakerConfig, CircuitState};
pub use cost::Cost;
pub use ledger::{Ledger, ModelUsage, UsageTotals};
pub use prices::CostConfig;
pub(super) use prices::{Asked, Routed, RoutedName};
pub(super) use retry::{HELD, is_preliminary};
pub use retry::{Retry, RetryConfig};
pub use stack::{Stack, StackConfig};
