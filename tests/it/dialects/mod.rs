//! Streams to the browser: the bytes of each dialect and who chooses it, pages of `useChat`, and what
//! becomes of a turn whose reader goes away.

mod bytes;
mod leaving;
mod pages;

use ember::base::sse::{Decoder, Frame};
use ember::llm::layer::{Cost, CostConfig};
use ember::llm::{
    ChatEvent, Client, ErrorKind, FakeProvider, FakeReply, FinishReason, History, HttpProvider,
    Media, MemorySessionStore, Message, Part, ProviderConfig, SessionChange, SessionQuery,
    SessionStore, SessionSummary, Usage,
};
use ember::prelude::*;
use ember::testing::{TestClient, TestEvent, TestResponse};
use ember_tests::{Reply, Upstream};
use futures_util::stream;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Fails.
#[tool]
async fn fail() -> Result<String, ToolError> {
    Err(ToolError::new("out of order"))
}

#[ai_route("/chat", tools = [add, fail])]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/kept", tools = [add], on_disconnect = OnDisconnect::Keep)]
async fn kept(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/kept-ask", on_disconnect = OnDisconnect::Keep)]
async fn kept_ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/ask")]
async fn ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/ui", stream = StreamDialect::UiMessages, tools = [add])]
async fn ui(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/use-chat")]
async fn use_chat(
    conversation: ConversationContext,
    messages: UiMessages,
) -> ember::Result<TokenStream> {
    conversation.stream(messages).await
}

/// Asks, and notes whether that went wrong.
#[ai_route("/noted")]
async fn noted(
    mut conversation: ConversationContext,
    messages: UiMessages,
) -> ember::Result<String> {
    match conversation.ask(messages).await {
        Ok(answer) => Ok(answer),
        Err(error) => {
            conversation.note("failed", true);
            conversation.save().await?;
            Err(error)
        }
    }
}

#[ai_route("/stateless", tools = [add])]
async fn stateless(client: Client, messages: UiMessages) -> ember::Result<TokenStream> {
    Ok(client.stream(messages.into_messages()).await?.into())
}

#[ai_route("/client")]
async fn client_stream(client: Client, message: String) -> ember::Result<TokenStream> {
    Ok(client.stream(message).await?.into())
}

#[get("/fixed")]
async fn fixed() -> TokenStream {
    sse_stream(stream::iter(["Hello", " world"])).dialect(StreamDialect::Events)
}

#[get("/words")]
async fn words() -> TokenStream {
    sse_stream(stream::iter(["Hello", " world"]))
}

#[ai_route("/history", methods = [GET])]
async fn history(conversation: ConversationContext) -> Json<Vec<Message>> {
    Json(conversation.messages().to_vec())
}

const C: &str = "cccccccccccccccccccccccccccccccc";
const EVENTS: &str = "text/event-stream; dialect=events";
const UI: &str = "text/event-stream; dialect=ui-messages";

/// The routes above.
fn annotated() -> Ember {
    ember::app!()
}

fn app(provider: &FakeProvider) -> TestClient {
    let app = annotated().client(Client::new(provider.clone()));
    TestClient::new(app.build().unwrap())
}

async fn post(app: &TestClient, target: &str, accept: &str, message: &str) -> TestResponse {
    let request = app.post(target).body(message.to_owned()).header("x-conversation-id", C);
    let request = if accept.is_empty() { request } else { request.header("accept", accept) };
    request.send().await
}

async fn said(app: &TestClient) -> Vec<Message> {
    app.get("/history").header("x-conversation-id", C).send().await.json().await
}

async fn texts(app: &TestClient) -> Vec<String> {
    said(app).await.iter().map(|message| message.text().into_owned()).collect()
}

/// An answer with everything in it: reasoning, two calls, one of which fails, and text.
fn everything() -> FakeProvider {
    let part = |part| ChatEvent::PartEnd { signature: part };
    FakeProvider::new()
        .reply(
            FakeReply::new()
                .event(ChatEvent::Reasoning("Hm".into()))
                .event(ChatEvent::Reasoning("m.".into()))
                .event(part(None))
                .text("Let me")
                .tool_call("add", json!({"a": 1, "b": 2}))
                .tool_call("fail", json!({}))
                .usage(Usage::new(10, 5)),
        )
        .reply(FakeReply::new().text("It\nis 3.").usage(Usage::new(20, 3)))
}
