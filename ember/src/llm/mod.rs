//! Talks to models; never names a web type.
//!
//! Read it in this order: the vocabulary ([`Message`], [`Usage`], [`Error`], [`Tool`],
//! [`ChatRequest`], [`ChatEvent`]), the adapters that translate it to each provider's
//! interface and back, the transport and the [`Provider`], and the [`Client`] in front of
//! them. A stream is the same conversation as a unary call: folding one gives the other.

mod message;
#[cfg(feature = "tiktoken")]
mod tiktoken;
mod usage;
mod prompt;
mod usd;
pub mod catalog;
mod billing;
mod error;
pub mod tool;
mod chat;
mod estimate;
mod stream;
mod tally;
mod fingerprint;
mod kept_answer;
mod embed;
pub mod adapter;
mod provider;
#[cfg(feature = "transport")]
mod origin;
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
mod spend;
pub mod events;
mod defaults;
pub mod router;
mod observe;
mod tool_loop;
mod semantic_cache;
mod json_mode;
mod client;
mod structured;
mod builder;
mod session;

pub use crate::base::tokens::{TokenCounter, estimate_tokens};
pub use budget::{Budget, Plan, Reservation, Spent};
pub use builder::ClientBuilder;
pub use catalog::{Catalog, Price};
pub use chat::{
    Cached, ChatRequest, ChatResponse, Dropped, Finish, FinishReason, ResponseFormat, ToolChoice,
};
pub use client::{Client, Prompt};
pub(crate) use defaults::faults as setting_faults;
pub use embed::{BoxEmbedder, Embedder, Embeddings, FakeEmbedder};
pub use error::{Error, ErrorKind};
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
pub use prompt::{PromptError, PromptTemplate, TemplateVar};
pub use provider::{BoxProvider, Provider, ProviderConfig, ProviderDescriptor, Timeouts};
pub use router::{ModelRouter, ModelSpec, RoutingStrategy};
pub(crate) use semantic_cache::CacheOutcome;
pub use semantic_cache::{SemanticCache, SemanticCacheStats, Sharing};
pub use session::Session;
pub use session_store::{
    History, MemorySessionStore, SessionChange, SessionMetadata, SessionQuery, SessionStore,
    SessionSummary, Sessions, StoreSessions, Turn,
};
pub use spend::{SpendAccount, SpendLimit};
pub use stream::{Accumulator, ChatEvent, ChatStream, TextStream};
pub use structured::{JsonEvent, JsonStream, PartialJson, Structured};
#[cfg(feature = "tiktoken")]
pub use tiktoken::Tiktoken;
pub use tool::{Tool, ToolContext, ToolError, ToolRegistry};
pub use usage::Usage;
pub use usd::{ParseUsdError, Usd};
