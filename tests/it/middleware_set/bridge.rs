//! Layers of tower around the routes.

use ember::http::{HeaderName, HeaderValue, Uri};
use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::middleware::TowerLayer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_service::Service;

#[get("/tasks/{id}")]
async fn task(id: u32, peer: Option<SocketAddr>, uri: Uri) -> String {
    format!("{id} {peer:?} {}", uri.path())
}

#[get("/fails")]
async fn fails() -> ember::Result<String> {
    Err(Error::conflict("That is taken."))
}

#[get("/waits")]
async fn waits() -> &'static str {
    std::future::pending().await
}

/// Changes the response from within an extractor.
struct Cookie;

impl FromRequestParts for Cookie {
    async fn from_request_parts(parts: &mut ember::web::RequestParts) -> ember::Result<Self> {
        parts.on_response(|response| {
            response.headers_mut().insert("x-cookie", HeaderValue::from_static("set"));
        });
        Ok(Self)
    }

    fn describe(operation: &mut ember::web::Operation) {
        operation.touches_response();
    }
}

#[get("/cookie")]
async fn cookie(_cookie: Cookie) -> &'static str {
    "cookie"
}

fn stamp() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(
        HeaderName::from_static("x-layer"),
        HeaderValue::from_static("seen"),
    )
}

#[tokio::test]
async fn what_the_application_knows_survives_the_trip() {
    let app = ember::app!().layer(stamp()).layer(tower_layer::Identity::new()).build().unwrap();
    let request = ember::http::Request::get("/tasks/7").body(Body::empty()).unwrap();
    let peer: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let response = app.site().answer(request, Some(peer)).await;
    assert_eq!(response.headers()["x-layer"], "seen");
    assert_eq!(response.into_body().collect().await.unwrap(), "7 Some(192.0.2.1:9) /tasks/7");
    let client = TestClient::new(app);
    let response = client.get("/cookie").send().await;
    assert_eq!(
        (response.header("x-cookie"), response.header("x-layer")),
        (Some("set"), Some("seen"))
    );
    for (target, status) in [("/nothing", 404), ("/fails", 409)] {
        let response = client.get(target).send().await;
        assert_eq!(
            (response.status().as_u16(), response.header("x-layer")),
            (status, Some("seen"))
        );
    }
}

#[tokio::test]
async fn a_changed_target_changes_no_parameter() {
    let rewrite = MapRequestLayer::new(|mut request: ember::http::Request<Body>| {
        *request.uri_mut() = Uri::from_static("/x");
        request
    });
    let client = TestClient::new(ember::app!().layer(rewrite).build().unwrap());
    let text = client.get("/tasks/12345").send().await.text().await;
    assert_eq!(text, "12345 None /x");
}

#[tokio::test]
async fn a_layer_that_loses_the_extensions_is_told_so() {
    let lose = MapRequestLayer::new(|request: ember::http::Request<Body>| {
        ember::http::Request::new(request.into_body())
    });
    let client = TestClient::new(ember::app!().layer(lose).build().unwrap());
    assert_eq!(client.get("/tasks/1").send().await.status(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_layers_time_out_is_answered() {
    let layer = || TimeoutLayer::new(Duration::from_secs(5));
    let client = TestClient::new(ember::app!().layer(layer()).build().unwrap());
    let response = client.get("/waits").send().await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let chosen = TowerLayer::new(layer()).on_error(|error| {
        assert!(error.is::<tower::timeout::error::Elapsed>());
        Error::new(ErrorKind::GatewayTimeout, "Too late.")
    });
    let client = TestClient::new(ember::app!().middleware(chosen).build().unwrap());
    assert_eq!(client.get("/waits").send().await.status(), 504);
    assert_eq!(client.get("/tasks/1").send().await.status(), 200);
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_not_called() {
    // Load is shed where `poll_ready` says that the limit is reached.
    let stack = tower::ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let shedding = ember::app!().layer(stack).build().unwrap();
    let client = TestClient::new(shedding);
    let first = tokio::spawn(client.get("/waits").send());
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(client.get("/tasks/1").send().await.status(), 503);
    first.abort();
    let _ = first.await;
    assert_eq!(client.get("/tasks/1").send().await.status(), 200);
}

/// Fails with an error of Ember's own.
#[derive(Clone)]
struct Picky<S>(S, Arc<AtomicU32>);

impl<S: Service<ember::http::Request<Body>, Response = Response>>
    Service<ember::http::Request<Body>> for Picky<S>
{
    type Response = Response;
    type Error = Error;
    type Future = std::future::Ready<Result<Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Err(Error::forbidden("Not today.")))
    }

    fn call(&mut self, _: ember::http::Request<Body>) -> Self::Future {
        unreachable!("it is not ready")
    }
}

#[tokio::test]
async fn an_error_of_our_own_keeps_its_status() {
    let polls = Arc::new(AtomicU32::new(0));
    let layer = tower_layer::layer_fn({
        let polls = polls.clone();
        move |service| Picky(service, polls.clone())
    });
    let client = TestClient::new(ember::app!().layer(layer).build().unwrap());
    assert_eq!(client.get("/tasks/1").send().await.status(), 403);
    assert_eq!(polls.load(Ordering::SeqCst), 1);
}
