//! One route with everything that a chat needs: tools, instructions, several models, limits and authentication.
//!
//! `cargo run --example streaming_chat` needs no key and no network: of its two models the first is out of
//! order, and the second takes its place. `EMBER_MODELS="openai/gpt-5.4-mini, anthropic/claude-sonnet-4-6"`, with the keys of
//! these providers, asks real ones. The client chooses the form of the answer by its `Accept` header:
//!
//! ```text
//! curl -N localhost:8000/v1/chat -H 'authorization: Bearer ada' -d '{"message": "Any news of order 7?"}' \
//!     -H 'content-type: application/json' -H 'accept: text/event-stream; dialect=events'
//! ```

use ember::llm::{self, ChatRequest, FakeProvider, FakeReply, Part};
use ember::prelude::*;
use ember::{BearerAuth, Env, Principal};
use serde::{Deserialize, Serialize};

/// How an order stands.
#[derive(Serialize)]
struct Order {
    number: u32,
    state: &'static str,
}

/// Looks up how an order stands.
#[tool]
async fn order_state(
    /// The number of the order.
    number: u32,
) -> Result<Order, ToolError> {
    match number {
        0..100 => Ok(Order { number, state: "on its way" }),
        _ => Err(ToolError::new("there is no such order")),
    }
}

/// What a client sends.
#[derive(Deserialize, JsonSchema)]
struct ChatBody {
    /// What the user says.
    message: String,
}

const LIMITS: TokenLimits = TokenLimits::per_minute(60_000).max_prompt_tokens(8_000);

/// Answers questions on orders, and remembers the conversation.
#[ai_route("/v1/chat", tools = [order_state], token_limits = LIMITS)]
async fn chat(
    principal: Principal,
    mut conversation: ConversationContext,
    Json(body): Json<ChatBody>,
) -> ember::Result<TokenStream> {
    let name = principal.id;
    conversation.system(prompt!("You help customers of a shop. You talk with {name}."));
    conversation.trim(6_000);
    conversation.stream(body.message).await
}

/// Whose token it is. A real one would look into a database, or check a signature.
fn whose(token: &str) -> Option<Principal> {
    ["ada", "grace"].contains(&token).then(|| Principal::new(token))
}

fn app() -> Ember {
    ember::app!().middleware(BearerAuth::new(whose))
}

fn main() -> ember::Result {
    match Env::process().var("EMBER_MODELS") {
        Some(_) => app().run(),
        None => app().models(offline()?).run(),
    }
}

/// Two models that need no network, of which the first is out of order.
fn offline() -> Result<ModelRouter, llm::Error> {
    let broken = FakeProvider::new()
        .respond(|_| FakeReply::error(llm::ErrorKind::Overloaded, "out of order"));
    ModelRouter::builder()
        .model(ModelSpec::served_by("first", broken))
        .model(ModelSpec::served_by("second", model()))
        .strategy(RoutingStrategy::Fallback)
        .without_retry()
        .build()
}

/// A model that looks for the number of an order.
fn model() -> FakeProvider {
    FakeProvider::new().respond(reply)
}

fn reply(request: &ChatRequest) -> FakeReply {
    let Some(last) = request.messages.last() else { return FakeReply::new().text("Hello.") };
    if let Some(Part::ToolResult(result)) = last.content.first() {
        return FakeReply::new().text(format!("This is what I know: {}", result.content));
    }
    let question = last.text();
    let number = question
        .split(|char: char| !char.is_ascii_digit())
        .find_map(|word| word.parse::<u32>().ok());
    match number {
        Some(number) => {
            let arguments = [("number", number)].into_iter().collect();
            FakeReply::new().text("Let me look. ").tool_call("order_state", arguments)
        }
        None => FakeReply::new().text("Which order do you mean?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::serde_json::json;
    use ember::testing::{TestClient, TestResponse};

    fn client() -> TestClient {
        TestClient::new(app().models(offline().unwrap()).build().unwrap())
    }

    async fn ask(token: &str, accept: &str) -> TestResponse {
        let body = json!({"message": "Any news of order 7?"});
        let request = client().post("/v1/chat").json(&body).header("accept", accept);
        request.header("authorization", &format!("Bearer {token}")).send().await
    }

    #[ember::test]
    async fn the_client_chooses_the_form_of_the_answer() {
        let plain = ask("ada", "text/event-stream").await;
        assert_eq!(plain.header("ratelimit-limit"), Some("60000"));
        assert!(plain.text().await.ends_with("data: [DONE]\n\n"));
        let events = ask("ada", "text/event-stream; dialect=events").await.events().await;
        assert!(events.iter().any(|event| event.event == "tool_result"));
        let document = ask("ada", "application/json").await.text().await;
        assert!(document.contains("on its way") && document.contains("second"), "{document}");
    }

    #[ember::test]
    async fn strangers_are_not_answered() {
        assert_eq!(ask("eve", "*/*").await.status(), 401);
    }
}
