//! Components that are made at start-up, hooks, and catchers.

use ember::prelude::*;
use ember::testing::TestClient;
use std::sync::{Arc, Mutex};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

mod whole {
    use super::Log;
    use ember::prelude::*;

    pub struct Database(pub String);
    #[derive(Clone)]
    pub struct Config(String);
    pub struct Pool(pub String);

    // It stands before what it needs.
    #[component(teardown = close)]
    async fn pool(config: Config, log: Component<Log>) -> Result<Pool> {
        tokio::task::yield_now().await;
        log.add("make pool");
        Ok(Pool(config.0))
    }

    async fn close(pool: Component<Pool>) {
        let _ = &pool.0.0;
        CLOSED.lock().unwrap().push("pool");
    }

    pub static CLOSED: std::sync::Mutex<Vec<&str>> = std::sync::Mutex::new(Vec::new());

    #[component]
    fn config(env: ember::Env, log: Log) -> Config {
        log.add("make config");
        Config(env.var("URL").unwrap_or_else(|| "memory".into()))
    }

    #[component(teardown = close_database)]
    async fn database(pool: Component<Pool>, log: Log) -> Result<Database> {
        log.add("make database");
        Ok(Database(pool.0.0.clone()))
    }

    async fn close_database(database: Component<Database>) -> Result {
        let _ = &database.0.0;
        CLOSED.lock().unwrap().push("database");
        Ok(())
    }

    #[hook(before_server_start)]
    async fn before_start(log: Log, database: Component<Database>) -> Result {
        log.add(format!("before start: {}", database.0.0));
        Ok(())
    }

    #[hook(after_server_start)]
    async fn after_start(log: Log) {
        log.add("after start");
    }

    #[hook(before_server_stop)]
    async fn before_stop(log: Log) {
        log.add("before stop");
    }

    #[hook(after_server_stop)]
    async fn after_stop(log: Log) -> Result {
        log.add("after stop");
        Ok(())
    }

    #[get("/url")]
    async fn url(database: Component<Database>) -> String {
        database.0.0.clone()
    }

    pub fn app(log: &Log) -> Ember {
        ember::app!().component(log.clone()).env(ember::Env::of([("URL", "db://x")]))
    }
}

const WHOLE_LIFE: [&str; 7] = [
    "make config",
    "make pool",
    "make database",
    "before start: db://x",
    "after start",
    "before stop",
    "after stop",
];

#[tokio::test]
async fn a_whole_life_without_a_server() {
    let log = Log::default();
    let client = TestClient::start(whole::app(&log)).await.unwrap();
    assert_eq!(client.get("/url").send().await.text().await, "db://x");
    client.stop().await;
    assert_eq!(log.all(), WHOLE_LIFE);
    assert_eq!(whole::CLOSED.lock().unwrap()[..2], ["database", "pool"]);
}

#[test]
fn a_whole_life_with_a_server() {
    let log = Log::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let running = whole::app(&log).workers(1).serve(listener).unwrap();
    assert_eq!(log.all(), WHOLE_LIFE[..5]);
    let stop = running.stop();
    stop.gracefully();
    running.join();
    assert_eq!(log.all(), WHOLE_LIFE);
}

#[tokio::test]
async fn a_test_replaces_a_component() {
    let log = Log::default();
    let app = whole::app(&log).override_component(whole::Database("fake".into()));
    let client = TestClient::start(app).await.unwrap();
    assert_eq!(client.get("/url").send().await.text().await, "fake");
    assert!(!log.all().contains(&"make database".to_owned()));
}

#[tokio::test]
async fn what_was_not_started_says_so() {
    let ready = whole::app(&Log::default()).build().unwrap();
    assert_eq!(TestClient::new(ready).get("/url").send().await.status(), 500);
}

mod failing {
    use ember::prelude::*;

    pub static UNDONE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    struct First;
    struct Second;

    #[component(teardown = undo)]
    fn first() -> First {
        First
    }

    async fn undo(_: Component<First>) {
        UNDONE.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    #[component]
    async fn second(_first: Component<First>) -> Result<Second> {
        Err(Error::unavailable("the database is away"))
    }

    pub fn app() -> Ember {
        ember::app!()
    }
}

#[tokio::test]
async fn a_component_that_fails_is_named_and_the_others_are_taken_down() {
    let error = TestClient::start(failing::app()).await.unwrap_err().to_string();
    assert!(error.contains("`second`") && error.contains("lifecycle.rs"), "{error}");
    assert!(error.contains("the database is away"), "{error}");
    assert_eq!(failing::UNDONE.load(std::sync::atomic::Ordering::SeqCst), 1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = failing::app().serve(listener).unwrap_err().to_string();
    assert!(error.contains("the database is away"), "{error}");
}

mod wrong {
    use ember::prelude::*;

    struct A;
    struct B;
    struct C;
    struct Nobodys;

    #[component]
    fn a(_b: Component<B>) -> A {
        A
    }

    #[component]
    fn b(_c: Component<C>) -> B {
        B
    }

    #[component]
    fn c(_a: Component<A>) -> C {
        C
    }

    #[component]
    fn again(_n: Component<Nobodys>) -> A {
        A
    }

    #[hook(after_server_start)]
    async fn needy(_n: Component<Nobodys>) {}

    #[catch(404)]
    async fn one(_error: &Error) -> &'static str {
        "1"
    }

    #[catch(404)]
    async fn two(_error: &Error) -> &'static str {
        "2"
    }

    #[get("/")]
    async fn index(_a: Component<Nobodys>) {}

    pub fn app() -> Ember {
        ember::app!()
    }
}

#[test]
fn what_cannot_be_made_is_found_at_the_start() {
    let text = wrong::app().build().unwrap_err().to_string();
    for part in [
        "components need each other in a circle",
        "2 items claim the component",
        "a hook needs a `it::lifecycle::wrong::Nobodys`",
        "no component of type `it::lifecycle::wrong::Nobodys` is provided",
        "two catchers answer for errors of status 404",
        "`needy` (",
        "`index` (",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

mod around {
    use ember::prelude::*;

    #[hook(before_endpoint)]
    async fn gate(headers: HeaderMap) -> Result<Option<(StatusCode, &'static str)>> {
        match headers.get("x-gate").map(HeaderValue::as_bytes) {
            Some(b"answer") => Ok(Some((StatusCode::ACCEPTED, "from the hook"))),
            Some(b"error") => Err(Error::conflict("from the hook")),
            _ => Ok(None),
        }
    }

    #[hook(after_endpoint)]
    async fn stamp(mut response: Response, uri: Uri) -> Response {
        let path = HeaderValue::try_from(uri.path()).unwrap();
        response.headers_mut().append("x-after", path);
        response
    }

    #[catch(404)]
    async fn not_found(error: &Error, uri: Uri) -> String {
        format!("nothing at {}: {}", uri.path(), error.message())
    }

    #[catch(ErrorKind::Conflict)]
    async fn conflict(error: &Error) -> (StatusCode, String) {
        (StatusCode::IM_A_TEAPOT, error.message().to_owned())
    }

    #[get("/fine")]
    async fn fine() -> &'static str {
        "fine"
    }

    #[get("/panic")]
    async fn panics() -> &'static str {
        panic!("secret")
    }

    #[get("/own404")]
    async fn own() -> (StatusCode, &'static str) {
        (StatusCode::NOT_FOUND, "mine")
    }

    #[middleware]
    async fn refuses(_request: Request, _next: Next) -> Result<Response> {
        Err(Error::conflict("from the middleware"))
    }

    #[get("/refused", middleware = [refuses])]
    async fn refused() {}

    #[catch(405)]
    async fn wrong_method(error: &Error) -> String {
        error.message().to_owned()
    }

    #[get("/busy")]
    async fn busy(cookies: Cookies) -> Result<()> {
        cookies.set(Cookie::new("seen", "1"))?;
        Err(Error::conflict("busy").with_retry_after(secs(7)))
    }

    pub mod inside {
        use ember::prelude::*;

        blueprint! { prefix = "/inside" }

        #[catch]
        async fn anything(error: &Error) -> Html<String> {
            Html(format!("inside: {}", error.status()))
        }

        #[hook(after_endpoint)]
        async fn stamp(mut response: Response) -> Response {
            response.headers_mut().append("x-after", HeaderValue::from_static("inside"));
            response
        }

        #[get("/{id}")]
        async fn one(id: u8) -> String {
            id.to_string()
        }
    }

    pub fn client() -> ember::testing::TestClient {
        let app = ember::app!().middleware(super::header);
        ember::testing::TestClient::new(app.build().unwrap())
    }
}

/// What is outside sees what catchers have made.
async fn header(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-outside", HeaderValue::from_static("yes"));
    response
}

#[tokio::test]
async fn what_an_error_says_beside_its_body_stays_whoever_answers_it() {
    let client = around::client();
    let response = client.post("/fine").send().await;
    assert_eq!(
        (response.status().as_u16(), response.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    assert!(response.header("content-type").unwrap().starts_with("text/plain"));
    let response = client.get("/busy").send().await;
    assert_eq!((response.status().as_u16(), response.header("retry-after")), (418, Some("7")));
    assert!(response.header("set-cookie").unwrap().starts_with("seen=1"));
}

#[tokio::test]
async fn hooks_run_around_endpoints() {
    let client = around::client();
    let response = client.get("/fine").send().await;
    assert_eq!(response.header("x-after"), Some("/fine"));
    assert_eq!(response.text().await, "fine");
    let response = client.get("/fine").header("x-gate", "answer").send().await;
    assert_eq!((response.status().as_u16(), response.header("x-after")), (202, Some("/fine")));
    assert_eq!(response.text().await, "from the hook");
    let response = client.get("/fine").header("x-gate", "error").send().await;
    assert_eq!(response.status(), 418);
    let response = client.get("/inside/7").send().await;
    let stamps: Vec<_> = response.headers().get_all("x-after").iter().collect();
    assert_eq!(stamps, ["inside", "/inside/7"]);
}

#[tokio::test]
async fn catchers_answer_for_errors() {
    let client = around::client();
    let response = client.get("/nowhere").send().await;
    assert_eq!((response.status().as_u16(), response.header("x-outside")), (404, Some("yes")));
    assert_eq!(response.text().await, "nothing at /nowhere: Nothing was found at this address.");
    let response = client.get("/own404").send().await;
    assert_eq!(response.text().await, "mine", "a response that was made is no error");
    let response = client.get("/refused").send().await;
    assert_eq!((response.status().as_u16(), response.header("x-outside")), (418, Some("yes")));
    let response = client.get("/panic").send().await;
    assert_eq!(response.status(), 500);
    assert!(!response.text().await.contains("secret"));
    assert_eq!(client.post("/fine").send().await.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn the_innermost_catcher_answers() {
    let client = around::client();
    let response = client.get("/inside/x").send().await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.text().await, "inside: 400 Bad Request");
    let response = client.get("/inside/nowhere/else").send().await;
    assert_eq!(response.text().await, "inside: 404 Not Found");
}

/// The attribute runs what it stands on, and fails when that fails.
#[ember::test]
#[should_panic(expected = "reached")]
async fn a_test_needs_no_other_dependency() {
    let client = TestClient::start(whole::app(&Log::default())).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(client.get("/url").send().await.status(), 200);
    panic!("reached")
}
