//! `/healthz` and `/readyz`.

use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::Health;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn client(health: Health) -> TestClient {
    TestClient::new(Ember::new().health(health).build().unwrap())
}

#[tokio::test]
async fn a_process_lives_and_is_ready() {
    let client = client(Health::new());
    for path in ["/healthz", "/readyz"] {
        let response = client.get(path).send().await;
        assert_eq!(
            (response.status(), response.header("cache-control")),
            (StatusCode::OK, Some("no-store"))
        );
    }
}

#[tokio::test]
async fn readiness_is_what_the_checks_say() {
    let there = Arc::new(AtomicBool::new(false));
    let asked = there.clone();
    let health = Health::new().live_at("/live").ready_at("/ready").check("database", move || {
        let there = asked.load(Relaxed);
        async move { if there { Ok(()) } else { Err(Error::unavailable("password=secret")) } }
    });
    let client = client(health);
    let response = client.get("/ready").send().await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.text().await, "database: failed\nnot ready\n");
    assert_eq!(client.get("/live").send().await.status(), 200, "it lives nevertheless");
    there.store(true, Relaxed);
    let response = client.get("/ready").send().await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await, "database: ok\nready\n");
}

#[tokio::test]
async fn a_check_that_does_not_answer_fails() {
    let health = Health::new().limit(millis(1)).check("network", std::future::pending);
    assert_eq!(client(health).get("/readyz").send().await.status(), 503);
}

#[test]
fn the_routes_are_in_the_table() {
    let ready = Ember::new().health(Health::new()).build().unwrap();
    let table = ready.route_table();
    assert!(table.contains("/healthz  healthz") && table.contains("/readyz   readyz"), "{table}");
}

#[test]
fn it_is_provided_once() {
    let error = Ember::new().health(Health::new()).health(Health::new()).build().unwrap_err();
    assert!(error.to_string().contains("two components"), "{error}");
}
