//! Panics in middleware and in bodies, which end one answer only.

use ember::http::HeaderValue;
use ember::prelude::*;
use ember::testing::TestClient;
use futures_util::{StreamExt as _, stream};

struct Panics;

impl Middleware for Panics {
    async fn handle(&self, request: Request, next: Next) -> Response {
        assert_ne!(request.path(), "/before", "before the handler, a secret");
        let response = next.run(request).await;
        assert_ne!(response.status(), 409, "after the handler, a secret");
        response
    }
}

struct Mark;

impl Middleware for Mark {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-mark", HeaderValue::from_static("outside"));
        response
    }
}

#[get("/before")]
async fn before() {}

#[get("/after")]
async fn after() -> ember::Result<()> {
    Err(Error::conflict("no"))
}

#[get("/body")]
async fn body() -> Body {
    Body::stream(stream::iter(["a", "panic"]).map(|piece| {
        assert_ne!(piece, "panic", "in a body");
        Ok::<_, std::io::Error>(piece)
    }))
}

#[tokio::test]
async fn a_panic_of_a_middleware_is_a_500_that_those_around_it_see() {
    let client =
        TestClient::new(ember::app!().middleware(Mark).middleware(Panics).build().unwrap());
    for target in ["/before", "/after"] {
        let response = client.get(target).send().await;
        assert_eq!((response.status().as_u16(), response.header("x-mark")), (500, Some("outside")));
        assert!(!response.text().await.contains("secret"));
    }
    assert_eq!(client.get("/nothing").send().await.status(), 404, "and the next one is answered");
}

#[tokio::test]
async fn the_outermost_may_panic_as_well() {
    let client = TestClient::new(ember::app!().middleware(Panics).build().unwrap());
    assert_eq!(client.get("/before").send().await.status(), 500);
}

#[tokio::test]
async fn a_panic_in_a_body_breaks_that_body() {
    for app in [ember::app!(), ember::app!().middleware(Mark).layer(tower_layer::Identity::new())] {
        let response = app.build().unwrap();
        let request = ember::http::Request::get("/body").body(Body::empty()).unwrap();
        let mut body = response.answer(request).await.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "a");
        assert_eq!(body.data().await.unwrap_err().status(), 500);
    }
}
