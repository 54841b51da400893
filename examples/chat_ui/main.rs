//! A page that shows an answer as it comes, with what the model thinks and what its tools do.
//!
//! `cargo run --example chat_ui`, then open the address that it prints. The page is one file
//! without a build step, and loads nothing from elsewhere. It reads the typed events
//! (`text/event-stream; dialect=events`); the same route serves `useChat` of the AI SDK as well.
//! Without a key a scripted model answers.

use ember::llm::{ChatRequest, FakeProvider, FakeReply, Part};
use ember::prelude::*;
use serde::Deserialize;

/// How many words a text has.
#[tool]
async fn count_words(
    /// The text.
    text: String,
) -> usize {
    text.split_whitespace().count()
}

/// What the page sends.
#[derive(Deserialize, JsonSchema)]
struct Said {
    /// What the user says.
    message: String,
}

/// The page.
#[get("/")]
async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

/// Talks. What has arrived when the user presses "Stop" is remembered.
#[ai_route("/chat", tools = [count_words], on_disconnect = OnDisconnect::Keep)]
async fn chat(
    conversation: ConversationContext,
    Json(said): Json<Said>,
) -> ember::Result<TokenStream> {
    conversation.stream(said.message).await
}

/// Talks with a page that is written with the AI SDK.
#[ai_route("/api/chat", tools = [count_words])]
async fn api_chat(
    conversation: ConversationContext,
    messages: UiMessages,
) -> ember::Result<TokenStream> {
    conversation.stream(messages).await
}

fn app() -> Ember {
    ember::app!().offline(model())
}

fn main() -> ember::Result {
    app().run()
}

/// The model that answers when none is configured: it counts words, and repeats.
fn model() -> FakeProvider {
    FakeProvider::new().respond(|request| reply(request).delay(millis(40)))
}

fn reply(request: &ChatRequest) -> FakeReply {
    let Some(last) = request.messages.last() else { return FakeReply::new().text("Hello.") };
    if let Some(Part::ToolResult(result)) = last.content.first() {
        return FakeReply::new().text(format!("You have said {} words.", result.content));
    }
    let question = last.text();
    if question.contains("count") {
        let arguments = [("text", &*question)].into_iter().collect();
        let reply = FakeReply::new().reasoning("That is a question of numbers. ");
        return reply.text("Let me count. ").tool_call("count_words", arguments);
    }
    let turn = request.messages.iter().filter(|message| message.role == Role::User).count();
    FakeReply::new().text(format!("This is answer {turn}. You said: {question}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::serde_json::json;
    use ember::testing::TestClient;

    fn client() -> TestClient {
        TestClient::new(app().client(Client::new(model())).build().unwrap())
    }

    #[ember::test]
    async fn the_page_can_be_read_offline() {
        let page = client().get("/").send().await.text().await;
        assert!(page.contains("/chat") && !page.contains("http://") && !page.contains("https://"));
    }

    #[ember::test]
    async fn events_tell_of_the_tool() {
        let request = client().post("/chat").json(&json!({"message": "count these words"}));
        let response = request.header("accept", "text/event-stream; dialect=events").send().await;
        let events = response.events().await;
        let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
        assert!(names.contains(&"reasoning") && names.contains(&"tool_result"), "{names:?}");
        let result = events.iter().find(|event| event.event == "tool_result").unwrap();
        assert!(result.data.contains(r#""output":3"#), "{}", result.data);
    }
}
