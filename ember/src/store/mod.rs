//! State that outlives a request: what is kept, counted and locked.
//!
//! Knows nothing of models or HTTP.

mod bounded;
mod locks;
mod token_bucket;
mod global_bucket;

pub(crate) use bounded::BoundedMap;
pub use global_bucket::{GlobalTokenBucket, TokenHold};
pub use locks::{KeyedLock, KeyedLocks};
pub use token_bucket::TokenBucket;
