//! Talks to models; never names a web type.
//!
//! Read it in this order: the vocabulary ([`Message`], [`Usage`], [`Error`], [`Tool`],
//! [`ChatRequest`], [`ChatEvent`]), the adapters that translate it to each provider's
//! interface and back, the transport and the [`Provider`], and the [`Client`] in front of
//! them. A stream is the same conversation as a unary call: folding one gives the other.

mod message;
mod estimate;
mod usage;
mod usd;
pub mod catalog;
mod error;
pub mod tool;
mod chat;
mod stream;
mod fingerprint;
mod single_flight;
mod embed;
pub mod adapter;
mod provider;
#[cfg(feature = "transport")]
mod transport;
#[cfg(feature = "transport")]
mod http;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod registered;
#[cfg(feature = "transport")]
mod http_embedder;
mod fake;
pub mod layer;
mod session_store;
mod budget;
pub mod events;
mod observe;
mod tool_loop;
mod semantic_cache;
mod defaults;
mod json_mode;
mod client;
mod structured;
mod builder;
mod session;

pub use budget::{Budget, Reservation};
pub use builder::ClientBuilder;
pub use catalog::{Catalog, Price};
pub use chat::{
    Cached, ChatRequest, ChatResponse, Dropped, Finish, FinishReason, ResponseFormat, ToolChoice,
};
pub use client::{Client, Prompt};
pub use embed::{Embedder, Embeddings, FakeEmbedder};
pub use error::{Error, ErrorKind};
pub use estimate::estimate_tokens;
pub use events::EventBus;
pub use fake::{FakeProvider, FakeReply};
#[cfg(feature = "transport")]
pub use http::HttpProvider;
#[cfg(feature = "transport")]
pub use http_embedder::HttpEmbedder;
pub use json_mode::JsonMode;
pub use message::{
    Content, Media, MediaSource, Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall,
    ToolResult,
};
pub use provider::{BoxProvider, Provider, ProviderConfig, ProviderDescriptor, Timeouts};
pub(crate) use semantic_cache::CacheOutcome;
pub use semantic_cache::{Guard, SemanticCache, SemanticCacheStats, Sharing};
pub use session::Session;
pub use session_store::{History, MemorySessionStore, SessionStore, Sessions, Turn};
pub use stream::{Accumulator, ChatEvent, ChatStream, TextStream};
pub use structured::{JsonEvent, JsonStream, PartialJson, Structured};
pub use tool::{Tool, ToolContext, ToolError, ToolRegistry};
pub use usage::Usage;
pub use usd::{ParseUsdError, Usd};
