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

mod shop {
    use ember::prelude::*;
    use ember::web::middleware::{BearerAuth, Cors};

    blueprint! {
        prefix = "/shop/{tenant}",
        middleware = [Cors::new().origins([super::PAGE]), tenant, BearerAuth::new(|_| None)],
    }

    /// A preflight request is told by the `Cors` outside of it.
    async fn tenant(request: Request, next: Next) -> Result<Response> {
        let tenant = request.param("tenant")?.map(std::borrow::Cow::into_owned);
        let mut response = next.run(request).await;
        let tenant = HeaderValue::try_from(tenant.as_deref().unwrap_or("none"))?;
        response.headers_mut().insert("x-tenant", tenant);
        Ok(response)
    }

    #[put("/tasks")]
    async fn change() {}

    #[catch(401)]
    async fn who(_error: &Error) -> &'static str {
        "who are you?"
    }
}

#[get("/shop/{tenant}/tasks")]
async fn public(tenant: String) -> String {
    tenant
}

#[post("/single", middleware = [Cors::new().any_origin()])]
async fn single() {}

#[tokio::test]
async fn preflight_requests_reach_what_stands_around_one_route() {
    let announce = async |client: &TestClient, target: &str, method: &str| {
        let request = client.options(target).header("origin", PAGE);
        let response = request.header("access-control-request-method", method).send().await;
        let allowed = response.header("access-control-allow-origin").map(str::to_owned);
        (response.status().as_u16(), allowed)
    };
    for app in [ember::app!(), ember::app!().layer(tower_layer::Identity::new())] {
        let client = TestClient::new(app.build().unwrap());
        let tasks = "/shop/acme/tasks";
        assert_eq!(announce(&client, tasks, "PUT").await, (204, Some(PAGE.to_owned())));
        assert_eq!(announce(&client, "/single", "POST").await, (204, Some("*".to_owned())));
        for (target, method, status) in [
            (tasks, "GET", 204),
            (tasks, "DELETE", 204),
            (tasks, "no method", 204),
            ("/single", "OPTIONS", 204),
            ("/nothing", "PUT", 404),
        ] {
            assert_eq!(
                announce(&client, target, method).await,
                (status, None),
                "{target} {method}"
            );
        }
        let refused = client.put(tasks).header("origin", PAGE).send().await;
        assert_eq!(refused.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!((refused.status().as_u16(), refused.header("x-tenant")), (401, Some("acme")));
        // Without the page's origin it is no preflight request, and goes on to what is within.
        let request = client.options(tasks).header("access-control-request-method", "PUT");
        let response = request.send().await;
        assert_eq!((response.status().as_u16(), response.header("x-tenant")), (401, Some("acme")));
        assert_eq!(response.text().await, "who are you?");
        let plain = client.options(tasks).send().await;
        assert_eq!(
            (plain.status().as_u16(), plain.header("allow")),
            (204, Some("GET, HEAD, OPTIONS, PUT"))
        );
    }
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
