//! Middleware: its order, what it sees, and the bridge to tower.

use ember::http::HeaderValue;
use ember::prelude::*;
use ember::testing::TestClient;
use std::sync::atomic::{AtomicU32, Ordering};
use tower_service::Service as _;

/// Writes its name on the way in and on the way out.
struct Mark(&'static str);

impl Middleware for Mark {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        request.headers_mut().append("x-in", HeaderValue::from_static(self.0));
        let mut response = next.run(request).await;
        response.headers_mut().append("x-out", HeaderValue::from_static(self.0));
        response
    }
}

/// Answers itself where it is told to.
struct Gate;

impl Middleware for Gate {
    async fn handle(&self, request: Request, next: Next) -> Response {
        match request.headers().contains_key("x-stop") {
            true => Error::forbidden("Stopped.").into_response(),
            false => next.run(request).await,
        }
    }
}

#[get("/seen")]
async fn seen(headers: HeaderMap) -> String {
    let marks: Vec<_> = headers.get_all("x-in").iter().map(|mark| mark.to_str().unwrap()).collect();
    marks.join(" ")
}

#[get("/panic")]
async fn panics() {
    panic!("in the handler")
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[get("/cached", cache = TtlCache::new(secs(600)))]
async fn cached() -> String {
    RUNS.fetch_add(1, Ordering::SeqCst).to_string()
}

fn app() -> ember::Ready {
    ember::app!().middleware(Mark("a")).middleware(Gate).middleware(Mark("b")).build().unwrap()
}

fn outs(response: &ember::testing::TestResponse) -> Vec<String> {
    response
        .headers()
        .get_all("x-out")
        .iter()
        .map(|mark| mark.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_is_added_first_is_outermost() {
    let response = TestClient::new(app()).get("/seen").send().await;
    assert_eq!(outs(&response), ["b", "a"]);
    assert_eq!(response.text().await, "a b");
}

#[tokio::test]
async fn middleware_may_answer_instead() {
    let response = TestClient::new(app()).get("/seen").header("x-stop", "1").send().await;
    assert_eq!(response.status(), 403);
    assert_eq!(outs(&response), ["a"]);
}

#[tokio::test]
async fn errors_of_all_kinds_pass_through_it() {
    for (target, status) in [("/nothing", 404), ("/panic", 500)] {
        let response = TestClient::new(app()).get(target).send().await;
        assert_eq!(response.status(), status);
        assert_eq!(outs(&response), ["b", "a"], "{target}");
    }
    let refused = TestClient::new(app()).post("/seen").send().await;
    assert_eq!((refused.status().as_u16(), outs(&refused).len()), (405, 2));
}

#[tokio::test]
async fn a_cache_stands_behind_it() {
    let client = TestClient::new(app());
    let first = client.get("/cached").send().await;
    let second = client.get("/cached").send().await;
    assert_eq!(outs(&second), ["b", "a"], "middleware sees kept answers, too");
    assert_eq!(first.text().await, second.text().await);
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_ready_application_is_a_tower_service() {
    let mut service = app();
    std::future::poll_fn(|context| {
        tower_service::Service::<ember::http::Request<String>>::poll_ready(&mut service, context)
    })
    .await
    .unwrap();
    let request = ember::http::Request::get("/seen").body(String::new()).unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap(), "a b");
}
