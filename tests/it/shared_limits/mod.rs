//! Limits that hold for the sum of several processes, and what becomes of them while the store is away.
//!
//! A process is an application, or a client, with a [`BoxStore`] of its own over the one store.

mod crowds;
mod counting;
mod at_the_start;
mod outages;

use ember::base::clock::ManualClock;
use ember::llm::{
    ChatEvent, ChatRequest, Client, ErrorKind, FakeProvider, FakeReply, SpendLimit, Usage, Usd,
};
use ember::prelude::*;
use ember::store::{BoxStore, Bucket, Capability, Draw, MemoryStore, OnStoreFailure, Store};
use ember::testing::{TestClient, TestResponse};
use ember::{Ember, GlobalTokenBucket, RateLimit};
use ember_tests::flaky::Flaky;
use ember_tests::stores::until;
use ember_tests::{ask_on_socket, model, moody, number, priced, usd};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[ai_route("/ask")]
async fn ask(client: Client, message: String) -> ember::Result<String> {
    let request = ChatRequest::from(message).max_tokens(200);
    Ok(client.complete(request).await?.into_text()?)
}

#[ai_route("/stream")]
async fn stream(client: Client, message: String) -> ember::Result<TokenStream> {
    let request = ChatRequest::from(message).max_tokens(200);
    Ok(sse_stream(client.stream_text(request).await?))
}

#[get("/hello")]
async fn hello() -> &'static str {
    "hello"
}

/// An application with the routes of this module, as one of several processes.
fn process(store: impl Into<BoxStore>, client: Client) -> Ember {
    let app = Ember::new().route(ask {}).route(stream {}).route(hello {});
    app.store(store).client(client)
}

/// A store that can be away, and can do everything else.
fn flaky() -> Flaky {
    Flaky::new().capable(Capability::ALL).retry_after(secs(1))
}

fn built(app: Ember) -> TestClient {
    TestClient::new(app.build().unwrap())
}

async fn post(app: &TestClient, target: &str, message: &str) -> TestResponse {
    app.post(target).body(message.to_owned()).send().await
}

/// What is left of a bucket, as another process would find it.
async fn left(store: &impl Store, key: &str, bucket: Bucket) -> i64 {
    store.draw(key, bucket, Draw::Take(0)).await.unwrap().left
}

/// The key of the limit of an application: all its processes must know it by the same.
const OF_APPLICATION: &str = "limit:application:tokens per minute:";
