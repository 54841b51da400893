//! What stands around a provider: retry, breaker and cost, unary and streamed, with no time passing.

mod retry;
mod cost;
mod stack;

use ember::Env;
use ember::base::clock::{ManualClock, millis, secs};
use ember::llm::layer::{
    CacheConfig, CircuitBreaker, CircuitBreakerConfig, Cost, CostConfig, Ledger, Retry,
    RetryConfig, StackConfig,
};
use ember::llm::{
    ChatEvent, ChatRequest, ChatResponse, ChatStream, Client, Error, ErrorKind, FakeProvider,
    FakeReply, HttpProvider, Price, Provider, ProviderConfig, Usage,
};
use ember_tests::{Reply, Upstream, in_no_time};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Both ways of asking, which must come to the same.
const WAYS: [bool; 2] = [false, true];

async fn ask(provider: &impl Provider, streamed: bool) -> Result<ChatResponse, Error> {
    match streamed {
        true => provider.stream(&"Hi".into()).await?.collect().await,
        false => provider.chat(&"Hi".into()).await,
    }
}

fn fake(replies: impl IntoIterator<Item = FakeReply>) -> FakeProvider {
    replies.into_iter().fold(FakeProvider::new(), FakeProvider::reply)
}

fn error(kind: ErrorKind) -> FakeReply {
    FakeReply::error(kind, "no")
}

fn busy() -> FakeReply {
    error(ErrorKind::Overloaded)
}

fn hello() -> FakeReply {
    FakeReply::new().text("Hello my friend").usage(Usage::new(10, 3))
}
