//! The router of an application.

use super::*;

#[ai_route("/stream")]
async fn streamed(conversation: ConversationContext, body: String) -> ember::Result<TokenStream> {
    conversation.stream(body).await
}

#[ai_route("/second", model = "second")]
async fn second(mut conversation: ConversationContext, body: String) -> ember::Result<String> {
    conversation.ask(body).await
}

#[ai_route("/which")]
async fn which(router: ModelRouter, body: String) -> ember::Result<String> {
    Ok(router.select(&body.into())?.name)
}

#[test]
fn the_environment_describes_a_router_and_mistakes_are_told_together() {
    let keys = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
    let env = |more: &[(&'static str, &'static str)]| {
        Env::of(keys.into_iter().chain(more.iter().copied()))
    };
    let models = ("EMBER_MODELS", " openai/gpt-5-mini, anthropic/claude-sonnet-4-6, ");
    let router = ModelRouter::from_env(&env(&[models, ("EMBER_ROUTING", "Round-Robin")])).unwrap();
    assert_eq!(
        router.names().collect::<Vec<_>>(),
        ["openai/gpt-5-mini", "anthropic/claude-sonnet-4-6"]
    );
    assert_eq!(router.routing(), RoutingStrategy::RoundRobin);
    let first = router.select(&ChatRequest::from("Hi").model("claude-sonnet-4-6")).unwrap();
    assert_eq!((first.provider.as_str(), first.model.as_str()), ("anthropic", "claude-sonnet-4-6"));
    let wrong =
        [("EMBER_MODELS", "opnai/x, groq/y, fake/z, fake/z"), ("EMBER_ROUTING", "cheepest")];
    let error = ModelRouter::from_env(&env(&wrong)).unwrap_err();
    for part in [
        "did you mean `cheapest`?",
        "did you mean `openai`?",
        "set GROQ_API_KEY",
        "two models have the name `fake/z`",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert!(ModelRouter::from_env(&env(&[])).unwrap_err().message().contains("at least one model"));
    let missing = ModelRouter::builder().model("gpt-5-mimi").env(env(&[])).build().unwrap_err();
    assert!(missing.message().contains("did you mean `gpt-5-mini`?"), "{missing}");
}

#[tokio::test]
async fn an_application_asks_through_its_router() {
    let router = builder()
        .models([down("first", ErrorKind::Overloaded), spec("second", [])])
        .build()
        .unwrap();
    let app = ember::app!().env(Env::of::<&str, &str>([])).models(router.clone()).build().unwrap();
    assert_eq!(app.provider(), Some("first, second (fallback)"));
    let client = TestClient::new(app);
    assert_eq!(client.post("/second").body("Hi").send().await.text().await, "second");
    assert_eq!(router.health()[0].failures, 0, "the route's model is asked first");
    let stream = client.post("/stream").body("Hi").send().await.text().await;
    assert_eq!(stream, "data: second\n\ndata: [DONE]\n\n");
    assert_eq!(client.post("/which").body("Hi").send().await.text().await, "first");
}

#[test]
fn mistakes_of_an_applications_router_are_findings() {
    let build = |models: &str, routing: &str| {
        let env = Env::of([("EMBER_MODELS", models), ("EMBER_ROUTING", routing)]);
        ember::app!().env(env).build().map(drop).map_err(|error| error.to_string())
    };
    // The route's `second` is what the provider calls the second model.
    assert_eq!(build("fake/first, fake/second", ""), Ok(()));
    let error = build("fake/first, fake/secnd", "").unwrap_err();
    assert!(
        error.contains(
            "a route asks for a model that the router does not have: there is no model `second`"
        ),
        "{error}"
    );
    assert!(error.contains("tests/it/model_router/application.rs"), "{error}");
    let error = build("fak/second, groq/second", "fastet").unwrap_err();
    for part in ["did you mean `fake`?", "set GROQ_API_KEY", "did you mean `fastest`?"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
