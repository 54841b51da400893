use ember::llm::layer::CostConfig;
use ember::llm::{Client, FakeProvider, Price, Usd};

/// So many dollars.
#[track_caller]
pub fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A dollar for a token in, and two for one out.
pub fn dear() -> Price {
    Price::per_million("1000000", "2000000").unwrap()
}

/// A client whose model has the [dear](dear()) price, and which asks it once.
pub fn priced(provider: FakeProvider) -> Client {
    Client::builder()
        .provider(provider)
        .without_retry()
        .without_circuit_breaker()
        .cost(CostConfig::new().price("fake", dear()).default_model("fake"))
        .build()
        .unwrap()
}
