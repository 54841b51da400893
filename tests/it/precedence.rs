//! What a request gets that does not say: the call's word, then the environment's, then a default.

use ember::Env;
use ember::llm::catalog::{Capability, Catalog, Model};
use ember::llm::layer::CostConfig;
use ember::llm::{ChatRequest, Client, FakeProvider};

/// What the provider is asked for, at once and streamed, which must be the same.
async fn sent(variables: &[(&str, &str)], request: impl Into<ChatRequest>) -> ChatRequest {
    let request = request.into();
    let fake = FakeProvider::new();
    let client = Client::new(fake.clone()).env(Env::of(variables.iter().copied()));
    client.complete(request.clone()).await.unwrap();
    client.stream(request).await.unwrap().collect().await.unwrap();
    let [unary, streamed] = <[ChatRequest; 2]>::try_from(fake.requests()).unwrap();
    assert_eq!(unary, streamed);
    unary
}

#[tokio::test]
async fn the_temperature() {
    let set = [("EMBER_TEMPERATURE", "0.25")];
    assert_eq!(sent(&[], "Hi").await.temperature, Some(Client::DEFAULT_TEMPERATURE));
    assert_eq!(sent(&set, "Hi").await.temperature, Some(0.25));
    assert_eq!(sent(&[("EMBER_TEMPERATURE", "hot")], "Hi").await.temperature, Some(0.7));
    let own = ChatRequest::from("Hi").temperature(0.0);
    assert_eq!(sent(&set, own).await.temperature, Some(0.0));
}

#[tokio::test]
async fn the_limit_of_tokens() {
    let set = [("EMBER_MAX_TOKENS", "100")];
    assert_eq!(sent(&[], "Hi").await.max_tokens, None);
    assert_eq!(sent(&set, "Hi").await.max_tokens, Some(100));
    assert_eq!(sent(&[("EMBER_MAX_TOKENS", "-5")], "Hi").await.max_tokens, None);
    let own = ChatRequest::from("Hi").max_tokens(7);
    assert_eq!(sent(&set, own).await.max_tokens, Some(7));
}

#[tokio::test]
async fn the_environment_is_read_with_each_call() {
    let fake = FakeProvider::new();
    let client = Client::new(fake.clone());
    for value in ["0.1", "0.2"] {
        let client = client.clone().env(Env::of([("EMBER_TEMPERATURE", value)]));
        client.ask("Hi").await.unwrap();
    }
    client.env(Env::of::<&str, &str>([])).ask("Hi").await.unwrap();
    let sent: Vec<_> = fake.requests().iter().map(|request| request.temperature).collect();
    assert_eq!(sent, [Some(0.1), Some(0.2), Some(0.7)]);
}

#[tokio::test]
async fn a_model_that_reasons_by_the_programs_catalogue_gets_no_temperature() {
    let catalog = Catalog::new();
    let fake = FakeProvider::new();
    let client = Client::builder()
        .provider(fake.clone())
        .env(Env::of([("EMBER_TEMPERATURE", "0.2")]))
        .cost(CostConfig::new().catalog(catalog.clone()))
        .build()
        .unwrap()
        .model("thinker");
    client.ask("Hi").await.unwrap();
    catalog.add(Model::new("fake", "thinker").capability(Capability::Reasoning));
    client.ask("Hi").await.unwrap();
    client.prompt("Hi").temperature(1.0).text().await.unwrap();
    client.prompt("Hi").model("other").text().await.unwrap();
    let sent: Vec<_> = fake.requests().iter().map(|request| request.temperature).collect();
    assert_eq!(sent, [Some(0.2), None, Some(1.0), Some(0.2)]);
}
