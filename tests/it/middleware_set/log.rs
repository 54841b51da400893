//! Request ids and the access log.

use ember::prelude::*;
use ember::testing::{ManualClock, TestClient};
use ember::web::middleware::{AccessLog, RequestId, RequestIds};
use futures_util::{StreamExt as _, stream};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[get("/id")]
async fn id(id: RequestId, headers: HeaderMap) -> String {
    format!("{id} {}", headers["x-request-id"].to_str().unwrap())
}

#[get("/maybe")]
async fn maybe(id: Option<RequestId>) -> String {
    format!("{}", id.is_some())
}

#[get("/tasks/{id}")]
async fn task(id: u32) -> String {
    tracing::info!("looking for it");
    id.to_string()
}

#[get("/events")]
async fn events() -> Sse {
    Sse::new(stream::iter([Event::data("1")]).chain(stream::pending())).without_keep_alive()
}

#[get("/two")]
async fn two() -> Sse {
    Sse::new(stream::iter([Event::data("1"), Event::data("2")]))
}

#[get("/breaks")]
async fn breaks() -> Body {
    Body::stream(stream::iter([Ok("a"), Err(io::Error::other("cut"))]))
}

#[get("/told")]
async fn told() -> ([(&'static str, &'static str); 1], Body) {
    let pieces = stream::iter([Ok::<_, io::Error>("ab"), Ok("cd")]).chain(stream::pending());
    ([("content-length", "4")], Body::stream(pieces))
}

#[get("/fails")]
async fn fails() -> ember::Result<()> {
    Err(Error::conflict("no"))
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    /// Collects what this thread logs.
    fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

#[tokio::test]
async fn ids_are_kept_or_made_and_handed_back() {
    let client = TestClient::new(ember::app!().middleware(RequestIds::new()).build().unwrap());
    let response = client.get("/id").header("x-request-id", "abc-1").send().await;
    assert_eq!(response.header("x-request-id"), Some("abc-1"));
    assert_eq!(response.text().await, "abc-1 abc-1");
    for sent in [None, Some("a b"), Some("<script>"), Some("")] {
        let request = client.get("/nothing");
        let request = match sent {
            Some(sent) => request.header("x-request-id", sent),
            None => request,
        };
        let response = request.send().await;
        let id = response.header("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    let fresh = RequestIds::new().always_new();
    let client = TestClient::new(ember::app!().middleware(fresh).build().unwrap());
    let response = client.get("/id").header("x-request-id", "abc-1").send().await;
    assert_ne!(response.header("x-request-id"), Some("abc-1"));
}

#[tokio::test]
async fn without_the_middleware_there_is_no_id() {
    let client = TestClient::new(ember::app!().build().unwrap());
    assert_eq!(client.get("/maybe").send().await.text().await, "false");
    assert_eq!(client.get("/id").send().await.status(), 500);
}

#[track_caller]
fn has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

#[tokio::test]
async fn a_request_is_one_span_and_one_line() {
    let lines = Lines::default();
    let _guard = lines.collect();
    let hands = ManualClock::new();
    let log = AccessLog::new().clock(hands.clock());
    // The id is in the span whichever of the two is outside.
    let apps = [
        ember::app!().middleware(RequestIds::new()).middleware(log.clone()),
        ember::app!().middleware(log).middleware(RequestIds::new()),
    ];
    for app in apps {
        let client = TestClient::new(app.build().unwrap());
        let request = client.get("/tasks/7?key=secret").header("x-request-id", "abc-1");
        assert_eq!(request.send().await.text().await, "7");
        let lines = lines.take();
        assert_eq!(lines.len(), 2, "{lines:?}");
        let span = [
            "request{",
            "method=GET",
            "path=\"/tasks/7\"",
            "route=\"/tasks/{id}\"",
            "request_id=\"abc-1\"",
        ];
        lines.iter().for_each(|line| has(line, &span));
        has(&lines[0], &["looking for it"]);
        has(&lines[1], &["answered status=200 bytes=1 duration_ms=0.0 end=\"complete\""]);
        assert!(!lines.concat().contains("secret"));
    }
}

#[tokio::test]
async fn the_cause_of_a_failure_is_within_the_span() {
    let lines = Lines::default();
    let _guard = lines.collect();
    // Without the middleware that makes them, a handler that wants an id fails.
    let app = ember::app!().middleware(AccessLog::new());
    let response = TestClient::new(app.build().unwrap()).get("/id").send().await;
    assert_eq!(response.status(), 500);
    let lines = lines.take();
    let cause = lines.iter().find(|line| line.contains("a request failed")).unwrap();
    has(cause, &["ERROR request{method=GET path=\"/id\"", "status=500"]);
}

#[tokio::test]
async fn every_end_is_told() {
    let lines = Lines::default();
    let _guard = lines.collect();
    let hands = ManualClock::new();
    let log = AccessLog::new().with_query().clock(hands.clock());
    let client = TestClient::new(ember::app!().middleware(log).build().unwrap());

    client.head("/tasks/7?a=b").send().await;
    let line = lines.take().pop().unwrap();
    has(&line, &["method=HEAD path=\"/tasks/7?a=b\"", "status=200 bytes=0", "end=\"complete\""]);

    let nothing = client.get("/nothing").send().await;
    assert!(lines.take().is_empty(), "the body is still to be sent");
    nothing.bytes().await;
    let line = lines.take().concat();
    has(&line, &["status=404", "end=\"complete\""]);
    assert!(!line.contains("route="), "{line}");

    client.get("/fails").send().await.bytes().await;
    has(&lines.take().concat(), &["status=409", "end=\"complete\""]);

    client.get("/two").send().await.events().await;
    has(&lines.take().concat(), &["status=200 bytes=18", "end=\"complete\""]);

    let mut events = client.get("/events").send().await;
    assert!(events.next_event().await.is_some());
    assert!(lines.take().is_empty(), "the stream has not ended");
    hands.advance(millis(1500));
    drop(events);
    has(&lines.take().concat(), &["status=200 bytes=9 duration_ms=1500.0 end=\"left\""]);

    // A server asks for no more than the length that was announced.
    let mut body = client.get("/told").send().await;
    assert_eq!(body.chunk().await.unwrap(), "ab");
    assert_eq!(body.chunk().await.unwrap(), "cd");
    has(&lines.take().concat(), &["status=200 bytes=4", "end=\"complete\""]);
    drop(body);
    assert!(lines.take().is_empty(), "an end is told once");

    let mut body = client.get("/breaks").send().await;
    assert_eq!(body.chunk().await.unwrap(), "a");
    let broken = tokio::spawn(async move { body.chunk().await });
    assert!(broken.await.is_err());
    has(&lines.take().concat(), &["status=200 bytes=1", "end=\"failed\""]);
}
