//! Lessons in Ember, one idea each. `cargo run --example NAME` runs one, without a network.
//!
//! - `chat`: a conversation that is streamed and remembered, with a tool; beside it a cached route.
//! - `sessions`: conversations that are remembered, each by its id.
