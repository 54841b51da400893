//! What goes wrong around a handler: time that is over, and hooks, caches and catchers that fail or panic.

use ember::prelude::*;
use ember::testing::TestClient;

mod service {
    use ember::prelude::*;
    use ember::web::RequestParts;

    /// Fails in the way that a request names.
    fn fail(headers: &HeaderMap, place: &str) -> Result {
        match headers.get(place).map(HeaderValue::as_bytes) {
            Some(b"error") => Err(Error::conflict("the hook's error")),
            Some(b"panic") => panic!("a secret"),
            _ => Ok(()),
        }
    }

    #[hook(before_endpoint)]
    async fn before(headers: HeaderMap) -> Result<()> {
        if headers.contains_key("x-before-hangs") {
            std::future::pending::<()>().await;
        }
        fail(&headers, "x-before")
    }

    #[hook(after_endpoint)]
    async fn stamp(mut response: Response) -> Response {
        response.headers_mut().insert("x-after", HeaderValue::from_static("seen"));
        response
    }

    // It is the first of those behind the handler.
    #[hook(after_endpoint)]
    async fn after(response: Response, headers: HeaderMap) -> Result<Response> {
        if headers.contains_key("x-after-hangs") {
            std::future::pending::<()>().await;
        }
        fail(&headers, "x-after")?;
        Ok(response)
    }

    #[catch]
    async fn anything(error: &Error, headers: HeaderMap) -> Result<String> {
        fail(&headers, "x-catch")?;
        Ok(format!("caught {}", error.status().as_u16()))
    }

    #[get("/fine")]
    async fn fine() -> &'static str {
        "fine"
    }

    #[get("/slow", limits = RouteLimits::new().timeout(millis(50)))]
    async fn slow(headers: HeaderMap) -> &'static str {
        if !headers.contains_key("x-fast") {
            std::future::pending::<()>().await;
        }
        "fast"
    }

    #[post("/upload", limits = RouteLimits::new().timeout(millis(50)))]
    async fn upload(body: String) -> String {
        body
    }

    #[get("/cached", cache = TtlCache::new(secs(60)).key(key))]
    async fn cached() -> &'static str {
        "cached"
    }

    fn key(_: &RequestParts) -> Option<String> {
        panic!("a secret")
    }

    pub fn app() -> Ember {
        ember::app!()
    }
}

/// What is outside sees an answer, whatever happens within.
async fn outside(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-outside", HeaderValue::from_static("seen"));
    response
}

/// The application alone, and within middleware; with what that adds to answers.
fn clients() -> [(TestClient, Option<&'static str>); 2] {
    let client = |app: Ember| TestClient::new(app.build().unwrap());
    [(client(service::app()), None), (client(service::app().middleware(outside)), Some("seen"))]
}

async fn check(method: &str, target: &str, headers: &[(&str, &str)], expected: (u16, &str)) {
    for (client, added) in clients() {
        let mut request = client.request(method.parse().unwrap(), target);
        if method == "POST" {
            let never = futures_util::stream::pending::<Result<&str, std::io::Error>>();
            request = request.body(Body::stream(never));
        }
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = request.send().await;
        assert_eq!(response.header("x-outside"), added, "{target} {headers:?}");
        let is_stamped = response.header("x-after").is_some();
        assert!(is_stamped || headers.contains(&("x-after-hangs", "")), "{target} {headers:?}");
        let status = response.status().as_u16();
        let text = response.text().await;
        assert_eq!((status, text.as_str()), expected, "{target} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_late_is_caught_and_passes_the_hooks() {
    check("GET", "/slow", &[("x-fast", "")], (200, "fast")).await;
    check("GET", "/slow", &[], (503, "caught 503")).await;
    check("POST", "/upload", &[], (408, "caught 408")).await;
    check("GET", "/slow", &[("x-before-hangs", "")], (503, "caught 503")).await;
    check("GET", "/slow", &[("x-fast", ""), ("x-after-hangs", "")], (503, "caught 503")).await;
}

#[tokio::test]
async fn what_fails_around_a_handler_is_caught() {
    check("GET", "/fine", &[], (200, "fine")).await;
    for place in ["x-before", "x-after"] {
        check("GET", "/fine", &[(place, "error")], (409, "caught 409")).await;
        check("GET", "/fine", &[(place, "panic")], (500, "caught 500")).await;
    }
    check("GET", "/cached", &[], (500, "caught 500")).await;
}

#[tokio::test]
async fn a_catcher_that_panics_is_a_500_that_those_around_it_see() {
    for (client, added) in clients() {
        for (target, reason) in [("/fine", "x-before"), ("/nowhere", "x-none")] {
            let request = client.get(target).header(reason, "error").header("x-catch", "panic");
            let response = request.send().await;
            assert_eq!((response.status().as_u16(), response.header("x-outside")), (500, added));
            assert!(!response.text().await.contains("secret"));
        }
    }
}
