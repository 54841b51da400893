//! Ember: services that talk to language models, declared by annotated functions.
//!
//! Annotate functions; the macros turn them into route tables, JSON schemas and registry entries
//! at compile time; `cargo run` serves them. One crate to depend on, no wiring.
//!
//! ```no_run
//! use ember::prelude::*;
//!
//! /// Adds two numbers.
//! #[tool]
//! async fn add(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! /// Talks with a user, remembers the conversation, and can add.
//! #[ai_route("/v1/chat", tools = [add])]
//! async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
//!     conversation.stream(message).await
//! }
//!
//! fn main() -> ember::Result {
//!     ember::app!().run()
//! }
//! ```
//!
//! # The house
//!
//! A module uses only what stands above it on this list.
//!
//! - [`base`]: errors, time, settings, the registry, JSON Schema, event streams. Knows nobody.
//! - [`store`]: what is kept, counted and locked.
//! - [`llm`]: talks to models; never names a web type.
//! - [`web`]: serves HTTP; never names a model.
//! - [`ai`]: routes that talk to models; knows both.
//! - [`mod@app`]: collects, checks, serves.
//! - [`testing`]: calls an application without a socket, and plays the model.
//!
//! # Features
//!
//! - `server` (default): listens on sockets, understands the command line, logs to the terminal.
//! - `tls`: encrypts connections.
//! - `openai` (default): talks to OpenAI and to whatever is compatible with it.
//! - `anthropic` (default): talks to Anthropic.
//! - `gemini` (default): talks to Gemini.
//! - `transport`: `llm::HttpProvider` and `llm::HttpEmbedder` for adapters of your own; what talks to a provider brings it.
//! - `builtin-tools`: `llm::tool::builtin`, tools for the time, pages of the web and files.
//! - `cors`: `Cors`, for pages of other origins.
//! - `compression`: `Compression` of responses and `Decompression` of requests.
//! - `files`: `StaticFiles`, and `Ember::files`.
//! - `cookies`: cookies that are signed or encrypted; plain ones need no feature.
//! - `multipart`: forms with files.
//! - `garde`: rules on the values of a request, by the crate of that name.
//! - `websocket`: WebSocket.
//! - `tiktoken`: `llm::Tiktoken`, exact counts of tokens for OpenAI's models.
//! - `minijinja`: `PromptTemplate::jinja`, prompts with loops and conditions.
//! - `sqlite`: `store::SqliteStore`, state in one file.
//! - `redis`: `store::RedisStore`, state on a Redis or Valkey that many processes share.
//! - `memcached`: `store::MemcachedStore`, for caches and sessions.
//! - `jsonschema`: structured answers of models are checked by their whole schema.

pub mod base;
pub mod store;
pub mod llm;
pub mod web;
pub mod ai;
pub mod app;
pub mod testing;
#[doc(hidden)]
pub mod __private;

// Public types come from these crates as well, so that a program needs no dependency of its own for them.
pub use {bytes, futures_util, http, serde_json};

pub use ai::{
    ConversationContext, OnDisconnect, StreamDialect, TokenLimits, TokenStream, UiMessages,
    sse_stream,
};
pub use app::{Ember, LaunchError, Ready};
pub use base::sse::Event;
pub use base::{Env, Error, ErrorKind, JsonSchema, Problem, Result, Schema};
pub use llm::{
    ModelRouter, ModelSpec, PromptTemplate, RoutingStrategy, SemanticCache, SpendLimit,
    TemplateVar, ToolError,
};
pub use store::{GlobalTokenBucket, OnStoreFailure, TokenBucket};
pub use web::cache::{StaticCache, TtlCache};
pub use web::cookies::{Cookie, Cookies};
#[cfg(feature = "cookies")]
pub use web::cookies::{CookieKey, PrivateCookies, SignedCookies};
#[cfg(feature = "garde")]
pub use web::extract::Valid;
pub use web::extract::{Extension, Form, FromRequest, FromRequestParts, Path, Query};
#[cfg(feature = "cors")]
pub use web::middleware::Cors;
#[cfg(feature = "files")]
pub use web::middleware::StaticFiles;
pub use web::middleware::{
    AccessLog, ApiKeyAuth, BearerAuth, BodyLimit, RateLimit, RequestId, RequestIds, Timeout,
    TokenRateLimit, TowerLayer, TrustedProxies,
};
#[cfg(feature = "compression")]
pub use web::middleware::{Compression, Decompression};
pub use web::middleware::{Middleware, Next};
#[cfg(feature = "multipart")]
pub use web::multipart::Multipart;
pub use web::response::{Html, IntoResponse, Json, Redirect, Response, Sse};
pub use web::session::{MemorySession, Session, SessionConfig};
#[cfg(feature = "websocket")]
pub use web::websocket::{SocketMessage, WebSocket, WebSocketUpgrade};
pub use web::{
    Blueprint, Body, BufferedBody, Component, Health, Principal, Request, Route, RouteLimits,
    TrailingSlash, Urls,
};

#[doc = include_str!("docs/json_schema.md")]
pub use ember_macros::JsonSchema;
#[doc = include_str!("docs/ai_route.md")]
pub use ember_macros::ai_route;
#[doc = include_str!("docs/blueprint.md")]
pub use ember_macros::blueprint;
#[doc = include_str!("docs/catch.md")]
pub use ember_macros::catch;
#[doc = include_str!("docs/component.md")]
pub use ember_macros::component;
#[doc = include_str!("docs/hook.md")]
pub use ember_macros::hook;
#[doc = include_str!("docs/middleware.md")]
pub use ember_macros::middleware;
#[doc = include_str!("docs/plugin.md")]
pub use ember_macros::plugin;
#[doc = include_str!("docs/prompt.md")]
pub use ember_macros::prompt;
#[doc = include_str!("docs/prompt_file.md")]
pub use ember_macros::prompt_file;
#[doc = include_str!("docs/provider.md")]
pub use ember_macros::provider;
#[doc = include_str!("docs/test.md")]
pub use ember_macros::test;
#[doc = include_str!("docs/tool.md")]
pub use ember_macros::tool;
#[doc = include_str!("docs/route.md")]
pub use ember_macros::{delete, get, head, options, patch, post, put, route};

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Everything that a program with routes and tools usually names.
pub mod prelude {
    pub use crate::ai::{
        ConversationContext, OnDisconnect, StreamDialect, TokenLimits, TokenStream, UiMessages,
        sse_stream,
    };
    pub use crate::base::clock::{millis, secs};
    pub use crate::base::sse::Event;
    pub use crate::base::{Error, ErrorKind, Result};
    pub use crate::llm::{
        Client, Message, ModelRouter, ModelSpec, PromptTemplate, Role, RoutingStrategy,
        SemanticCache, TemplateVar, ToolError,
    };
    pub use crate::web::cache::{StaticCache, TtlCache};
    pub use crate::web::cookies::{Cookie, Cookies};
    #[cfg(feature = "cookies")]
    pub use crate::web::cookies::{CookieKey, PrivateCookies, SignedCookies};
    #[cfg(feature = "garde")]
    pub use crate::web::extract::Valid;
    pub use crate::web::extract::{Extension, Form, FromRequestParts, Path, Query};
    pub use crate::web::middleware::{Middleware, Next};
    #[cfg(feature = "multipart")]
    pub use crate::web::multipart::Multipart;
    pub use crate::web::response::{Html, IntoResponse, Json, Redirect, Response, Sse};
    pub use crate::web::session::{MemorySession, Session, SessionConfig};
    #[cfg(feature = "websocket")]
    pub use crate::web::websocket::{SocketMessage, WebSocket, WebSocketUpgrade};
    pub use crate::web::{
        Blueprint, Body, BufferedBody, Component, Health, Principal, Request, RouteLimits, Urls,
    };
    pub use crate::{
        Ember, JsonSchema, ai_route, blueprint, catch, component, delete, get, head, hook,
        middleware, options, patch, plugin, post, prompt, prompt_file, provider, put, route, tool,
        url_for,
    };
    pub use bytes::Bytes;
    pub use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
}
