//! Keys and their limits.

use super::*;
use ember::llm::{Embedder, Embeddings, Error as LlmError};

#[tokio::test]
async fn keys_are_wanted_and_bound() {
    let hands = ManualClock::new();
    let keys = VirtualKeys::new()
        .key(VirtualKey::new("a", "sk-a").models(["m"]))
        .key(
            VirtualKey::new("b", "sk-b")
                .requests_per_minute(2)
                .token_limits(TokenLimits::per_minute(400)),
        )
        .clock(hands.clock());
    let fake =
        FakeProvider::new().respond(|_| FakeReply::new().text("Hi").usage(Usage::new(10, 20)));
    let env = Env::of([("EMBER_API_KEYS", "c:sk-c,a:sk-a2")]);
    let app = app(&fake, OpenAiApi::new("/v1").keys(keys)).env(env);
    let client = local(app);
    let ask = |key: &str, model: &str| {
        let body = hello(json!({"model": model, "max_tokens": 100}));
        client
            .post("/v1/chat/completions")
            .header("authorization", &format!("Bearer {key}"))
            .json(&body)
            .send()
    };
    for response in [client.get("/v1/models").send().await, ask("sk-x", "m").await] {
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert!(response.header("x-request-id").is_some());
        let (status, error) = refused(response).await;
        assert_eq!((status, &error["code"]), (401, &json!("invalid_api_key")));
    }
    for key in ["sk-a", "sk-a2", "sk-c"] {
        let response = ask(key, "m").await;
        assert_eq!(
            (response.status().as_u16(), response.header("x-ratelimit-limit-requests")),
            (200, None)
        );
    }
    assert_eq!(refused(ask("sk-a", "other").await).await.1["code"], "model_not_found");
    assert_eq!(ask("sk-c", "other").await.status(), 200);

    let first = ask("sk-b", "m").await;
    let header = |name: &str| first.header(&format!("x-ratelimit-{name}")).unwrap().to_owned();
    assert_eq!((header("limit-requests"), header("remaining-requests")), ("2".into(), "1".into()));
    assert_eq!(header("reset-requests"), "30s");
    // 10 and 20 tokens were used of what had been set aside.
    assert_eq!((header("limit-tokens"), header("remaining-tokens")), ("400".into(), "370".into()));
    assert_eq!(header("reset-tokens"), "4.5s");
    assert_eq!(ask("sk-b", "m").await.status(), 200);
    let third = ask("sk-b", "m").await;
    assert_eq!(third.header("retry-after"), Some("30"));
    assert_eq!(third.header("x-ratelimit-remaining-requests"), Some("0"));
    let (status, error) = refused(third).await;
    assert_eq!(
        (status, &error["type"], &error["code"]),
        (429, &json!("rate_limit_error"), &json!("rate_limit_exceeded"))
    );
    hands.advance(secs(30));
    assert_eq!(ask("sk-b", "m").await.status(), 200);
    hands.advance(secs(60));
    // The limits hold for what is streamed, and by the tokens of the key.
    let messages = json!([{"role": "user", "content": "x".repeat(4_000)}]);
    for stream in [true, false] {
        let long = hello(json!({"messages": messages, "stream": stream}));
        let long = client
            .post("/v1/chat/completions")
            .header("authorization", "Bearer sk-b")
            .json(&long)
            .send()
            .await;
        let (status, error) = refused(long).await;
        assert_eq!((status, &error["code"]), (400, &json!("context_length_exceeded")));
    }
}

#[tokio::test]
async fn a_key_is_a_principal_and_ordinary_middleware_applies() {
    async fn stamp(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-stamp", HeaderValue::from_static("seen"));
        response
    }
    let api = OpenAiApi::new("/v1").keys(VirtualKey::new("a", "sk-a"));
    let app = app(&FakeProvider::new(), api).middleware(stamp).middleware(ember::RequestIds::new());
    let ready = app.build().unwrap();
    assert!(ready.route_table().contains("POST  /v1/chat/completions"), "{}", ready.route_table());
    let document = ready.openapi();
    let operation = &document["paths"]["/v1/chat/completions"]["post"];
    assert!(operation["security"].to_string().contains("bearer"), "{operation:#}");
    let failures = operation["responses"]["default"]["content"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["application/json"]);
    let client = TestClient::new(ready);
    let response = client.get("/v1/models").header("x-request-id", "mine").send().await;
    assert_eq!(
        (response.header("x-stamp"), response.header("x-request-id")),
        (Some("seen"), Some("mine"))
    );
}

#[test]
fn an_open_gateway_is_a_mistake_unless_it_is_meant() {
    let findings = |api: OpenAiApi, env: &[(&str, &str)]| {
        let app = app(&FakeProvider::new(), api).env(Env::of(env.iter().copied()));
        app.build().err().map(|error| error.to_string())
    };
    let everywhere = ("EMBER_HOST", "0.0.0.0");
    let told = findings("/v1".into(), &[everywhere]).unwrap();
    assert!(told.contains("EMBER_API_KEYS") && told.contains("`/v1`"), "{told}");
    assert_eq!(findings("/v1".into(), &[]), None);
    assert_eq!(findings(OpenAiApi::new("/v1").open(), &[everywhere]), None);
    assert_eq!(findings("/v1".into(), &[everywhere, ("EMBER_API_KEYS", "a:sk-a")]), None);
    let told = findings("/v1".into(), &[("EMBER_API_KEYS", "sk-naked")]).unwrap();
    assert!(told.contains("name:secret") && !told.contains("sk-naked"), "{told}");
    let told =
        findings(OpenAiApi::new("/v1").tools([get_weather {}, get_weather {}]), &[]).unwrap();
    assert!(told.contains("two tools of the name `get_weather`"), "{told}");
    let told = findings(OpenAiApi::new("/v1").route_model("x", "/nowhere"), &[]).unwrap();
    assert!(told.contains("`/nowhere`"), "{told}");
}

/// An embedder whose second request fails.
struct Interrupted;

impl Embedder for Interrupted {
    fn name(&self) -> &str {
        "interrupted"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, _: &[T]) -> Result<Embeddings, LlmError> {
        Err(LlmError::new(ErrorKind::Overloaded, "busy").with_usage(Usage::new(30, 0)))
    }
}

#[tokio::test]
async fn what_was_embedded_before_a_failure_is_counted() {
    let key = VirtualKey::new("a", "sk-a").token_limits(TokenLimits::per_minute(400));
    let keys = VirtualKeys::new().key(key).clock(ManualClock::new().clock());
    let fake =
        FakeProvider::new().respond(|_| FakeReply::new().text("Hi").usage(Usage::new(10, 20)));
    let app = app(&fake, OpenAiApi::new("/v1").keys(keys)).embedder(Interrupted);
    let client = local(app);
    let post = |path: &str, body: Value| {
        client.post(path).header("authorization", "Bearer sk-a").json(&body).send()
    };
    let failed = post("/v1/embeddings", json!({"model": "e", "input": ["a", "b"]})).await;
    assert_eq!(refused(failed).await.0, 503);
    let chat = post("/v1/chat/completions", hello(json!({"max_tokens": 100}))).await;
    assert_eq!(chat.header("x-ratelimit-remaining-tokens"), Some("340"), "of both");
}
