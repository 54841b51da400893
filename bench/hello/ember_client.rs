use ember::llm::ProviderConfig;
use ember::prelude::*;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
struct Greeting {
    message: &'static str,
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello, World!"
}

#[get("/json")]
async fn json() -> Json<Greeting> {
    Json(Greeting { message: "Hello" })
}

#[ai_route("/chat")]
async fn chat(client: Client, question: String) -> ember::Result<TokenStream> {
    Ok(client.stream(question).await?.into())
}

fn main() -> ember::Result {
    let port = std::env::var("PORT")?.parse()?;
    let config = ProviderConfig::new("openai", "gpt-4o").api_key("key");
    ember::app!().client(Client::from_config(config)?).port(port).run()
}
