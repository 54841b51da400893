//! Lessons in Ember, one idea each. `cargo run --example NAME` runs one, without a network.
//!
//! - `chat`: a conversation that is streamed and remembered, with a tool; beside it a cached route.
//! - `basic_api`: routes, blueprints, middleware and caches.
//! - `tasks`: the typical application, in modules, on SQLite (feature `tasks`).
//! - `structured_output`: an answer that is a value of a type, whole and as it comes into being.
//! - `tool_calling`: functions that a model may call.
//! - `events`: what happens in a client, told to whoever wants to know.
//! - `custom_provider`: a model of one's own, chosen by `LLM_PROVIDER`.
//! - `openai_gateway`: OpenAI's interface before any model, with keys, configured by the environment alone.
//! - `sessions`: conversations that are remembered, each by its id.
//! - `chat_ui`: a page that shows an answer as it comes, with what the model thinks and what its tools do.
//! - `streaming_chat`: one route with tools, instructions, two models, limits and authentication.
//! - `cluster`: two processes of one service on one Redis, behind a balancer; `cluster/run.sh` kills one (feature `cluster`).
