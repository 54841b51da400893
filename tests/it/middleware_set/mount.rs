//! Applications of axum in Ember, and the other way round.

use axum::extract::Query;
use axum::routing;
use ember::http::Request;
use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::cache::{Cache, StoreCache};
use ember::web::{OriginalUri, Route};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tower_service::Service as _;

#[get("/api/own")]
async fn own() -> &'static str {
    "own"
}

#[get("/")]
async fn home() -> &'static str {
    "home"
}

fn axum_app() -> axum::Router {
    axum::Router::new()
        .route("/", routing::get(|| async { "axum's root" }))
        .route("/own", routing::get(|| async { "hidden" }))
        .route(
            "/hello/{name}",
            routing::get(|axum::extract::Path(name): axum::extract::Path<String>| async move {
                format!("Hello, {name}")
            }),
        )
        .route(
            "/echo",
            routing::post(
                |Query(query): Query<HashMap<String, String>>, body: String| async move {
                    format!("{} {body}", query["q"])
                },
            ),
        )
        .route(
            "/panics",
            routing::get(|| async {
                if true {
                    panic!("in axum")
                }
            }),
        )
}

#[tokio::test]
async fn an_application_of_axum_answers_below_its_prefix() {
    let app = ember::app!().mount("/api", axum_app()).build().unwrap();
    assert!(app.route_table().contains("*    /api/{*rest}  mount"), "{}", app.route_table());
    let client = TestClient::new(app);
    for (target, text) in [
        ("/", "home"),
        ("/api", "axum's root"),
        ("/api/", "axum's root"),
        ("/api/hello/Ada", "Hello, Ada"),
        ("/api/hello/a%2Fb", "Hello, a/b"),
        ("/api/own", "own"),
    ] {
        let response = client.get(target).send().await;
        assert_eq!(
            (response.status().as_u16(), response.text().await.as_str()),
            (200, text),
            "{target}"
        );
    }
    let response = client.post("/api/echo?q=x%20y").body("body").send().await;
    assert_eq!(response.text().await, "x y body");
    assert_eq!(client.get("/apis").send().await.status(), 404);
    assert_eq!(client.get("/api/nothing").send().await.status(), 404);
    assert_eq!(client.delete("/api/echo").send().await.status(), 405);
    assert_eq!(client.get("/api/panics").send().await.status(), 500);
    let head = client.head("/api/hello/Ada").send().await;
    assert_eq!((head.status().as_u16(), head.header("content-length")), (200, Some("10")));
}

#[tokio::test]
async fn a_mount_at_the_root_takes_what_is_left() {
    let app = ember::app!().mount("/", axum_app()).build().unwrap();
    let client = TestClient::new(app);
    assert_eq!(client.get("/").send().await.text().await, "home");
    assert_eq!(client.get("/api/own").send().await.text().await, "own");
    assert_eq!(client.get("/hello/x").send().await.text().await, "Hello, x");
    // A method that the route of the path does not have is the mount's.
    assert_eq!(client.post("/").send().await.status(), 405);
}

#[tokio::test]
async fn a_prefix_may_have_parameters() {
    let service = tower::service_fn(|request: Request<Body>| async move {
        let OriginalUri(original) = request.extensions().get().cloned().unwrap();
        let request = ember::Request::from(request);
        let tenant = request.param("tenant").unwrap().unwrap().into_owned();
        Ok::<_, Infallible>(Response::new(Body::from(format!(
            "{tenant} {} {original}",
            request.uri()
        ))))
    });
    let app = Ember::new().mount("/t/{tenant}/files/", service).build().unwrap();
    let client = TestClient::new(app);
    let text = client.get("/t/acme/files/a/b?c=d").send().await.text().await;
    assert_eq!(text, "acme /a/b?c=d /t/acme/files/a/b?c=d");
    assert_eq!(client.get("/t/acme/files").send().await.text().await, "acme / /t/acme/files");
}

#[tokio::test]
async fn two_mounts_of_one_prefix_are_found_at_the_start() {
    let error = Ember::new().mount("/a", axum_app()).mount("/a/", axum_app()).build().unwrap_err();
    assert!(error.to_string().contains("two services are mounted at /a/{*}"), "{error}");
    let with_slash = Ember::new()
        .trailing_slash(ember::TrailingSlash::Clone)
        .route(Route::get("/a", || async { "route" }))
        .mount("/a", axum_app());
    let client = TestClient::new(with_slash.build().unwrap());
    assert_eq!(client.get("/a").send().await.text().await, "route");
    assert_eq!(client.get("/a/hello/x").send().await.text().await, "Hello, x");
}

#[tokio::test]
async fn a_service_that_fails_is_a_500() {
    let service = tower::service_fn(|_: Request<Body>| async {
        Err::<Response, _>(std::io::Error::other("the disk of host-17"))
    });
    let client = TestClient::new(Ember::new().mount("/a", service).build().unwrap());
    let response = client.get("/a/b").send().await;
    assert_eq!(response.status(), 500);
    assert!(!response.text().await.contains("host-17"));
}

#[tokio::test]
async fn ember_answers_within_an_application_of_axum() {
    let ready = ember::app!().build().unwrap();
    let mut axum = axum::Router::new()
        .route("/axum", routing::get(|| async { "axum" }))
        .nest_service("/ember", ready.clone())
        .fallback_service(ready);
    for (target, status, text) in [
        ("/axum", 200, "axum"),
        ("/ember/api/own", 200, "own"),
        ("/ember", 200, "home"),
        ("/api/own", 200, "own"),
        ("/ember/nothing", 404, ""),
    ] {
        let request = Request::get(target).body(axum::body::Body::empty()).unwrap();
        let response = axum.call(request).await.unwrap();
        assert_eq!(response.status(), status, "{target}");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(status != 200 || body == text, "{target}");
    }
}

/// Whose data a request is for, as an outer application has found out.
#[derive(Clone)]
struct Tenant(String);

async fn tenant(mut request: ember::Request, next: Next) -> Response {
    let tenant = request.param("tenant").unwrap().map(|tenant| Tenant(tenant.into_owned()));
    request.extensions_mut().insert(tenant.unwrap());
    next.run(request).await
}

#[tokio::test]
async fn a_cache_keeps_apart_what_is_mounted_in_several_places() {
    let store = ember::store::MemoryStore::new();
    let own = |parts: &ember::web::RequestParts| Some(parts.path().to_owned());
    let caches: [Cache; 4] = [
        TtlCache::new(secs(600)).into(),
        TtlCache::new(secs(600)).key(own).into(),
        StoreCache::new(store, secs(600)).into(),
        StaticCache::new().into(),
    ];
    for cache in caches {
        let runs = Arc::new(AtomicU32::new(0));
        let counter = runs.clone();
        let items = async move |Extension(Tenant(tenant)): Extension<Tenant>| {
            counter.fetch_add(1, Ordering::SeqCst);
            tenant
        };
        let handler = move |tenant| {
            let items = items.clone();
            async move { items(tenant).await }
        };
        let inner = Ember::new().route(Route::get("/items", handler).cache(cache)).build().unwrap();
        let mount = Route::mount("/t/{tenant}", inner).middleware(tenant);
        let client = TestClient::new(Ember::new().route(mount).build().unwrap());
        for _ in 0..2 {
            for tenant in ["acme", "globex"] {
                let target = format!("/t/{tenant}/items");
                assert_eq!(client.get(&target).send().await.text().await, tenant);
            }
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2, "each is kept");
    }
}

#[tokio::test]
async fn redirects_lead_back_to_where_an_application_is_mounted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/index.html"), "sub").unwrap();
    let inner = Ember::new()
        .trailing_slash(ember::TrailingSlash::Redirect)
        .route(Route::get("/items", || async { "items" }))
        .files("/static", folder.path())
        .build()
        .unwrap();
    let middle = Ember::new().mount("/b", inner.clone()).build().unwrap();
    let outer = Ember::new().mount("/b", inner).mount("/a", middle.clone());
    let client = TestClient::new(outer.mount("/{any}/x", middle).build().unwrap());
    for (target, expected) in [
        ("/b/items/", "/b/items"),
        ("/b/items/?a=1", "/b/items?a=1"),
        ("/a/b/items/", "/a/b/items"),
        ("/b/static/sub", "/b/static/sub/"),
        ("/a/b/static/sub?a=1", "/a/b/static/sub/?a=1"),
    ] {
        let response = client.get(target).send().await;
        assert_eq!(response.header("location"), Some(expected), "{target}");
        let expected = client.get(expected).send().await;
        assert_eq!(expected.status(), 200, "{target}");
    }
    // Browsers would read it as the address of another host.
    assert_eq!(client.get("/\\evil.example/x/b/items/").send().await.status(), 404);
}

#[tokio::test]
async fn ember_within_ember_knows_the_address_of_the_client() {
    let peer = |address: Option<std::net::SocketAddr>| async move { format!("{address:?}") };
    let inner = Ember::new().route(Route::get("/peer", peer)).build().unwrap();
    let outer = Ember::new().mount("/in", inner).build().unwrap();
    let request = Request::get("/in/peer").body(Body::empty()).unwrap();
    let response = outer.site().answer(request, Some("192.0.2.1:9".parse().unwrap())).await;
    assert_eq!(response.into_body().collect().await.unwrap(), "Some(192.0.2.1:9)");
}
