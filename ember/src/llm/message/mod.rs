//! What a conversation is made of: messages, and the parts of which they consist.
//!
//! All of it is plain data with a form in JSON. Knows no provider; what only one understands is
//! carried with its name.

mod signature;
mod media;
mod call;
mod part;
mod content;
#[expect(clippy::module_inception, reason = "the folder is about it and what it holds")]
mod message;

pub use call::{ToolCall, ToolResult};
pub use content::Content;
pub use media::{Media, MediaSource};
pub use message::{Message, Role};
pub use part::{Opaque, Part, Reasoning, Text};
pub use signature::Signature;
