//! What handlers return, and what becomes of their failures.

use ember::http::header::SET_COOKIE;
use ember::prelude::*;
use ember::testing::TestClient;
use futures_util::stream;
use serde_json::{Value, json};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

#[get("/text")]
async fn text() -> &'static str {
    "text"
}

#[get("/html")]
async fn html() -> Html<String> {
    Html("<p>hi</p>".to_owned())
}

#[get("/json")]
async fn object() -> Json<Value> {
    Json(json!({"a": [1, {"b": null}]}))
}

#[get("/nothing")]
async fn nothing() {}

#[get("/headers")]
async fn headers() -> (StatusCode, [(&'static str, &'static str); 2], &'static str) {
    (StatusCode::ACCEPTED, [("x-a", "1"), ("x-b", "2")], "body")
}

#[get("/redirect")]
async fn redirect() -> Redirect {
    Redirect::found("/text")
}

#[get("/opaque")]
async fn opaque() -> impl IntoResponse {
    (StatusCode::IM_A_TEAPOT, "short and stout")
}

#[get("/events")]
async fn events() -> Sse {
    Sse::new(stream::iter([Event::data("1"), Event::data("two\nlines").event("note").id("2")]))
}

#[get("/tokens")]
async fn tokens() -> TokenStream {
    sse_stream(stream::iter(["Hel", "lo"]))
}

#[get("/body")]
async fn body() -> Body {
    Body::stream(stream::iter([Ok::<_, io::Error>("a"), Ok("b")]))
}

#[get("/io")]
async fn foreign_error() -> ember::Result<String> {
    Err(io::Error::other("the disk of host-17 is full"))?;
    Ok(String::new())
}

#[get("/conflict")]
async fn own_error() -> ember::Result<String> {
    Err(Error::conflict("That name is taken.").with_member("name", "ann"))
}

#[get("/wait")]
async fn wait() -> Result<(), Error> {
    Err(Error::too_many_requests("Slowly.").with_retry_after(secs(7)))
}

struct TaskError;

impl IntoResponse for TaskError {
    fn into_response(self) -> Response {
        (StatusCode::PAYMENT_REQUIRED, "pay first").into_response()
    }
}

#[get("/domain")]
async fn domain_error() -> Result<&'static str, TaskError> {
    Err(TaskError)
}

#[get("/panic")]
async fn panics() -> &'static str {
    panic!("a secret of the handler")
}

#[get("/model")]
async fn model_error() -> ember::Result<String> {
    let kind = ember::llm::ErrorKind::RateLimit;
    Err(ember::llm::Error::new(kind, "org-secret is out of tokens").with_retry_after(secs(3)))?;
    Ok(String::new())
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[get("/cached", cache = TtlCache::new(secs(600)))]
async fn cached(request: Request) -> Response {
    let run = RUNS.fetch_add(1, Ordering::SeqCst);
    match request.query() {
        Some("cookie") => ([(SET_COOKIE, "id=1")], run.to_string()).into_response(),
        Some("error") => Error::not_found("no").into_response(),
        Some("stream") => {
            Body::stream(stream::iter([Ok::<_, io::Error>(run.to_string())])).into_response()
        }
        _ => run.to_string().into_response(),
    }
}

fn client() -> TestClient {
    TestClient::new(ember::app!().build().unwrap())
}

async fn get(target: &str) -> (u16, Option<String>, String) {
    let response = client().get(target).send().await;
    let media_type = response.header("content-type").map(str::to_owned);
    (response.status().as_u16(), media_type, response.text().await)
}

#[tokio::test]
async fn bodies_have_their_media_types() {
    let answer = |media_type: &str, body: &str| (200, Some(media_type.to_owned()), body.to_owned());
    assert_eq!(get("/text").await, answer("text/plain; charset=utf-8", "text"));
    assert_eq!(get("/html").await, answer("text/html; charset=utf-8", "<p>hi</p>"));
    assert_eq!(get("/json").await, answer("application/json", r#"{"a":[1,{"b":null}]}"#));
    assert_eq!(get("/nothing").await, (200, None, String::new()));
    assert_eq!(get("/body").await, (200, None, "ab".to_owned()));
    assert_eq!(
        get("/events").await,
        answer("text/event-stream", "data: 1\n\nid: 2\nevent: note\ndata: two\ndata: lines\n\n")
    );
    assert_eq!(get("/tokens").await.2, "data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn status_and_headers_stand_before_the_body() {
    let response = client().get("/headers").send().await;
    assert_eq!(response.status(), 202);
    assert_eq!((response.header("x-a"), response.header("x-b")), (Some("1"), Some("2")));
    let redirect = client().get("/redirect").send().await;
    assert_eq!((redirect.status().as_u16(), redirect.header("location")), (302, Some("/text")));
    assert_eq!(get("/opaque").await.0, 418);
}

#[tokio::test]
async fn errors_are_problem_documents_without_internals() {
    let response = client().get("/conflict").send().await;
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let problem: Value = response.json().await;
    let expected = json!({
        "type": "about:blank", "title": "Conflict", "status": 409, "detail": "That name is taken.", "name": "ann",
    });
    assert_eq!(problem, expected);
    for (target, status, secret) in
        [("/io", 500, "host-17"), ("/panic", 500, "secret"), ("/model", 503, "org-secret")]
    {
        let (found, _, body) = get(target).await;
        assert_eq!(found, status);
        assert!(!body.contains(secret), "{body}");
    }
    assert_eq!(client().get("/wait").send().await.header("retry-after"), Some("7"));
    assert_eq!(client().get("/model").send().await.header("retry-after"), Some("3"));
    assert_eq!(get("/domain").await.0, 402);
}

#[tokio::test]
async fn answers_are_kept_only_if_they_belong_to_everybody() {
    let client = client();
    let ask = |target: &'static str| {
        let request = client.get(target);
        async move { request.send().await.text().await }
    };
    let first = ask("/cached").await;
    assert_eq!(ask("/cached").await, first, "the same answer");
    assert_ne!(ask("/cached?a=1").await, first, "another query is another answer");
    let head = client.head("/cached").send().await;
    assert_eq!(
        head.header("content-length"),
        Some(first.len().to_string().as_str()),
        "HEAD is answered from it"
    );
    for target in ["/cached?cookie", "/cached?stream"] {
        assert_ne!(ask(target).await, ask(target).await, "{target} must not be kept");
    }
    let before = RUNS.load(Ordering::SeqCst);
    ask("/cached?error").await;
    ask("/cached?error").await;
    assert_eq!(RUNS.load(Ordering::SeqCst), before + 2, "failures are not kept");
    let own = client.get("/cached").header("authorization", "Bearer x").send().await.text().await;
    assert_ne!(own, first, "who is authenticated gets an answer of their own");
}
