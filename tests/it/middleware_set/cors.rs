use ember::http::{HeaderName, Method};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::middleware::{BearerAuth, Cors};

#[get("/tasks")]
async fn tasks() -> ([(&'static str, &'static str); 1], &'static str) {
    ([("vary", "accept-language")], "tasks")
}

#[options("/own")]
async fn own_options() -> &'static str {
    "own options"
}

fn client(cors: Cors) -> TestClient {
    TestClient::new(ember::app!().middleware(cors).build().unwrap())
}

const PAGE: &str = "https://app.example.com";

async fn preflight(client: &TestClient, target: &str, origin: &str) -> TestResponse {
    let request = client.options(target).header("origin", origin);
    let request = request.header("access-control-request-method", "PUT");
    request.header("access-control-request-headers", "x-a, content-type").send().await
}

fn vary(response: &TestResponse) -> String {
    let values = response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap());
    values.collect::<Vec<_>>().join(", ").to_lowercase()
}

#[tokio::test]
async fn a_simple_request_is_told_whether_its_page_may_read_it() {
    let cors =
        Cors::new().origins([PAGE]).credentials().expose([HeaderName::from_static("x-total")]);
    let client = client(cors);
    let response = client.get("/tasks").header("origin", PAGE).send().await;
    assert_eq!(response.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(response.header("access-control-expose-headers"), Some("x-total"));
    assert!(vary(&response).contains("accept-language") && vary(&response).contains("origin"));
    assert_eq!(response.text().await, "tasks");
    // Whoever asks, the answer depends on the origin, and a cache must know it.
    for origin in [Some("https://evil.example"), Some("https://app.example.com.evil.example"), None]
    {
        let request = client.get("/tasks");
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        let response = request.send().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.header("access-control-allow-origin"), None);
        assert!(vary(&response).contains("origin"));
    }
}

#[tokio::test]
async fn errors_can_be_read_by_the_page_too() {
    let auth = BearerAuth::new(|_| None);
    let app = ember::app!().middleware(Cors::new().origins([PAGE])).middleware(auth);
    let client = TestClient::new(app.build().unwrap());
    let refused = client.get("/tasks").header("origin", PAGE).send().await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some(PAGE));
    // The preflight request has no token, and needs none.
    assert_eq!(preflight(&client, "/tasks", PAGE).await.status(), 204);
}

#[tokio::test]
async fn preflight_requests_are_answered_for_routes_and_beside_them() {
    let client = client(Cors::new().origins([PAGE]).max_age(secs(600)));
    for target in ["/tasks", "/own", "/nothing"] {
        let response = preflight(&client, target, PAGE).await;
        assert_eq!(response.status(), 204);
        assert_eq!(response.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(response.header("access-control-max-age"), Some("600"));
        assert_eq!(response.header("access-control-allow-headers"), Some("x-a, content-type"));
        let methods = response.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("PUT") && !methods.contains("TRACE"), "{methods}");
        assert!(vary(&response).contains("access-control-request-headers"));
        assert!(response.bytes().await.is_empty());
    }
    let response = preflight(&client, "/tasks", "https://evil.example").await;
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn other_options_requests_reach_the_router() {
    let client = client(Cors::new().any_origin());
    let own = client.options("/own").header("origin", PAGE).send().await;
    assert_eq!(own.header("access-control-allow-origin"), Some("*"));
    assert_eq!(own.text().await, "own options");
    let allowed = client.options("/tasks").send().await;
    assert_eq!(allowed.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn methods_headers_and_origins_can_be_chosen() {
    let cors = Cors::new()
        .origins_where(|origin| origin.ends_with(".example.com"))
        .methods([Method::GET])
        .headers([HeaderName::from_static("x-b")]);
    let client = client(cors);
    let response = preflight(&client, "/tasks", PAGE).await;
    assert_eq!(response.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(response.header("access-control-allow-methods"), Some("GET"));
    assert_eq!(response.header("access-control-allow-headers"), Some("x-b"));
    let other = preflight(&client, "/tasks", "https://example.org").await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[test]
fn what_browsers_refuse_keeps_the_application_from_starting() {
    for (cors, reason) in [
        (Cors::new().any_origin().credentials(), "cannot allow credentials to any origin"),
        (Cors::new(), "allows no origin"),
        (Cors::new().origins(["*"]).credentials(), "cannot allow the origin `*`"),
        (Cors::new().origins(["https://app.example.com/"]), "without a slash at its end"),
    ] {
        let error = Ember::new().middleware(cors).build().unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
