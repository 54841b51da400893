//! Caches: what is kept, for whom, and how often the handler runs.

use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::Route;
use ember::web::cache::{CacheEngine as _, CachedResponse};
use ember::web::middleware::StaticFiles;
use ember_tests::gated::{Gated, all, ask_often, settle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// An application with one route, whose handler counts its runs.
struct Counted {
    client: TestClient,
    runs: Arc<AtomicU32>,
}

impl Counted {
    /// The answer is the number of the run, with these headers.
    fn new(
        cache: impl Into<ember::web::cache::Cache>,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let runs = Arc::new(AtomicU32::new(0));
        let counter = runs.clone();
        let headers = headers.to_vec();
        let handler = async move || {
            let run = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let mut response = run.to_string().into_response();
            for (name, value) in &headers {
                response.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            response
        };
        let route = Route::new([Method::GET, Method::HEAD], "/{*path}", move || {
            let handler = handler.clone();
            async move { handler().await }
        });
        let ready =
            Ember::new().middleware(authenticate).route(route.cache(cache)).build().unwrap();
        Self { client: TestClient::new(ready), runs }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let mut request = self.client.get(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.text().await
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

/// Middleware that knows its callers by a key, as the framework knows nothing of.
async fn authenticate(mut request: Request, next: Next) -> Response {
    if let Some(key) = request.header("x-api-key").map(str::to_owned) {
        request.extensions_mut().insert(Principal::new(key));
    }
    next.run(request).await
}

fn ttl() -> TtlCache {
    TtlCache::new(secs(600))
}

#[tokio::test]
async fn the_query_and_the_host_are_part_of_the_key() {
    let app = Counted::new(ttl(), &[]);
    assert_eq!(app.get("/a?x=1", &[]).await, "1");
    assert_eq!(app.get("/a?x=2", &[]).await, "2");
    assert_eq!(app.get("/a?x=1", &[]).await, "1");
    assert_eq!(app.get("/a?x=1", &[("host", "tenant")]).await, "3");
}

#[tokio::test]
async fn what_belongs_to_somebody_is_not_shared() {
    for (name, value) in [("x-api-key", "alice"), ("authorization", "Bearer x"), ("cookie", "a=b")]
    {
        let app = Counted::new(ttl(), &[]);
        assert_eq!(app.get("/a", &[(name, value)]).await, "1");
        assert_eq!(app.get("/a", &[(name, value)]).await, "2", "{name}");
        assert_eq!(app.get("/a", &[]).await, "3");
        assert_eq!(app.get("/a", &[(name, value)]).await, "4", "{name}");
    }
}

#[tokio::test]
async fn a_key_may_say_whose_an_answer_is() {
    let cache = ttl()
        .key(|parts| Some(format!("{} {}", parts.extensions().get::<Principal>()?, parts.path())));
    let app = Counted::new(cache, &[]);
    assert_eq!(app.get("/a", &[("x-api-key", "alice")]).await, "1");
    assert_eq!(app.get("/a", &[("x-api-key", "bob")]).await, "2");
    assert_eq!(app.get("/a", &[("x-api-key", "alice")]).await, "1");
    assert_eq!(app.get("/a", &[]).await, "3");
    assert_eq!(app.get("/a", &[]).await, "4", "without a key nothing is kept");
}

#[tokio::test]
async fn answers_differ_by_the_headers_that_are_said() {
    let app = Counted::new(
        ttl().vary([ember::http::header::ACCEPT_LANGUAGE]),
        &[("vary", "accept-language")],
    );
    assert_eq!(app.get("/a", &[("accept-language", "de")]).await, "1");
    assert_eq!(app.get("/a", &[("accept-language", "fr")]).await, "2");
    assert_eq!(app.get("/a", &[("accept-language", "de")]).await, "1");
    let app = Counted::new(ttl(), &[("vary", "accept-language")]);
    app.get("/a", &[]).await;
    assert_eq!(app.get("/a", &[]).await, "2", "what varies otherwise is not kept");
}

#[tokio::test]
async fn cookies_and_refusals_are_not_kept() {
    for header in [("set-cookie", "a=b"), ("cache-control", "no-store")] {
        let app = Counted::new(ttl(), &[header]);
        app.get("/a", &[]).await;
        assert_eq!(app.get("/a", &[]).await, "2", "{header:?}");
    }
    let app = Counted::new(ttl(), &[]);
    app.get("/a", &[("range", "bytes=0-0")]).await;
    assert_eq!(app.get("/a", &[]).await, "2");
}

/// The answer to a GET with this body.
async fn search(client: TestClient, body: &'static str) -> String {
    client.get("/search").body(body).send().await.text().await
}

#[tokio::test]
async fn a_request_with_a_body_goes_past_the_cache() {
    async fn handler(body: String) -> String {
        tokio::task::yield_now().await;
        format!("found {body}")
    }
    let own = |_: &ember::web::RequestParts| Some("search".to_owned());
    let caches: [ember::web::cache::Cache; 3] =
        [ttl().into(), ttl().key(own).into(), StaticCache::new().into()];
    for cache in caches {
        let route = Route::get("/search", handler).cache(cache);
        let client = TestClient::new(Ember::new().route(route).build().unwrap());
        for _ in 0..2 {
            for body in ["a", "b", ""] {
                assert_eq!(search(client.clone(), body).await, format!("found {body}"));
            }
        }
        let (a, b) = tokio::join!(search(client.clone(), "a"), search(client.clone(), "b"));
        assert_eq!((a.as_str(), b.as_str()), ("found a", "found b"), "nobody waits for another");
        let streamed = Body::stream(futures_util::stream::iter([Ok::<_, std::io::Error>("c")]));
        let answer = client.get("/search").body(streamed).send().await.text().await;
        assert_eq!(answer, "found c");
    }
}

#[tokio::test]
async fn head_is_answered_from_a_kept_get_and_keeps_nothing_itself() {
    let app = Counted::new(ttl(), &[]);
    let head = app.client.head("/a").send().await;
    assert_eq!(head.text().await, "");
    assert_eq!(app.get("/a", &[]).await, "2");
    let head = app.client.head("/a").send().await;
    assert_eq!((head.header("content-length"), app.runs()), (Some("1"), 2));
}

#[tokio::test]
async fn a_handler_forgets_what_has_changed() {
    let cache = ttl();
    let app = Counted::new(cache.clone(), &[]);
    for path in ["/tasks/1", "/tasks/2", "/users"] {
        app.get(path, &[]).await;
    }
    cache.invalidate("/tasks/1").await;
    assert_eq!(app.get("/tasks/1", &[]).await, "4");
    assert_eq!(app.get("/tasks/2", &[]).await, "2");
    cache.invalidate_prefix("/tasks").await;
    assert_eq!(app.get("/tasks/2", &[]).await, "5");
    assert_eq!(app.get("/users", &[]).await, "3");
}

#[tokio::test]
async fn a_hundred_misses_run_the_handler_once() {
    let gated = Gated::new();
    let client = gated.app(ttl(), || "first".into_response());
    let asking = ask_often(&client, 100);
    gated.wait_for_runs(1).await;
    settle().await;
    gated.let_go(1000);
    assert!(all(asking).await.iter().all(|answer| answer == "first"));
    assert_eq!(gated.runs(), 1);
}

#[tokio::test]
async fn a_leader_that_goes_away_frees_the_others() {
    let gated = Gated::new();
    let client = gated.app(ttl(), || "first".into_response());
    let leader = tokio::spawn(client.get("/").send());
    gated.wait_for_runs(1).await;
    let asking = ask_often(&client, 100);
    settle().await;
    leader.abort();
    gated.let_go(1000);
    assert!(all(asking).await.iter().all(|answer| answer == "2"));
    assert_eq!(gated.runs(), 2);
}

#[tokio::test]
async fn an_answer_that_is_not_kept_is_not_shared() {
    let gated = Gated::new();
    let client = gated.app(ttl(), || Error::unavailable("later").into_response());
    let asking = ask_often(&client, 100);
    gated.wait_for_runs(1).await;
    gated.let_go(1000);
    let answers = all(asking).await;
    assert_eq!(answers.iter().filter(|answer| answer.contains("later")).count(), 1);
}

#[tokio::test]
async fn a_leader_that_panics_frees_the_others() {
    let gated = Gated::new();
    let client = gated.app(ttl(), || panic!("in the handler"));
    let asking = ask_often(&client, 100);
    gated.wait_for_runs(1).await;
    gated.let_go(1000);
    let answers = all(asking).await;
    assert_eq!(answers.iter().filter(|answer| answer.contains("500")).count(), 1);
}

#[tokio::test]
async fn a_static_answer_comes_before_everything() {
    let cache = StaticCache::new();
    let app = Counted::new(cache.clone(), &[("x-own", "a"), ("x-own", "b")]);
    assert_eq!(app.get("/a", &[("authorization", "Bearer x")]).await, "1");
    assert_eq!(app.get("/a", &[]).await, "2", "the first that is for everybody is kept");
    assert_eq!(app.get("/a", &[]).await, "2");
    let response = app.client.get("/a").send().await;
    let own: Vec<_> = response.headers().get_all("x-own").iter().collect();
    assert_eq!(own, ["a", "b"]);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    let head = app.client.head("/a").send().await;
    assert_eq!(head.header("content-length"), Some("1"));
    assert_eq!(app.get("/a", &[("cookie", "a=b")]).await, "3");
    cache.invalidate("/a");
    assert_eq!(app.get("/a", &[]).await, "4");
    cache.clear();
    assert_eq!(app.get("/a", &[]).await, "5");
}

#[tokio::test]
async fn a_static_cache_is_bounded() {
    let app = Counted::new(StaticCache::new().max_entries(1), &[]);
    assert_eq!(app.get("/a", &[]).await, "1");
    assert_eq!(app.get("/b", &[]).await, "2");
    assert_eq!(app.get("/b", &[]).await, "3");
    assert_eq!(app.get("/a", &[]).await, "1");
}

#[test]
fn a_static_hit_allocates_nothing() {
    let app = Counted::new(StaticCache::new(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(app.get("/a", &[]));
    let site = app.client.app().site().clone();
    // The headers of a request have room for those of a response.
    let request = ember::http::Request::get("/a").header("accept", "*/*").body(Body::empty());
    let (request, mut answer) = (request.unwrap(), None);
    let counted = allocation_counter::measure(|| answer = Some(site.answer(request, None)));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let response = runtime.block_on(answer.unwrap());
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(app.runs(), 1);
}

#[test]
fn a_cache_that_can_never_be_asked_is_found_at_the_start() {
    let route = Route::post("/", async || "never kept").cache(ttl());
    let inner = Route::post("/inner", async || "never kept").cache(ttl());
    let group = Blueprint::new("/group").with(|options| {
        options.cache(ttl());
    });
    // What is set for all of a group is for those that can be asked.
    let group = group.route(inner).route(Route::post("/other", async || "not meant to be kept"));
    let mounted = Route::mount("/mounted", StaticFiles::new(".")).cache(ttl());
    let app = Ember::new().route(route).blueprint(group).route(mounted);
    let error = app.build().unwrap_err();
    assert_eq!(error.findings().len(), 2, "{error}");
    for finding in error.findings() {
        assert!(finding.message.contains("answers neither to GET nor to HEAD"), "{error}");
    }
}

#[tokio::test]
async fn an_engine_of_ones_own_keeps_answers() {
    #[derive(Default)]
    struct One(std::sync::Mutex<Option<(String, CachedResponse)>>);

    impl ember::web::cache::CacheEngine for One {
        async fn get(&self, key: &str) -> Option<CachedResponse> {
            let kept = self.0.lock().unwrap();
            kept.as_ref().filter(|(known, _)| known == key).map(|(_, response)| response.clone())
        }

        async fn put(&self, key: &str, response: CachedResponse) {
            assert_eq!(response.status(), 200);
            let copy = CachedResponse::new(
                response.status(),
                response.headers().clone(),
                response.body().clone(),
            );
            *self.0.lock().unwrap() = Some((key.to_owned(), copy));
        }

        async fn invalidate_prefix(&self, prefix: &str) {
            self.0.lock().unwrap().take_if(|(key, _)| key.starts_with(prefix));
        }
    }

    let app = Counted::new(One::default(), &[]);
    assert_eq!((app.get("/a", &[]).await, app.get("/a", &[]).await), ("1".into(), "1".into()));
}
