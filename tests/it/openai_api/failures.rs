//! Errors in the shape that clients know, and clients that go away.

use super::*;

#[tokio::test]
async fn failures_before_the_first_token_are_statuses() {
    let fail = |kind| FakeReply::error(kind, "org-1 says no");
    for (reply, status, kind, code, is_told) in [
        (
            fail(ErrorKind::RateLimit).retry_after(secs(7)),
            429,
            "rate_limit_error",
            json!("rate_limit_exceeded"),
            false,
        ),
        (fail(ErrorKind::InvalidRequest), 400, "invalid_request_error", Value::Null, true),
        (
            fail(ErrorKind::ContextLength),
            400,
            "invalid_request_error",
            json!("context_length_exceeded"),
            true,
        ),
        (
            fail(ErrorKind::ContentFilter),
            400,
            "invalid_request_error",
            json!("content_filter"),
            true,
        ),
        (fail(ErrorKind::Overloaded), 503, "server_error", Value::Null, false),
        (fail(ErrorKind::Auth), 502, "server_error", Value::Null, false),
        (fail(ErrorKind::Timeout), 504, "server_error", Value::Null, false),
        (FakeReply::new().finish(FinishReason::Error), 502, "server_error", Value::Null, false),
    ] {
        for stream in [false, true] {
            let client = client(&FakeProvider::new().reply(reply.clone()));
            let response = client
                .post("/v1/chat/completions")
                .json(&hello(json!({"stream": stream})))
                .send()
                .await;
            assert!(response.header("x-request-id").unwrap().starts_with("req_"));
            let wait = response.header("retry-after").map(str::to_owned);
            assert_eq!(wait.as_deref(), (status == 429).then_some("7"));
            let (found, error) = refused(response).await;
            assert_eq!(
                (found, &error["type"], &error["code"]),
                (status, &json!(kind), &code),
                "{error}"
            );
            assert_eq!(error["message"].as_str().unwrap().contains("org-1"), is_told, "{error}");
        }
    }
}

#[tokio::test]
async fn a_failure_later_ends_the_stream_in_an_error_and_never_in_done() {
    let again = || FakeReply::new().text("Hello").event(ChatEvent::Reset).text("Hallo");
    for reply in [
        FakeReply::new().text("Hello there").fail_after(
            1,
            ErrorKind::Transport,
            "reset by 10.0.0.1",
        ),
        FakeReply::new().text("Hello there").cut_after(1),
        FakeReply::new().text("Hello there").finish(FinishReason::Error),
        again(),
    ] {
        let client = client(&FakeProvider::new().reply(reply));
        let frames = streamed(&client, hello(json!({}))).await;
        let last = frames.last().unwrap();
        assert_eq!(last["error"]["type"], "server_error", "{frames:?}");
        assert!(!last.to_string().contains("10.0.0.1"));
        assert!(folded(&frames)["finish_reason"].is_null());
        assert!(!frames.contains(&json!("[DONE]")));
    }
    // What nobody has seen can be taken back.
    let unseen = FakeReply::new().event(ChatEvent::Reset).text("Hallo");
    let client = client(&FakeProvider::new().reply(unseen));
    assert_eq!(folded(&streamed(&client, hello(json!({}))).await)["message"]["content"], "Hallo");
}

#[tokio::test]
async fn whatever_is_wrong_is_told_in_openais_shape() {
    let fake = FakeProvider::new();
    let api = OpenAiApi::new("/v1").models(["m"]).max_body_size(1_000);
    let client = local(app(&fake, api));
    let post = || client.post("/v1/chat/completions");
    let json = |body: Value| post().json(&body).send();
    let (status, error) = refused(json(hello(json!({"n": 2}))).await).await;
    assert_eq!(
        (status, &error["param"], &error["code"]),
        (400, &json!("n"), &json!("unsupported_parameter"))
    );
    let (status, error) = refused(json(hello(json!({"model": "other"}))).await).await;
    assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
    let (status, error) = refused(json(hello(json!({"tool_choice": "required"}))).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("tool_choice")));
    let malformed = post().header("content-type", "application/json").body("{").send().await;
    assert_eq!(refused(malformed).await.0, 400);
    let plain = post().header("content-type", "text/plain").body("{}").send().await;
    assert_eq!(refused(plain).await.0, 415);
    let large = hello(json!({"user": "x".repeat(2_000)}));
    assert_eq!(refused(json(large).await).await.0, 413);
    assert_eq!(refused(client.get("/v1/chat/completions").send().await).await.0, 405);
    assert_eq!(refused(client.get("/v1/nowhere").send().await).await.0, 404);
    assert_eq!(refused(client.get("/v1/models/other").send().await).await.0, 404);
    // Elsewhere errors are what they were.
    let elsewhere = client.get("/nowhere").send().await;
    assert_eq!(elsewhere.header("content-type"), Some("application/problem+json"));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_call_at_once() {
    for stream in [false, true] {
        let mut upstream = Upstream::start(move |_| match stream {
            true => Reply::events()
                .data(json!({"model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}))
                .hang(),
            false => Reply::silence(),
        })
        .await;
        let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
        let client = Client::new(HttpProvider::openai(&config).unwrap());
        let app =
            Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1").workers(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = app.serve(listener).unwrap();
        let mut socket = TcpStream::connect(running.address()).await.unwrap();
        let body = hello(json!({"stream": stream})).to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        if stream {
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("\"content\":\"Hi\"") {
                assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
            }
        } else {
            while upstream.seen().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        drop(socket);
        upstream.hung_up().await;
        running.stop().within(secs(0));
        running.join();
    }
}

#[tokio::test]
async fn what_the_provider_says_of_the_callers_request_is_told() {
    let upstream = Upstream::start(|seen| match seen.json()["model"].as_str().unwrap() {
        "gone" => Reply::json(
            404,
            json!({"error": {"message": "No model gone.", "code": "model_not_found"}}),
        ),
        // OpenAI's responses, and OpenRouter.
        "lost" => Reply::json(
            400,
            json!({"error": {"message": "No model lost.", "code": "model_not_found"}}),
        ),
        "odd" => Reply::json(
            400,
            json!({"error": {"message": "odd is not a valid model ID", "code": 400}}),
        ),
        "keyless" => Reply::json(401, json!({"error": {"message": "Bad key sk-up."}})),
        _ => Reply::json(
            400,
            json!({"error": {"message": "Policy.", "code": "content_policy_violation"}}),
        ),
    })
    .await;
    let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1");
    let client = local(app);
    for (model, status, code, words) in [
        ("gone", 404, json!("model_not_found"), "No model gone."),
        ("lost", 404, json!("model_not_found"), "No model lost."),
        ("odd", 404, json!("model_not_found"), "odd is not a valid model ID"),
        ("keyless", 502, Value::Null, "The model could not be asked."),
        ("m", 400, json!("content_policy_violation"), "Policy."),
    ] {
        for stream in [false, true] {
            let body = hello(json!({"model": model, "stream": stream}));
            let (found, error) =
                refused(client.post("/v1/chat/completions").json(&body).send().await).await;
            assert_eq!(
                (found, &error["code"], error["message"].as_str().unwrap()),
                (status, &code, words)
            );
        }
    }
}
