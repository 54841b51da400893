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
#[derive(Deserialize, JsonSchema)]
struct ChatBody {
    /// What the user says.
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

fn app() -> ember::Result<Ember> {
    Ok(ember::app!().component(Db::open("app.db")?).offline(offline::model()).docs("/docs"))
}

fn main() -> ember::Result {
    app()?.run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::serde_json::json;
    use ember::testing::TestClient;

    // Ids of the form of those that are issued.
    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn client() -> TestClient {
        let app = app().unwrap().client(Client::new(offline::model()));
        TestClient::new(app.build().unwrap())
    }

    async fn say(client: &TestClient, id: &str, message: &str) -> String {
        let request = client.post("/v1/chat").json(&json!({"message": message}));
        let events = request.header("x-conversation-id", id).send().await.events().await;
        assert_eq!(events.last().unwrap().data, "[DONE]");
        events[..events.len() - 1].iter().map(|event| event.data.as_str()).collect()
    }

    #[ember::test]
    async fn it_remembers_and_looks_at_the_weather() {
        let client = client();
        assert_eq!(say(&client, A, "My name is Ada").await, "Nice to meet you, Ada.");
        let weather = say(&client, A, "What is the weather in Rome?").await;
        assert!(
            weather.starts_with("Let me look. The weather service says: {\"city\":\"Rome\""),
            "{weather}"
        );
        assert_eq!(say(&client, A, "What is my name?").await, "Your name is Ada.");
        assert_eq!(say(&client, B, "What is my name?").await, "You have not told me.");
    }

    #[ember::test]
    async fn tasks_are_found_by_number() {
        assert_eq!(
            client().get("/tasks/2").send().await.text().await,
            r#"{"id":2,"title":"Run the chat"}"#
        );
        assert_eq!(client().get("/tasks/9").send().await.status(), 404);
    }
}
