//! The OpenAI-compatible API as a gateway: who may ask what, what it costs them, and what of a
//! request reaches the model.

mod keys;
mod requests;
mod models;

use crate::openai_api::{
    app, folded, folded_whole, frames, hello, local, refused, streamed, whole,
};
use ember::ai::{OpenAiApi, VirtualKey, VirtualKeys};
use ember::base::clock::{ManualClock, secs};
use ember::llm::layer::CostConfig;
use ember::llm::{
    self, Embedder, Embeddings, HttpProvider, ModelRouter, ModelSpec, Price, ProviderConfig,
    SpendLimit, Usage,
};
use ember::llm::{ChatEvent, Dropped, ErrorKind, FakeEmbedder, FakeProvider, FakeReply};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::{Env, Principal, serde_json};
use ember_tests::{Reply, Upstream};
use serde_json::{Value, json};
use std::net::TcpListener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";

fn unasked() -> FakeProvider {
    FakeProvider::new().respond(|_| FakeReply::new().text("Hello"))
}

/// A request with a key.
async fn with_key(client: &TestClient, key: &str, path: &str, body: &Value) -> TestResponse {
    let bearer = format!("Bearer {key}");
    client.post(path).header("authorization", &bearer).json(body).send().await
}

#[tokio::test]
async fn money_of_keys_is_counted_by_key_where_it_says_so() {
    for (limit, second) in [
        (SpendLimit::per_day("100".parse().unwrap()).per_principal(), 200),
        (SpendLimit::per_day("100".parse().unwrap()), 429),
    ] {
        let reply = |_: &_| FakeReply::new().text("x").usage(Usage::new(90, 1));
        let prices =
            CostConfig::new().price("fake", Price::per_million("1000000", "2000000").unwrap());
        let builder = Client::builder().provider(FakeProvider::new().respond(reply));
        let client = builder.cost(prices.default_model("fake")).build().unwrap();
        let keys = ["a", "b"]
            .map(|name| VirtualKey::new(name, format!("sk-{name}")).spend_limit(limit.clone()));
        let app = Ember::new().env(Env::of([("X", "y")])).client(client);
        let client =
            TestClient::new(app.openai_api(OpenAiApi::new("/v1").keys(keys)).build().unwrap());
        let body = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1});
        assert_eq!(with_key(&client, "sk-a", CHAT, &body).await.status(), 200);
        assert_eq!(with_key(&client, "sk-b", CHAT, &body).await.status().as_u16(), second);
    }
}

#[tokio::test]
async fn a_key_pays_by_the_models_that_may_answer_it() {
    let price = |dollars: &str| Price::per_million(dollars, dollars).unwrap();
    for stream in [false, true] {
        let prices = CostConfig::new().price("small", price("1")).price("large", price("1000000"));
        let router =
            ModelRouter::new(["small", "large"].map(|name| ModelSpec::served_by(name, unasked())));
        let client = Client::builder().router(router.unwrap()).cost(prices).build().unwrap();
        let limit = || SpendLimit::per_day("1".parse().unwrap());
        let keys = [
            VirtualKey::new("a", "sk-a").models(["small"]).spend_limit(limit()),
            VirtualKey::new("b", "sk-b").spend_limit(limit()),
        ];
        let app = Ember::new().env(Env::of([("X", "y")])).client(client);
        let client =
            TestClient::new(app.openai_api(OpenAiApi::new("/v1").keys(keys)).build().unwrap());
        let body = hello(json!({"model": "small", "stream": stream, "max_tokens": 5}));
        let cheap = with_key(&client, "sk-a", CHAT, &body).await;
        assert_eq!(cheap.status(), 200);
        let dear = with_key(&client, "sk-b", CHAT, &body).await;
        assert_eq!(dear.status(), 429, "the other model may answer in its place");
    }
}

#[tokio::test]
async fn a_model_without_a_price_is_not_there_for_whoever_pays() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let keys = VirtualKey::new("a", "sk-a").spend_limit(limit);
    let client =
        TestClient::new(app(&unasked(), OpenAiApi::new("/v1").keys(keys)).build().unwrap());
    for stream in [false, true] {
        let body = hello(json!({"model": "typo", "stream": stream}));
        let (status, error) = refused(with_key(&client, "sk-a", CHAT, &body).await).await;
        assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
    }
}

/// Asks over a connection, and gives back what has arrived once `mark` has.
async fn begin(address: std::net::SocketAddr, headers: &str, mark: &str) -> (TcpStream, Vec<u8>) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = hello(json!({"stream": true})).to_string();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(mark) {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    (socket, seen)
}

#[tokio::test]
async fn a_stream_that_the_servers_stop_cuts_ends_in_openais_error() {
    let fake = FakeProvider::new().reply(FakeReply::new().text("a b c").hang_after(2));
    let app = app(&fake, "/v1").workers(1);
    let running = app.serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let (mut socket, mut seen) = begin(running.address(), "", "b ").await;
    running.stop().within(secs(0));
    socket.read_to_end(&mut seen).await.unwrap();
    running.join();
    let seen = String::from_utf8(seen).unwrap();
    let last = seen.lines().rfind(|line| line.starts_with("data: ")).unwrap();
    let last: Value = serde_json::from_str(&last["data: ".len()..]).unwrap();
    assert_eq!(last["error"]["type"], "server_error", "{seen}");
    assert!(!seen.contains("event: error") && !seen.contains("[DONE]"), "{seen}");
}

#[tokio::test]
async fn an_abandoned_call_costs_its_key_what_was_used() {
    let mut upstream = Upstream::start(|_| {
        Reply::events()
            .data(json!({"model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}))
            .hang()
    })
    .await;
    let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let key = |name: &str| {
        VirtualKey::new(name, format!("sk-{name}")).token_limits(TokenLimits::per_day(1_000))
    };
    let api = OpenAiApi::new("/v1").keys([key("a"), key("b")]);
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api(api).workers(1);
    let running = app.serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let address = running.address();
    let (socket, _) = begin(address, "authorization: Bearer sk-a\r\n", "\"content\":\"Hi\"").await;
    drop(socket);
    upstream.hung_up().await;
    // What is left while a call of each key is under way.
    let mut left = Vec::new();
    for key in ["a", "b"] {
        let bearer = format!("authorization: Bearer sk-{key}\r\n");
        let (_socket, seen) = begin(address, &bearer, "\r\n\r\n").await;
        let seen = String::from_utf8(seen).unwrap();
        let (_, rest) = seen.split_once("x-ratelimit-remaining-tokens: ").unwrap();
        left.push(rest.lines().next().unwrap().parse::<u64>().unwrap());
    }
    let cost = left[1] - left[0];
    assert!((2..50).contains(&cost), "its prompt and a word, and not what was set aside: {left:?}");
    running.stop().within(secs(0));
    running.join();
}
