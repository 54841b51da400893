//! The OpenAI-compatible API: its shapes, its errors, its keys, and what becomes of it when
//! somebody goes away.
//!
//! Every answer and chunk is held against OpenAI's published schemas, where the folder with them
//! lies beside the project. Where it does not, `openai_answers_fit_the_published_schemas` of the
//! tests of services is reported as ignored, by its name.

mod answers;
mod failures;
mod models;
mod keys;

use ember::ai::{OpenAiApi, VirtualKey, VirtualKeys};
use ember::base::clock::{ManualClock, secs};
use ember::llm::{ChatEvent, ErrorKind, FakeEmbedder, FakeProvider, FakeReply, FinishReason};
use ember::llm::{HttpProvider, MediaSource, Part, ProviderConfig, ToolChoice, Usage};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::{Env, serde_json};
use ember_tests::{Reply, Upstream, openai_schema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::LazyLock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) fn app(fake: &FakeProvider, api: impl Into<OpenAiApi>) -> Ember {
    Ember::new().env(Env::of([("X", "y")])).client(Client::new(fake.clone())).openai_api(api)
}

/// A client on the application's own machine.
pub(super) fn local(app: Ember) -> TestClient {
    TestClient::new(app.build().unwrap()).peer(([127, 0, 0, 1], 50_000))
}

fn client(fake: &FakeProvider) -> TestClient {
    local(app(fake, "/v1"))
}

pub(super) fn hello(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

/// The published schemas that are looked at, where they are there.
static SCHEMAS: LazyLock<BTreeMap<&str, jsonschema::Validator>> = LazyLock::new(|| {
    let roots = ["chat_response", "chat_chunk", "models", "model", "embedding_response", "error"];
    let schemas = roots.into_iter().filter_map(|root| Some((root, openai_schema(root)?)));
    schemas.map(|(root, schema)| (root, jsonschema::validator_for(&schema).unwrap())).collect()
});

#[track_caller]
fn check_schema(root: &str, value: &Value) {
    if SCHEMAS.is_empty() {
        return;
    }
    let errors: Vec<_> = SCHEMAS[root].iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{root}: {errors:?}: {value}");
}

/// A whole answer that fits its schema.
pub(super) async fn whole(client: &TestClient, body: Value) -> Value {
    let response = client.post("/v1/chat/completions").json(&body).send().await;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await;
    check_schema("chat_response", &answer);
    answer
}

/// The data of a streamed answer; each but the last word fits its schema.
pub(super) async fn frames(mut response: TestResponse) -> Vec<Value> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let mut frames = Vec::new();
    while let Some(event) = response.next_event().await {
        assert_eq!(event.event, "message");
        let frame = serde_json::from_str(&event.data).unwrap_or(Value::String(event.data));
        match &frame {
            Value::String(text) => assert_eq!(text, "[DONE]"),
            frame if frame.get("error").is_some() => check_schema("error", frame),
            frame => check_schema("chat_chunk", frame),
        }
        frames.push(frame);
    }
    frames
}

pub(super) async fn streamed(client: &TestClient, body: Value) -> Vec<Value> {
    let mut body = body;
    body["stream"] = true.into();
    frames(client.post("/v1/chat/completions").json(&body).send().await).await
}

/// An error that fits its schema.
pub(super) async fn refused(response: TestResponse) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body: Value = response.json().await;
    check_schema("error", &body);
    (status, body["error"].clone())
}

/// What the chunks of an answer add up to, as clients add them up.
pub(super) fn folded(frames: &[Value]) -> Value {
    let mut message =
        json!({"content": "", "refusal": "", "reasoning_content": "", "tool_calls": []});
    let mut finish = Value::Null;
    for choice in frames.iter().filter_map(|frame| frame["choices"].get(0)) {
        for member in ["content", "refusal", "reasoning_content"] {
            let piece = choice["delta"][member].as_str().unwrap_or_default();
            message[member] = (message[member].as_str().unwrap().to_owned() + piece).into();
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let calls = message["tool_calls"].as_array_mut().unwrap();
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if index == calls.len() {
                calls.push(json!({"id": call["id"], "type": call["type"], "function": {"name": call["function"]["name"], "arguments": ""}}));
            }
            let arguments = &mut calls[index]["function"]["arguments"];
            *arguments = (arguments.as_str().unwrap().to_owned()
                + call["function"]["arguments"].as_str().unwrap())
            .into();
        }
        if !choice["finish_reason"].is_null() {
            assert!(finish.is_null(), "two ends");
            finish = choice["finish_reason"].clone();
        }
    }
    json!({"message": message, "finish_reason": finish})
}

/// The same of a whole answer.
pub(super) fn folded_whole(answer: &Value) -> Value {
    let choice = &answer["choices"][0];
    let text = |member: &str| choice["message"][member].as_str().unwrap_or_default().to_owned();
    let calls = choice["message"].get("tool_calls").cloned().unwrap_or(json!([]));
    json!({
        "message": {"content": text("content"), "refusal": text("refusal"), "reasoning_content": text("reasoning_content"), "tool_calls": calls},
        "finish_reason": choice["finish_reason"],
    })
}

/// The weather.
#[tool]
async fn get_weather(city: String) -> String {
    format!("sunny in {city}")
}
