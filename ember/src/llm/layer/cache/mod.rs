//! Answers that were given before.
//!
//! The layer asks a shelf, which has the answer, waits for that of an equal request, or hands out the turn to ask;
//! what comes of a turn is put on the shelf, when it is whole. Knows nothing of what an answer costs.

mod config;
mod shelf;
mod layer;

pub use config::CacheConfig;
pub use layer::Cache;
