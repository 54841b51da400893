//! AI routes: conversations that are remembered, streamed, limited, and rolled back.

mod turns;
mod failures;
mod limits;

use ember::Ember;
use ember::llm::tool::ParameterSchema;
use ember::llm::{
    ChatEvent, Client, ErrorKind, FakeProvider, FakeReply, FinishReason, HttpProvider,
    MemorySessionStore, Message, ProviderConfig, Tool, Usage,
};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember_tests::{Reply, Trusting, Upstream};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/ask", model = "large")]
async fn ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/add", tools = [add])]
async fn adding(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/terse", methods = [POST, PUT])]
async fn terse(
    mut conversation: ConversationContext,
    message: String,
) -> ember::Result<TokenStream> {
    conversation.system("Be terse.");
    conversation.stream(message).await
}

#[ai_route("/history", methods = [GET])]
async fn history(conversation: ConversationContext) -> Json<Vec<Message>> {
    Json(conversation.messages().to_vec())
}

#[ai_route("/edit")]
async fn edit(mut conversation: ConversationContext, command: String) -> ember::Result<String> {
    match command.as_str() {
        "clear" => conversation.clear(),
        "add" => {
            conversation.add_message(Role::User, "one two three four");
            conversation.add_message(Role::Assistant, "five six seven eight");
            conversation.add_message(Role::System, "Be kind.");
        }
        "trim" => conversation.trim(60),
        _ => return Err(Error::bad_request("unknown")),
    }
    conversation.save().await?;
    Ok(conversation.estimate_tokens().to_string())
}

#[ai_route("/limited", token_limits = TokenLimits::per_minute(100).max_prompt_tokens(50).max_completion_tokens(30))]
async fn limited(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

const SMALL: TokenLimits =
    TokenLimits::per_minute(150).max_prompt_tokens(120).max_completion_tokens(30);

#[ai_route("/scoped", tools = [add], model = "large", token_limits = SMALL)]
async fn scoped(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

#[ai_route("/scoped-stream", tools = [add], model = "large", token_limits = SMALL)]
async fn scoped_stream(client: Client, message: String) -> ember::Result<String> {
    let mut pieces = client.stream_text(message).await?;
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        text += &piece?;
    }
    Ok(text)
}

#[ai_route("/ask-and-fail")]
async fn ask_and_fail(
    mut conversation: ConversationContext,
    message: String,
) -> ember::Result<String> {
    conversation.ask(message).await?;
    Err(Error::conflict("Too late."))
}

#[ai_route("/set-up", tools = [add])]
async fn set_up(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    let parameters = ParameterSchema::object([ParameterSchema::new("n", "integer", "A number.")]);
    let double = |arguments: Value| async move { Ok(arguments["n"].as_i64().unwrap_or(0) * 2) };
    let double = Tool::new("double", "Doubles.", parameters, double)?;
    conversation.tool(double).with(|request| request.temperature(0.2));
    conversation.ask(message).await
}

#[post("/direct")]
async fn direct(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

/// The routes of this module.
fn routes() -> Ember {
    ember::app!()
}

fn app(provider: &FakeProvider) -> TestClient {
    let app = routes().client(Client::new(provider.clone())).middleware(Trusting);
    TestClient::new(app.build().unwrap())
}

/// An id of the form of those that are issued.
const C: &str = "cccccccccccccccccccccccccccccccc";

async fn post(app: &TestClient, target: &str, id: &str, message: &'static str) -> TestResponse {
    let request = app.post(target).body(message);
    let request = if id.is_empty() { request } else { request.header("x-conversation-id", id) };
    request.send().await
}

fn id_of(response: &TestResponse) -> String {
    response.header("x-conversation-id").unwrap().to_owned()
}

async fn said(app: &TestClient, id: &str) -> Vec<String> {
    let history = app.get("/history").header("x-conversation-id", id).send().await;
    let messages: Vec<Message> = history.json().await;
    messages.iter().map(|message| format!("{:?}: {}", message.role, message.text())).collect()
}
