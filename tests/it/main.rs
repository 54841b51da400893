//! Tests of Ember from outside, in one binary: through the macros, over sockets, with recorded input.

mod layering;
mod allocations;
mod sse;
mod recordings;
mod routes;
mod responses;
mod launch;
mod middleware;
mod middleware_set;
mod requests;
mod cookies;
mod sessions;
mod late_changes;
mod around_answers;
mod stores;
#[cfg(feature = "sqlite")]
mod durability;
#[cfg(feature = "websocket")]
mod websocket;
mod server;
mod hostile;
mod slow_readers;
mod shutdown;
mod event_streams;
mod health;
#[cfg(unix)]
mod unix;
#[cfg(feature = "tls")]
mod tls;
mod tool_schemas;
mod tools;
mod tool_context;
mod client;
mod caches;
mod shared_caches;
mod grouping;
mod embeddings;
mod histories;
mod laws;
mod lifecycle;
mod messages;
mod provider;
mod reasoning;
mod layers;
mod structured;
mod precedence;
mod events;
mod faults;
mod model_router;
mod conversation;
mod conversations;
mod dialects;
mod prompts;
mod command;
#[cfg(feature = "builtin-tools")]
mod builtin_tools;
mod conformance;
mod llm_sessions;
mod plugins;
mod openapi;
mod limits;
mod shared_limits;
mod spending;
#[cfg(feature = "tiktoken")]
mod token_counting;
mod openai_api;
mod openai_gate;
mod semantic_cache;
mod shared_answers;
