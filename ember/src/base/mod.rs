//! The ground floor: what every other wing stands on.
//!
//! Errors, time, settings, the registry of annotated items, JSON Schema and the
//! event-stream codec. This wing knows nobody: it opens no socket, names no
//! model and serves no request.

pub mod error;
pub mod clock;
pub mod secret;
pub mod config;
pub mod registry;
pub mod plugin;
mod finding;
pub(crate) mod constant_json;
pub mod schema;
pub mod sse;
mod id;
pub(crate) mod task;
pub(crate) mod json_text;
mod nearest;
pub mod tokens;

pub use clock::Clock;
pub use config::Env;
pub use error::{Error, ErrorKind, Problem, Result};
pub use finding::Finding;
pub(crate) use id::random_id;
pub(crate) use nearest::nearest;
pub use plugin::{PluginDescriptor, PluginError};
pub(crate) use registry::is_below;
pub use registry::{Descriptor, Location, Registry, Scope};
pub use schema::{JsonSchema, Schema};
pub use secret::Secret;
