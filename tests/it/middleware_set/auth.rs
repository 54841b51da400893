use ember::Principal;
use ember::http::HeaderName;
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::middleware::{ApiKeyAuth, BearerAuth};
use std::sync::atomic::{AtomicU32, Ordering};

#[get("/me")]
async fn me(principal: Principal) -> String {
    principal.id
}

#[get("/maybe")]
async fn maybe(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.id)
}

#[get("/public/info")]
async fn info() -> &'static str {
    "info"
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[get("/cached", cache = TtlCache::new(secs(600)))]
async fn cached(principal: Option<Principal>) -> String {
    RUNS.fetch_add(1, Ordering::SeqCst);
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.id)
}

fn client(middleware: impl Middleware) -> TestClient {
    TestClient::new(ember::app!().middleware(middleware).build().unwrap())
}

fn bearer() -> BearerAuth {
    BearerAuth::new(|token| token.strip_prefix("token-of-").map(Principal::new))
}

async fn get(client: &TestClient, target: &str, authorization: &str) -> TestResponse {
    client.get(target).header("authorization", authorization).send().await
}

#[track_caller]
fn refused(response: &TestResponse, status: u16, challenge: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.header("www-authenticate"), Some(challenge));
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn a_token_tells_who_asks() {
    let client = client(bearer());
    assert_eq!(get(&client, "/me", "Bearer token-of-ada").await.text().await, "ada");
    assert_eq!(get(&client, "/maybe", "bearer  token-of-bob").await.text().await, "bob");
}

#[tokio::test]
async fn refusals_are_those_of_rfc_6750() {
    let client = client(bearer().realm("tasks"));
    let none = client.get("/me").send().await;
    refused(&none, 401, r#"Bearer realm="tasks""#);
    refused(&get(&client, "/me", "Basic YTpi").await, 401, r#"Bearer realm="tasks""#);
    let invalid = r#"Bearer realm="tasks", error="invalid_token""#;
    refused(&get(&client, "/me", "Bearer other").await, 401, invalid);
    refused(&get(&client, "/nothing", "Bearer other").await, 401, invalid);
    let malformed = r#"Bearer realm="tasks", error="invalid_request""#;
    for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer \"a\""] {
        refused(&get(&client, "/me", value).await, 400, malformed);
    }
    let twice = client.get("/me").header("authorization", "Bearer token-of-ada");
    refused(&twice.header("authorization", "Bearer x").send().await, 400, malformed);
}

#[tokio::test]
async fn an_async_closure_may_forbid_and_fail() {
    let verify = |token: String| async move {
        tokio::task::yield_now().await;
        match token.as_str() {
            "ada" => Ok(Some(Principal::new("ada"))),
            "scope" => Err(Error::forbidden("This token may not do that.")),
            "down" => Err(Error::unavailable("Later.")),
            _ => Ok(None),
        }
    };
    let client = client(BearerAuth::verify_with(verify));
    assert_eq!(get(&client, "/me", "Bearer ada").await.text().await, "ada");
    let scope = r#"Bearer realm="api", error="insufficient_scope""#;
    refused(&get(&client, "/me", "Bearer scope").await, 403, scope);
    let invalid = r#"Bearer realm="api", error="invalid_token""#;
    refused(&get(&client, "/me", "Bearer other").await, 401, invalid);
    let down = get(&client, "/me", "Bearer down").await;
    assert_eq!((down.status().as_u16(), down.header("www-authenticate")), (503, None));
}

#[tokio::test]
async fn excluded_paths_need_no_token() {
    let client = client(bearer().exclude_paths(["/maybe", "/public/*"]));
    assert_eq!(client.get("/public/info").send().await.text().await, "info");
    assert_eq!(client.get("/maybe").send().await.text().await, "nobody");
    assert_eq!(client.get("/public/nothing").send().await.status(), 404);
    for target in ["/me", "/public", "/public/../me", "/public/%2e%2e/me", "/maybe/"] {
        assert_eq!(client.get(target).send().await.status(), 401, "{target}");
    }
}

#[tokio::test]
async fn where_a_token_is_optional_routes_decide() {
    let client = client(bearer().optional());
    assert_eq!(client.get("/maybe").send().await.text().await, "nobody");
    let refused = client.get("/me").send().await;
    assert_eq!(
        (refused.status().as_u16(), refused.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(get(&client, "/maybe", "Bearer wrong").await.status(), 401);
}

#[tokio::test]
async fn a_key_tells_who_asks() {
    let keys = || {
        ApiKeyAuth::new().key("billing", "key-1").key("reports", "key-2").key("reports", "key-3")
    };
    let by_header = client(keys());
    for (key, name) in [("key-1", "billing"), ("key-2", "reports"), ("key-3", "reports")] {
        let response = by_header.get("/me").header("x-api-key", key).send().await;
        assert_eq!(response.text().await, name);
    }
    let challenge = r#"ApiKey realm="api""#;
    refused(&by_header.get("/me").send().await, 401, challenge);
    refused(&by_header.get("/me").header("x-api-key", "key-4").send().await, 401, challenge);
    refused(&by_header.get("/me").header("x-api-key", "").send().await, 401, challenge);
    let twice = by_header.get("/me").header("x-api-key", "key-1").header("x-api-key", "key-2");
    assert_eq!(twice.send().await.status(), 400);
    let by_query = client(keys().query("api key"));
    assert_eq!(by_query.get("/me?api%20key=key%2D1").send().await.text().await, "billing");
    assert_eq!(by_query.get("/me?api+key=key-1&api+key=key-1").send().await.status(), 400);
    assert_eq!(by_query.get("/me").header("x-api-key", "key-1").send().await.status(), 401);
    let named = client(keys().header(HeaderName::from_static("x-key")).exclude_paths(["/maybe"]));
    assert_eq!(named.get("/me").header("x-key", "key-1").send().await.text().await, "billing");
    assert_eq!(named.get("/maybe").send().await.text().await, "nobody");
}

#[test]
fn keys_that_protect_nothing_keep_the_application_from_starting() {
    let check = |auth: ApiKeyAuth| Ember::new().middleware(auth).build().unwrap_err().to_string();
    assert!(check(ApiKeyAuth::new()).contains("knows no key"));
    assert!(check(ApiKeyAuth::new().key("a", "")).contains("empty key"));
}

#[tokio::test]
async fn an_answer_to_somebody_is_not_kept_for_others() {
    let client = client(ApiKeyAuth::new().key("a", "1").key("b", "2").optional());
    for (key, name) in [("1", "a"), ("2", "b"), ("1", "a")] {
        let response = client.get("/cached").header("x-api-key", key).send().await;
        assert_eq!(response.text().await, name);
    }
    for _ in 0..2 {
        assert_eq!(client.get("/cached").send().await.text().await, "nobody");
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 4, "only nobody's was kept");
}
