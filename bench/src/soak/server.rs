//! A service with everything that the load asks for, and whatever it keeps bounded, so that its
//! memory can be flat.

use crate::Result;
use crate::gateway::KEY;
use ember::RateLimit;
use ember::ai::{OpenAiApi, VirtualKey};
use ember::llm::{MemorySessionStore, ProviderConfig};
use ember::prelude::*;
use serde::{Deserialize, Serialize};
use std::net::TcpListener;

/// How many conversations, visitors and cached answers are kept: few, so that they are all there
/// soon, and what grows after that has no excuse.
const KEPT: usize = 500;

pub(crate) fn serve(upstream: &str, listener: TcpListener) -> Result {
    let config = ProviderConfig::new("openai", "gpt-4o").api_key("key");
    let client = Client::from_config(config.base_url(format!("http://{upstream}/v1")))?;
    let api = OpenAiApi::new("/v1").keys([VirtualKey::new("bench", KEY)]);
    let app = ember::app!()
        .workers(1)
        .client(client)
        .sessions(MemorySessionStore::new().max_sessions(KEPT))
        .component(SessionConfig::new(MemorySession::with_capacity(KEPT)))
        .openai_api(api);
    app.serve(listener)?.join();
    Ok(())
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {
    id: u64,
    items: Vec<String>,
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello, World!"
}

#[post("/echo")]
async fn echo(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[get("/users/{user}/posts/{post}")]
async fn post_of(user: u64, post: u64) -> String {
    format!("post {post} of user {user}")
}

#[get("/visit")]
async fn visit(session: Session) -> ember::Result<String> {
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

/// The key is the whole target, so that each number is an answer of its own.
#[get("/cached/{number}", cache = TtlCache::new(secs(30)).max_entries(KEPT))]
async fn cached(number: u64) -> String {
    format!("number {number}")
}

#[get("/limited", middleware = [RateLimit::per_second(20)])]
async fn limited() -> &'static str {
    "let in"
}

#[get("/broken")]
async fn broken() -> ember::Result<String> {
    Err(Error::internal("it is meant to fail"))
}

/// Talks, and remembers what was said.
#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, question: String) -> ember::Result<TokenStream> {
    conversation.stream(question).await
}

/// The time, as far as the model needs it.
#[tool]
async fn now() -> &'static str {
    "noon"
}

/// Calls a tool before it answers.
#[ai_route("/clock", tools = [now])]
async fn clock(client: Client, question: String) -> ember::Result<TokenStream> {
    Ok(client.stream(question).await?.into())
}
