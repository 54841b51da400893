//! Several models behind one client: which is asked, and what happens when one fails.

mod falling_back;
mod choosing;
mod application;

use ember::Env;
use ember::base::clock::{ManualClock, millis, secs};
use ember::llm::catalog::{Capability, Catalog, Model};
use ember::llm::events::{ModelFailed, RequestComplete, RequestError};
use ember::llm::layer::{CircuitBreakerConfig, RetryConfig};
use ember::llm::router::{ModelRouterBuilder, ModelState};
use ember::llm::tool::ParameterSchema;
use ember::llm::{
    ChatEvent, ChatRequest, ChatResponse, Error, ErrorKind, FakeProvider, FakeReply, Message, Part,
    Price, ResponseFormat, Tool, Usage,
};
use ember::prelude::*;
use ember::testing::TestClient;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// A router without settings of this process, which asks each model once.
fn builder() -> ModelRouterBuilder {
    ModelRouter::builder().env(Env::of::<&str, &str>([])).without_retry()
}

fn spec(name: &str, replies: impl IntoIterator<Item = FakeReply>) -> ModelSpec {
    let script = replies.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
    ModelSpec::served_by(name, script.text(name))
}

fn down(name: &str, kind: ErrorKind) -> ModelSpec {
    let provider = FakeProvider::new().respond(move |_| FakeReply::error(kind, "down"));
    ModelSpec::served_by(name, provider)
}

async fn ask(
    router: &ModelRouter,
    request: impl Into<ChatRequest>,
    streamed: bool,
) -> Result<ChatResponse, Error> {
    ember_tests::ask(&router.client(), request, streamed).await
}

fn selected(router: &ModelRouter, request: impl Into<ChatRequest>) -> String {
    router.select(&request.into()).unwrap().name
}
