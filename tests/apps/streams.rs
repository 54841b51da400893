//! An application whose answers are read by the AI SDK.

use ember::llm::{
    ChatEvent, ChatRequest, ErrorKind, FakeProvider, FakeReply, FinishReason, Part, Usage,
};
use ember::prelude::*;
use serde_json::json;

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

/// Talks with a page, in a conversation that is remembered here.
#[ai_route("/api/chat", tools = [add, fail])]
async fn chat(
    conversation: ConversationContext,
    messages: UiMessages,
) -> ember::Result<TokenStream> {
    conversation.stream(messages).await
}

/// Talks with a page that remembers itself what was said.
#[ai_route("/api/stateless", tools = [add, fail])]
async fn stateless(client: Client, messages: UiMessages) -> ember::Result<TokenStream> {
    Ok(client.stream(messages.into_messages()).await?.into())
}

fn reply(request: &ChatRequest) -> FakeReply {
    let Some(last) = request.messages.last() else { return FakeReply::new() };
    if let Some(Part::ToolResult(_)) = last.content.first() {
        return FakeReply::new().text("It is 3.").usage(Usage::new(20, 3));
    }
    match &*last.text() {
        "everything" => FakeReply::new()
            .reasoning("Hm hm.")
            .text("Let me see.")
            .tool_call("add", json!({"a": 1, "b": 2}))
            .tool_call("fail", json!({}))
            .usage(Usage::new(10, 5)),
        "broken" => FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "secret"),
        "anew" => FakeReply::new()
            .text("begun")
            .tool_call("add", json!({"a": 1}))
            .event(ChatEvent::Reset)
            .text("anew")
            .finish(FinishReason::Stop),
        "hang" => FakeReply::new().text("a b c").hang_after(2),
        text => FakeReply::new().text(format!("{} messages, {text}", request.messages.len())),
    }
}

fn main() -> ember::Result {
    ember::app!().client(Client::new(FakeProvider::new().respond(reply))).run()
}
