//! Functions that a model may call.
//!
//! A [`Tool`] is a name, a description, a JSON Schema of its arguments, and code. The `#[tool]`
//! attribute makes one from a function; [`Tool::new`] makes one by hand. Whatever goes wrong in a
//! call is told to the model, never thrown: it can correct itself, an exception cannot.

mod error;
mod context;
mod arguments;
mod parameter;
mod descriptor;
mod item;
mod registry;
#[cfg(feature = "builtin-tools")]
pub mod builtin;

pub use arguments::{Arguments, Parameters};
pub use context::{FromToolContext, ToolContext, ToolNeeds};
pub use descriptor::{ToolDescriptor, ToolItem};
pub use error::ToolError;
pub(crate) use item::to_text;
pub use item::{Tool, ToolFuture, ToolOptions};
pub use parameter::ParameterSchema;
pub(crate) use registry::Admission;
pub use registry::ToolRegistry;
