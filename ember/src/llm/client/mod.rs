//! What asks models, and the requests that are put together on it.

#[expect(clippy::module_inception, reason = "the folder is about it and what is begun on it")]
mod client;
mod prompt;

pub use client::Client;
pub(super) use client::Parts;
pub use prompt::Prompt;
