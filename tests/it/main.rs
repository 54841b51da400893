//! Tests of Ember from outside, in one binary: through the macros, over sockets, with recorded input.

mod layering;
mod sse;
mod recordings;
mod routes;
mod responses;
mod launch;
mod middleware;
mod server;
mod tools;
mod tool_context;
mod client;
mod provider;
mod conversation;
mod command;
