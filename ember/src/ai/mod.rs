//! Routes that talk to models: the only wing that knows both the web and the models.
//!
//! An `#[ai_route]` is a route whose function takes a [`ConversationContext`] and returns a
//! [`TokenStream`]. What its attribute says of tools, model and limits is [`AiOptions`], left
//! on the route for the extractors here.

mod tool_context;
mod token_limits;
mod route;
mod cached;
mod extract;
mod token_stream;
mod conversation;

pub use cached::SEMANTIC_CACHE;
pub use conversation::{CONVERSATION_ID, ConversationContext};
pub use route::AiOptions;
pub use token_limits::TokenLimits;
pub use token_stream::{IntoToken, TokenStream, sse_stream};
