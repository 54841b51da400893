//! Limits of tokens and money: on routes, blueprints and applications, by caller, under a crowd.

mod places;
mod crowds;
mod money;
mod buckets;

use ember::base::clock::ManualClock;
use ember::llm::{ChatRequest, Client, ErrorKind, FakeProvider, FakeReply, SpendLimit, Usage, Usd};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::{Ember, GlobalTokenBucket, RateLimit, TokenBucket};
use ember_tests::{Trusting, ask_on_socket, model, moody, number, priced, usd};
use futures_util::future::join_all;
use proptest::prelude::*;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Barrier;

async fn post(app: &TestClient, target: &str, user: &str) -> TestResponse {
    let request = app.post(target).body("Hi");
    match user {
        "" => request.send().await,
        user => request.header("x-user", user).send().await,
    }
}
