//! How often, how long, how much.

use ember::Ready;
use ember::http::Request as HttpRequest;
use ember::prelude::*;
use ember::testing::{ManualClock, TestClient};
use ember::web::middleware::{ApiKeyAuth, BodyLimit, RateLimit, Timeout, TrustedProxies};
use futures_util::stream;

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[get("/events")]
async fn events() -> Sse {
    Sse::new(stream::iter([Event::data("1")]))
}

#[post("/echo")]
async fn echo(body: Bytes) -> Bytes {
    body
}

#[post("/unread")]
async fn unread() -> &'static str {
    "unread"
}

#[get("/waits")]
async fn waits() -> &'static str {
    std::future::pending().await
}

#[get("/waits-later")]
async fn waits_later() -> Sse {
    Sse::new(stream::pending::<Event>()).without_keep_alive()
}

fn app(middleware: impl Middleware) -> Ready {
    ember::app!().middleware(middleware).build().unwrap()
}

/// The status and the `RateLimit-*` headers of an answer to a peer.
async fn ask(app: &Ready, peer: &str, forwarded: &str) -> (u16, [u64; 3]) {
    let request = HttpRequest::get("/hello").header("x-forwarded-for", forwarded);
    let request = request.body(Body::empty()).unwrap();
    let peer = format!("{peer}:1").parse().unwrap();
    let response = app.site().answer(request, Some(peer)).await;
    let number = |name: &str| response.headers()[name].to_str().unwrap().parse().unwrap();
    let numbers = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(number);
    (response.status().as_u16(), numbers)
}

#[tokio::test]
async fn every_answer_tells_where_the_client_stands() {
    let hands = ManualClock::new();
    let client = TestClient::new(app(RateLimit::per_minute(2).clock(hands.clock())));
    for (target, status, remaining) in
        [("/hello", 200, "1"), ("/nothing", 404, "0"), ("/events", 429, "0")]
    {
        let response = client.get(target).send().await;
        assert_eq!(response.status(), status);
        assert_eq!(response.header("ratelimit-limit"), Some("2"));
        assert_eq!(response.header("ratelimit-remaining"), Some(remaining));
        assert_eq!(response.header("retry-after"), (status == 429).then_some("30"));
    }
    hands.advance(secs(30));
    let events = client.get("/events").send().await;
    assert_eq!((events.status().as_u16(), events.header("ratelimit-reset")), (200, Some("60")));
    assert_eq!(events.events().await.len(), 1);
}

#[tokio::test]
async fn clients_are_told_apart_by_their_address() {
    let hands = ManualClock::new();
    let limit = RateLimit::per_minute(1).trusted_proxies(["10.0.0.0/8"]).clock(hands.clock());
    let app = app(limit);
    assert_eq!(ask(&app, "203.0.113.1", "").await, (200, [1, 0, 60]));
    assert_eq!(
        ask(&app, "203.0.113.1", "1.1.1.1").await.0,
        429,
        "a client cannot name another address"
    );
    assert_eq!(ask(&app, "203.0.113.2", "").await.0, 200);
    assert_eq!(ask(&app, "10.0.0.1", "1.1.1.1").await.0, 200);
    assert_eq!(ask(&app, "10.0.0.2", "6.6.6.6, 1.1.1.1").await.0, 429, "by another proxy");
    assert_eq!(ask(&app, "10.0.0.1", "1.1.1.2").await.0, 200);
    assert_eq!(ask(&app, "[2001:db8::1]", "").await.0, 200);
    assert_eq!(ask(&app, "[2001:db8::2]", "").await.0, 429, "of the same network");
}

#[tokio::test]
async fn clients_may_be_told_apart_by_who_they_are() {
    let keys = ApiKeyAuth::new().key("a", "1").key("a", "2").key("b", "3").optional();
    let app = ember::app!().middleware(keys).middleware(RateLimit::per_minute(1).by_principal());
    let client = TestClient::new(app.build().unwrap());
    let ask = |key: &'static str| {
        let request = client.get("/hello").header("x-api-key", key);
        async move { request.send().await.status().as_u16() }
    };
    assert_eq!([ask("1").await, ask("2").await, ask("3").await], [200, 429, 200]);
    assert_eq!(client.get("/hello").send().await.status(), 200);
    assert_eq!(client.get("/hello").send().await.status(), 429);
}

#[tokio::test]
async fn a_key_of_the_programs_own_cannot_pass_for_an_address() {
    let limit = RateLimit::per_minute(1)
        .by(|request| request.headers().get("x-tenant")?.to_str().ok().map(str::to_owned));
    let app = app(limit);
    let client = TestClient::new(app.clone());
    let tenant = |name: &'static str| client.get("/hello").header("x-tenant", name).send();
    assert_eq!(tenant("a").await.status(), 200);
    assert_eq!(tenant("a").await.status(), 429);
    assert_eq!(tenant("address 203.0.113.1").await.status(), 200);
    assert_eq!(ask(&app, "203.0.113.1", "").await.0, 200);
}

#[tokio::test]
async fn of_several_limits_the_tightest_is_told() {
    let app = ember::app!()
        .middleware(RateLimit::per_minute(100).global())
        .middleware(RateLimit::per_hour(5))
        .build()
        .unwrap();
    assert_eq!(ask(&app, "203.0.113.1", "").await, (200, [5, 4, 720]));
    assert_eq!(ask(&app, "203.0.113.2", "").await, (200, [5, 4, 720]));
}

#[test]
fn limits_that_make_no_sense_keep_the_application_from_starting() {
    let check = |limit: RateLimit| Ember::new().middleware(limit).build().unwrap_err().to_string();
    assert!(check(RateLimit::per_second(0)).contains("allows no requests at all"));
    let proxies = TrustedProxies::new(["10.0.0.0/8", "my-proxy"]).by_forwarded();
    assert!(check(RateLimit::per_second(1).trusted_proxies(proxies)).contains("`my-proxy`"));
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_left() {
    let hands = ManualClock::new();
    let client = TestClient::new(app(Timeout::new(secs(30)).clock(hands.clock())));
    let waiting = tokio::spawn(client.get("/waits").send());
    while hands.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    hands.advance(secs(29));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    hands.advance(secs(1));
    let response = waiting.await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    // The head of a stream is there at once; what follows may take its time.
    let mut stream = client.get("/waits-later").send().await;
    hands.advance(secs(600));
    assert!(futures_util::FutureExt::now_or_never(stream.chunk()).is_none());
}

#[tokio::test]
async fn bodies_are_limited() {
    let client = TestClient::new(app(BodyLimit::new(4)));
    assert_eq!(client.post("/echo").body("1234").send().await.text().await, "1234");
    // An announced length is refused whether or not anybody reads the body.
    for target in ["/echo", "/unread"] {
        assert_eq!(client.post(target).body("12345").send().await.status(), 413, "{target}");
    }
    let pieces = || Body::stream(stream::iter(["123", "45"].map(Ok::<_, std::io::Error>)));
    assert_eq!(client.post("/echo").body(pieces()).send().await.status(), 413);
    assert_eq!(client.post("/unread").body(pieces()).send().await.status(), 200);
}
