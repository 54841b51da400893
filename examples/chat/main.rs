//! A conversation that is streamed and remembered, with a tool; beside it a cached route.
//!
//! `cargo run --example chat` needs no key and no network: a scripted model answers. With
//! `OPENAI_API_KEY` set, and `OPENAI_BASE_URL` for any compatible server, a real one does.

mod db;
mod offline;

use db::{Db, Task};
use ember::prelude::*;
use serde::{Deserialize, Serialize};

/// A unit of temperature.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Celsius,
    Fahrenheit,
}

/// What the weather is like.
#[derive(Serialize)]
struct Weather {
    city: String,
    temperature: i32,
    unit: Unit,
    sky: &'static str,
}

/// The current weather in a city.
#[tool]
async fn get_weather(
    /// Name of the city, for example "Paris".
    city: String,
    /// Unit of the temperature.
    #[default(Unit::Celsius)]
    unit: Unit,
) -> Result<Weather, ToolError> {
    if city.trim().is_empty() {
        return Err(ToolError::new("the city has no name"));
    }
    // A weather service would be asked here; this one is always of the same opinion.
    let temperature = match unit {
        Unit::Celsius => 21,
        Unit::Fahrenheit => 70,
    };
    Ok(Weather { city, temperature, unit, sky: "sunny" })
}

/// What a client sends to `/v1/chat`.
#[derive(Deserialize)]
struct ChatBody {
    message: String,
}

/// Talks with a user, remembers the conversation, and may look at the weather.
#[ai_route("/v1/chat", tools = [get_weather], token_limits = TokenLimits::per_minute(60_000))]
async fn chat(
    conversation: ConversationContext,
    Json(body): Json<ChatBody>,
) -> ember::Result<TokenStream> {
    conversation.stream(body.message).await
}

/// One task; asked for again within thirty seconds, the answer is the kept one.
#[get("/tasks/{id}", cache = TtlCache::new(secs(30)))]
async fn task(id: u64, db: Component<Db>) -> ember::Result<Json<Task>> {
    let task = db.task(id).ok_or_else(|| Error::not_found(format!("There is no task {id}.")))?;
    Ok(Json(task))
}

fn main() -> ember::Result {
    ember::app!().component(Db::open("app.db")?).offline(offline::model()).run()
}
