//! A program that starts, for tests of the command line and of signals.

use ember::llm::{FakeProvider, FakeReply};
use ember::prelude::*;

/// Adds two numbers.
#[tool]
async fn add(
    /// The first.
    a: i64,
    /// The second.
    b: i64,
) -> i64 {
    a + b
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[get("/slow")]
async fn slow() -> &'static str {
    tokio::time::sleep(millis(300)).await;
    "slow"
}

#[ai_route("/chat", tools = [add])]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

fn main() -> ember::Result {
    let model =
        FakeProvider::new().respond(|_| FakeReply::new().text("one two three").delay(millis(50)));
    ember::app!().offline(model).run()
}
