//! Routes that talk to models: the only wing that knows both the web and the models.
//!
//! An `#[ai_route]` is a route whose function takes a [`ConversationContext`] and returns a
//! [`TokenStream`]. What its attribute says of tools, model and limits is [`AiOptions`], left
//! on the route for the extractors here.

mod token_limits;
mod home;
mod limiter;
mod on_disconnect;
mod dialect;
mod instructions;
mod route;
mod model;
mod sessions;
mod component;
mod tool_context;
mod cached;
mod extract;
mod paced;
mod token_stream;
mod ui_messages;
mod owner;
mod conversations;
mod transcript;
mod question;
mod answering;
mod conversation;
mod model_router;
pub mod openai;

pub use cached::SEMANTIC_CACHE;
#[doc(hidden)]
pub use component::need_of;
pub use conversation::{CONVERSATION_ID, ConversationContext};
pub use conversations::Conversation;
pub(crate) use conversations::routes as conversation_routes;
pub use dialect::StreamDialect;
pub(crate) use home::Places;
pub use instructions::Instructions;
pub use limiter::TokenBound;
pub(crate) use model::{Around, Model, make_model};
pub use on_disconnect::OnDisconnect;
pub use openai::{OpenAiApi, VirtualKey, VirtualKeys};
pub use question::{IntoQuestion, Question};
pub use route::AiOptions;
pub(crate) use sessions::make_sessions;
pub use token_limits::TokenLimits;
pub use token_stream::{IntoToken, TokenStream, sse_stream};
pub use ui_messages::{UiMessages, UiTrigger};
