//! The middleware that comes along, and what others bring: layers and services of tower.

mod auth;
mod bridge;
mod compression;
mod cors;
mod files;
mod limits;
mod log;
mod mount;
mod panics;
mod socket;

use ember::http::Method;
use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::middleware::{
    AccessLog, ApiKeyAuth, BearerAuth, BodyLimit, Compression, Cors, Decompression, RateLimit,
    RequestIds, Timeout,
};
use ember::{Principal, Ready};
use futures_util::stream;

#[get("/events")]
async fn events() -> Sse {
    Sse::new(stream::iter((0..3).map(|n| Event::data(n.to_string()))))
}

#[get("/text")]
async fn text() -> String {
    "text ".repeat(1000)
}

#[post("/echo")]
async fn echo(body: Bytes) -> Bytes {
    body
}

#[get("/fails")]
async fn fails() -> ember::Result<String> {
    Err(Error::conflict("That is taken."))
}

#[get("/panics")]
async fn handler_panics() -> String {
    panic!("in a handler")
}

fn with(middleware: impl Middleware) -> Ready {
    let routes = [
        ember::web::Route::from(events {}),
        text {}.into(),
        echo {}.into(),
        fails {}.into(),
        handler_panics {}.into(),
    ];
    let app = routes.into_iter().fold(Ember::new(), Ember::route);
    app.middleware(middleware).build().unwrap()
}

/// All that a middleware must let through: streams, HEAD, what is not there, errors, panics.
async fn lets_everything_through(name: &str, app: Ready) {
    let client = TestClient::new(app);
    let ask = |method: Method, target: &str| {
        let request = client.request(method, target);
        request
            .header("authorization", "Bearer t")
            .header("x-api-key", "k")
            .header("accept-encoding", "gzip, br, zstd")
    };
    let events = ask(Method::GET, "/events").send().await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"), "{name}");
    let events: Vec<_> = events.events().await.into_iter().map(|event| event.data).collect();
    assert_eq!(events, ["0", "1", "2"], "{name}");
    let whole = ask(Method::GET, "/text").send().await;
    let head = ask(Method::HEAD, "/text").send().await;
    assert_eq!((whole.status(), head.status()), (StatusCode::OK, StatusCode::OK), "{name}");
    assert_eq!(whole.header("content-encoding"), head.header("content-encoding"), "{name}");
    assert!(head.bytes().await.is_empty(), "{name}");
    let echoed = ask(Method::POST, "/echo").body("sent").send().await;
    assert_eq!(echoed.text().await, "sent", "{name}");
    for (method, target, status) in [
        (Method::GET, "/nothing", 404),
        (Method::DELETE, "/text", 405),
        (Method::OPTIONS, "/text", 204),
        (Method::GET, "/fails", 409),
        (Method::GET, "/panics", 500),
    ] {
        let response = ask(method, target).send().await;
        assert_eq!(response.status(), status, "{name} {target}");
        if status != 204 {
            assert_eq!(response.header("content-type"), Some("application/problem+json"));
        }
    }
}

#[tokio::test]
async fn every_middleware_lets_everything_through() {
    lets_everything_through("AccessLog", with(AccessLog::new())).await;
    lets_everything_through("RequestIds", with(RequestIds::new())).await;
    lets_everything_through("Timeout", with(Timeout::new(secs(60)))).await;
    lets_everything_through("BodyLimit", with(BodyLimit::new(1000))).await;
    let bearer = BearerAuth::new(|token| (token == "t").then(|| Principal::new("t")));
    lets_everything_through("BearerAuth", with(bearer)).await;
    lets_everything_through("ApiKeyAuth", with(ApiKeyAuth::new().key("k", "k"))).await;
    lets_everything_through("RateLimit", with(RateLimit::per_minute(100))).await;
    lets_everything_through("Cors", with(Cors::new().any_origin())).await;
    lets_everything_through("Compression", with(Compression::new())).await;
    lets_everything_through("Decompression", with(Decompression::new())).await;
    let identity = ember::web::middleware::TowerLayer::new(tower_layer::Identity::new());
    lets_everything_through("TowerLayer", with(identity)).await;
}
