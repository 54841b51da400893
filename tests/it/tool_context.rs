//! Tools that reach the components of their application.

use ember::Ember;
use ember::llm::{Client, FakeProvider, FakeReply, ToolCall, ToolContext, ToolRegistry};
use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::Components;
use serde_json::json;

struct Prices(u32);

/// The price of a thing.
#[tool]
async fn price(thing: String, prices: Component<Prices>, missing: Option<Component<u8>>) -> String {
    assert!(missing.is_none());
    format!("{thing} costs {}", prices.0.0)
}

#[ai_route("/buy", tools = [price])]
async fn buy(mut conversation: ConversationContext) -> ember::Result<String> {
    conversation.ask("How much?").await
}

#[ai_route("/buy-stream", tools = [price])]
async fn buy_stream(conversation: ConversationContext) -> ember::Result<TokenStream> {
    conversation.stream("How much?").await
}

#[ai_route("/buy-client", tools = [price])]
async fn buy_client(client: Client) -> ember::Result<String> {
    Ok(client.ask("How much?").await?)
}

#[get("/price")]
async fn price_of(tools: ToolRegistry) -> String {
    tools.execute(&ToolCall::new("c1", "price", r#"{"thing":"tea"}"#)).await.content
}

fn app() -> Ember {
    ember::app!()
}

#[tokio::test]
async fn tools_reach_the_components_of_the_application() {
    for (method, target) in [
        (Method::POST, "/buy"),
        (Method::POST, "/buy-stream"),
        (Method::POST, "/buy-client"),
        (Method::GET, "/price"),
    ] {
        let fake = FakeProvider::new()
            .reply(FakeReply::new().tool_call("price", json!({"thing": "tea"})))
            .respond(|request| {
                FakeReply::new().text(format!("{:?}", request.messages.last().unwrap()))
            });
        let app = app().component(Prices(7)).client(Client::new(fake));
        let client = TestClient::new(app.build().unwrap());
        let text = client.request(method, target).send().await.text().await;
        assert!(
            text.contains("tea") && text.contains("costs") && text.contains('7'),
            "{target}: {text}"
        );
    }
    let tools = app().component(Prices(7)).client(Client::new(FakeProvider::new()));
    let tools = tools.build().unwrap().tools().clone();
    let parameters = tools.get("price").unwrap().parameters().clone();
    assert_eq!(
        parameters.as_value()["properties"].as_object().unwrap().len(),
        1,
        "no component in the schema"
    );
    let call = ToolCall::new("c1", "price", r#"{"thing":"tea"}"#);
    let alone = tools.execute(&call).await;
    assert_eq!((alone.content.as_str(), alone.is_error), ("the tool cannot be used here", true));
    let mut components = Components::default();
    components.insert(Prices(9));
    let context = ToolContext::new().with(components);
    assert_eq!(tools.clone().context(context.clone()).execute(&call).await.content, "tea costs 9");
    let fake =
        FakeProvider::new().reply(FakeReply::new().tool_call("price", json!({"thing": "tea"})));
    let client = Client::new(fake.clone()).context(context).tools(tools.iter().cloned());
    client.ask("How much?").await.unwrap();
    assert!(format!("{:?}", fake.requests()[1]).contains("tea costs 9"));
}

#[test]
fn a_component_that_a_tool_lacks_is_found_at_the_start() {
    let error = app().client(Client::new(FakeProvider::new())).build().unwrap_err();
    let [finding] = error.findings() else { panic!("{error}") };
    assert!(
        finding
            .message
            .contains("the tool `price` needs a component of type `it::tool_context::Prices`"),
        "{error}"
    );
    assert!(finding.places[0].starts_with("`price` (tests/it/tool_context.rs:"), "{error}");
    assert_eq!(finding.places.len(), 4, "the tool and the three routes: {error}");
    let elsewhere = Ember::new().route(ember::Route::post("/", || async {}));
    assert!(elsewhere.build().is_ok());
}
