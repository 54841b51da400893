//! Routes that talk to models: the only wing that knows both the web and the models.
//!
//! An `#[ai_route]` is a route whose function takes a [`ConversationContext`] and returns a
//! [`TokenStream`]. What its attribute says of tools, model and limits is [`AiOptions`], left
//! on the route for the extractors here.

mod tool_context;
mod token_limits;
mod limiter;
mod route;
mod extract;
mod paced;
mod token_stream;
mod owner;
mod conversations;
mod conversation;
mod model_router;
pub mod openai;

pub use conversation::{CONVERSATION_ID, ConversationContext};
pub use conversations::Conversation;
pub(crate) use conversations::routes as conversation_routes;
pub use limiter::TokenBound;
pub(crate) use model_router::check_models;
pub use openai::{OpenAiApi, VirtualKey, VirtualKeys};
pub use route::AiOptions;
pub use token_limits::TokenLimits;
pub use token_stream::{IntoToken, TokenStream, sse_stream};
