//! Routes that talk to models: the only wing that knows both the web and the models.
//!
//! An `#[ai_route]` is a route whose function takes a [`ConversationContext`] and returns a
//! [`TokenStream`]. What its attribute says of tools, model and limits is [`AiOptions`], left
//! on the route for the extractors here.

mod tool_context;
mod token_limits;
mod on_disconnect;
mod dialect;
mod route;
mod extract;
mod token_stream;
mod ui_messages;
mod transcript;
mod question;
mod answering;
mod conversation;

pub use conversation::{CONVERSATION_ID, ConversationContext};
pub use dialect::StreamDialect;
pub use on_disconnect::OnDisconnect;
pub use question::{IntoQuestion, Question};
pub use route::AiOptions;
pub use token_limits::TokenLimits;
pub use token_stream::{IntoToken, TokenStream, sse_stream};
pub use ui_messages::{UiMessages, UiTrigger};
