//! A provider over HTTP, with a service on a real socket that commits faults.

use ember::llm::{
    ChatRequest, ChatStream, Client, Error, ErrorKind, HttpProvider, ProviderConfig, Timeouts,
};
use ember::prelude::*;
use ember_tests::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

fn client(upstream: &Upstream, timeouts: Timeouts) -> Client {
    let config = ProviderConfig::new("openai", "small")
        .api_key("sk-secret")
        .base_url(upstream.url())
        .timeouts(timeouts);
    Client::new(HttpProvider::openai(&config).unwrap())
}

/// Limits that a test can wait for.
/// Limits that are soon over, and still wide enough for a machine that does other things as well.
fn short() -> Timeouts {
    let limit = millis(600);
    Timeouts::default().headers(limit).first_event(limit).gap(limit).total(secs(5))
}

/// The time.
#[tool]
async fn now() -> u8 {
    12
}

fn chunk(text: &str) -> Value {
    json!({"id": "c1", "model": "small", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
}

fn stop() -> Value {
    json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

fn usage() -> Value {
    json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
}

fn answer(text: &str) -> Reply {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    Reply::json(200, json!({"id": "c1", "model": "small", "choices": [choice]}))
}

async fn text_of(stream: Result<ChatStream, Error>) -> (String, Option<ErrorKind>) {
    let mut text = String::new();
    match stream {
        Err(error) => (text, Some(error.kind())),
        Ok(stream) => {
            let mut pieces = stream.into_text();
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(piece) => text += &piece,
                    Err(error) => return (text, Some(error.kind())),
                }
            }
            (text, None)
        }
    }
}

/// Both ways of asking, against a service that answers each as `reply` says.
async fn ask(
    reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> [(String, Option<ErrorKind>); 2] {
    let upstream = Upstream::start(reply).await;
    let client = client(&upstream, short());
    let unary = match client.ask("Hi").await {
        Ok(text) => (text, None),
        Err(error) => (String::new(), Some(error.kind())),
    };
    [unary, text_of(client.stream("Hi").await).await]
}

async fn stream(reply: Reply) -> (String, Option<ErrorKind>) {
    let upstream = Upstream::start(move |_| reply.clone()).await;
    let client = client(&upstream, short());
    // Whatever the fault is, it is over within the limits.
    timeout(secs(10), async { text_of(client.stream("Hi").await).await }).await.unwrap()
}

#[tokio::test]
async fn the_request_is_what_the_reference_wants() {
    let upstream = Upstream::start(|_| answer("Hello")).await;
    let client = client(&upstream, short());
    assert_eq!(client.ask(ChatRequest::from("Hi").model("large")).await.unwrap(), "Hello");
    text_of(client.stream("Hi").await).await;
    let [unary, streamed] = &upstream.seen()[..] else { panic!() };
    assert_eq!(unary.target, "POST /v1/chat/completions");
    assert!(unary.head.contains("authorization: bearer sk-secret\r\n"), "{}", unary.head);
    assert!(unary.head.contains("content-type: application/json\r\n"));
    assert!(streamed.head.contains("accept: text/event-stream\r\n"));
    assert_eq!(
        (&unary.json()["model"], &streamed.json()["model"]),
        (&json!("large"), &json!("small"))
    );
    assert_eq!(streamed.json()["stream"], true);
}

#[tokio::test]
async fn connections_are_used_again() {
    let upstream = Upstream::start(|seen| match seen.json()["stream"] == true {
        true => Reply::events().data(chunk("Hi")).data(stop()).data("[DONE]"),
        false => answer("Hi"),
    })
    .await;
    let client = client(&upstream, short());
    for _ in 0..3 {
        assert_eq!(client.ask("Hi").await.unwrap(), "Hi");
        assert_eq!(text_of(client.stream("Hi").await).await, ("Hi".to_owned(), None));
        // The last bytes of a stream arrive behind its end.
        tokio::time::sleep(millis(50)).await;
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn statuses_become_kinds() {
    for (status, body, kind) in [
        (401, json!({"error": {"message": "no", "code": "invalid_api_key"}}), ErrorKind::Auth),
        (
            429,
            json!({"error": {"message": "slow", "type": "rate_limit_error"}}),
            ErrorKind::RateLimit,
        ),
        (429, json!({"error": {"message": "pay", "code": "insufficient_quota"}}), ErrorKind::Quota),
        (
            400,
            json!({"error": {"message": "long", "code": "context_length_exceeded"}}),
            ErrorKind::ContextLength,
        ),
        (
            400,
            json!({"error": {"message": "bad", "code": "content_policy_violation"}}),
            ErrorKind::ContentFilter,
        ),
        (
            404,
            json!({"error": {"message": "who?", "code": "model_not_found"}}),
            ErrorKind::InvalidRequest,
        ),
        (500, json!({"error": "boom"}), ErrorKind::Server),
        (503, json!("busy"), ErrorKind::Overloaded),
    ] {
        let outcomes = ask(move |_| Reply::json(status, &body)).await;
        assert_eq!(outcomes.map(|outcome| outcome.1), [Some(kind), Some(kind)], "{status}");
    }
}

#[tokio::test]
async fn an_error_carries_what_the_provider_says_and_never_the_key() {
    let body = json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}});
    let upstream =
        Upstream::start(move |_| Reply::json(429, &body).header("retry-after", "2")).await;
    let client = client(&upstream, short());
    let error = client.ask("Hi").await.unwrap_err();
    assert_eq!(
        (error.provider(), error.status(), error.code()),
        (Some("openai"), Some(429), Some("rate_limit_exceeded"))
    );
    assert_eq!((error.message(), error.retry_after()), ("slow down", Some(secs(2))));
    let shown = format!("{error} {error:?} {client:?}");
    assert!(!shown.contains("sk-secret"), "{shown}");
}

#[tokio::test]
async fn nobody_listens() {
    let config = ProviderConfig::new("openai", "small").base_url("http://127.0.0.1:1/v1");
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!(client.stream("Hi").await.unwrap_err().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn a_silent_service_is_given_up_stage_by_stage() {
    let before_headers = Upstream::start(|_| Reply::silence()).await;
    let limits = short().total(millis(200));
    let error = client(&before_headers, limits).ask("Hi").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = client(&before_headers, limits).stream("Hi").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let begun = |reply: Reply| async move { stream(reply).await };
    let timed_out = |text: &str| (text.to_owned(), Some(ErrorKind::Timeout));
    assert_eq!(begun(Reply::events().hang()).await, timed_out(""), "before the first event");
    let comments =
        (0..40).fold(Reply::events(), |reply, _| reply.send(": thinking\n\n").wait(millis(10)));
    assert_eq!(begun(comments.hang()).await, timed_out(""), "comments are no event");
    assert_eq!(
        begun(Reply::events().data(chunk("a")).hang()).await,
        timed_out("a"),
        "between events"
    );
    let alive = (0..10).fold(Reply::events(), |reply, _| reply.data(chunk("a")).wait(millis(30)));
    assert_eq!(
        begun(alive.data(stop()).data("[DONE]")).await,
        ("a".repeat(10), None),
        "slow is not silent"
    );
}

#[tokio::test]
async fn the_total_limit_holds_for_a_stream_that_never_ends() {
    let endless =
        (0..200).fold(Reply::events(), |reply, _| reply.data(chunk("a")).wait(millis(20)));
    let upstream = Upstream::start(move |_| endless.clone()).await;
    let client = client(&upstream, short().total(millis(300)));
    let (text, error) = text_of(client.stream("Hi").await).await;
    assert_eq!(error, Some(ErrorKind::Timeout));
    assert!(!text.is_empty());
}

#[tokio::test]
async fn the_total_limit_holds_where_no_timer_is_waited_for() {
    // When the reader comes back, the rest is there, and is read without a pause.
    let rest = format!("data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", chunk("b"), stop());
    let reply = Reply::events().data(chunk("a")).wait(millis(20)).send(rest);
    let upstream = Upstream::start(move |_| reply.clone()).await;
    let client = client(&upstream, Timeouts::default().total(millis(200)));
    let mut text = client.stream_text("Hi").await.unwrap();
    assert_eq!(text.next().await.unwrap().unwrap(), "a");
    tokio::time::sleep(millis(400)).await;
    assert_eq!(text.next().await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn the_total_limit_holds_for_an_answer_that_comes_whole() {
    // Neither the headers nor the body take as long as both may take together.
    let slow = Reply::status(200).header("content-type", "application/json").late(millis(300));
    let body = json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]});
    let slow = slow.send(" ").wait(millis(300)).send(body.to_string());
    let upstream = Upstream::start(move |_| slow.clone()).await;
    let client = client(&upstream, Timeouts::default().total(millis(400)));
    assert_eq!(client.stream("Hi").await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn no_limit_is_a_limit() {
    let max = Duration::MAX;
    let none = Timeouts::default().connect(max).headers(max).first_event(max).gap(max).total(max);
    let upstream = Upstream::start(|seen| match seen.json()["stream"] == true {
        true => Reply::events().data(chunk("Hi")).wait(millis(5)).data(stop()).data("[DONE]"),
        false => answer("Hi"),
    })
    .await;
    let client = client(&upstream, none);
    assert_eq!(client.ask("Hi").await.unwrap(), "Hi");
    assert_eq!(text_of(client.stream("Hi").await).await, ("Hi".to_owned(), None));
}

#[test]
fn an_address_must_be_one_of_http() {
    for bad in ["ftp://x/v1", "localhost:8000/v1", "/v1", "http://", "https:///v1", "not one"] {
        let config = ProviderConfig::new("openai", "small").base_url(bad);
        let error = HttpProvider::openai(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(bad.trim_end_matches('/')), "{error}");
    }
    let config = ProviderConfig::new("openai", "small").base_url("https://x/v1/");
    assert!(HttpProvider::openai(&config).is_ok());
}

#[tokio::test]
async fn invented_ids_differ_in_all_rounds() {
    let call = json!({"function": {"name": "now", "arguments": "{}"}});
    let upstream = Upstream::start(move |seen| {
        let body = seen.json();
        let rounds = body["messages"].as_array().unwrap().len();
        let done = rounds > 4;
        let reason = if done { "stop" } else { "tool_calls" };
        let message = match done {
            true => json!({"content": "late"}),
            false => json!({"tool_calls": [call, call]}),
        };
        let choice = |key: &str| json!({"index": 0, key: message, "finish_reason": reason});
        match body["stream"] == true {
            false => Reply::json(200, json!({"id": "same", "choices": [choice("message")]})),
            true => Reply::events()
                .data(json!({"id": "same", "choices": [choice_with_indices(choice("delta"))]}))
                .data("[DONE]"),
        }
    })
    .await;
    let client = client(&upstream, short()).tools([now {}]);
    let whole = client.complete("Hi").await.unwrap();
    let folded = client.stream("Hi").await.unwrap().collect().await.unwrap();
    assert_eq!(whole.steps, folded.steps);
    let calls = whole.steps.iter().flat_map(ember::llm::Message::tool_calls);
    let ids: Vec<_> = calls.map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["call_0", "call_1", "call_2", "call_3"]);
}

/// Pieces of calls say which one they belong to.
fn choice_with_indices(mut choice: Value) -> Value {
    for (index, call) in
        choice["delta"]["tool_calls"].as_array_mut().into_iter().flatten().enumerate()
    {
        call["index"] = index.into();
    }
    choice
}

#[tokio::test]
async fn errors_within_an_answer_are_what_their_status_would_be() {
    for (error, kind, wait) in [
        (
            json!({"message": "bad", "type": "invalid_request_error"}),
            ErrorKind::InvalidRequest,
            None,
        ),
        (json!({"message": "who?", "type": "not_found_error"}), ErrorKind::InvalidRequest, None),
        (
            json!({"message": "Please try again in 2s.", "code": "429"}),
            ErrorKind::RateLimit,
            Some(secs(2)),
        ),
        (json!({"message": "who are you?", "code": 401}), ErrorKind::Auth, None),
        (json!({"message": "later", "code": 503}), ErrorKind::Overloaded, None),
    ] {
        let upstream = Upstream::start(move |seen| {
            let body = json!({"error": error});
            match seen.json()["stream"] == true {
                true => Reply::events().data(body),
                false => Reply::json(200, body),
            }
        })
        .await;
        let client = client(&upstream, short());
        let unary = client.ask("Hi").await.unwrap_err();
        let streamed = client.stream("Hi").await.unwrap().collect().await.unwrap_err();
        for error in [unary, streamed] {
            assert_eq!((error.kind(), error.retry_after()), (kind, wait), "{error}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_is_an_error() {
    let begun = || Reply::events().data(chunk("a")).data(chunk("b"));
    let cut = |text: &str| (text.to_owned(), Some(ErrorKind::Truncated));
    assert_eq!(stream(begun().cut()).await, cut("ab"), "the connection breaks");
    assert_eq!(stream(begun()).await, cut("ab"), "the body ends");
    assert_eq!(
        stream(begun().data("[DONE]")).await,
        cut("ab"),
        "a mark of the end without a reason"
    );
    let half = format!("data: {}", &stop().to_string()[..20]);
    assert_eq!(stream(begun().send(half)).await, cut("ab"), "half an event");
}

#[tokio::test]
async fn formalities_may_be_missing() {
    let begun = || Reply::events().data(chunk("a")).data(stop()).data(usage());
    let whole = ("a".to_owned(), None);
    assert_eq!(stream(begun()).await, whole, "no [DONE]");
    assert_eq!(stream(begun().cut()).await, whole, "broken after the end");
    assert_eq!(stream(begun().hang()).await, whole, "left open after the end");
    let last = format!("data: {}", stop());
    assert_eq!(
        stream(Reply::events().data(chunk("a")).send(last)).await,
        whole,
        "no last blank line"
    );
}

#[tokio::test]
async fn garbage_is_skipped_and_errors_within_are_told() {
    let garbage = Reply::events()
        .data(chunk("a"))
        .data("{not json")
        .data(chunk("b"))
        .data(stop())
        .data("[DONE]");
    assert_eq!(stream(garbage).await, ("ab".to_owned(), None));
    let error = json!({"error": {"message": "busy", "type": "overloaded_error"}});
    let broken = Reply::events().data(chunk("a")).data(error);
    assert_eq!(stream(broken).await, ("a".to_owned(), Some(ErrorKind::Overloaded)));
    let all_garbage = (0..50).fold(Reply::events(), |reply, _| reply.data("{"));
    assert_eq!(stream(all_garbage).await, (String::new(), Some(ErrorKind::Decode)));
}

#[tokio::test]
async fn a_service_that_does_not_stream_answers_all_the_same() {
    assert_eq!(stream(answer("whole")).await, ("whole".to_owned(), None));
}

#[tokio::test]
async fn dropping_a_stream_closes_the_connection() {
    let mut upstream = Upstream::start(|_| Reply::events().data(chunk("a")).hang()).await;
    let client = client(&upstream, Timeouts::default());
    let mut stream = client.stream("Hi").await.unwrap();
    while !matches!(stream.next().await.unwrap().unwrap(), ember::llm::ChatEvent::Text(_)) {}
    drop(stream);
    timeout(secs(5), upstream.hung_up()).await.expect("the connection stays open");
}

#[tokio::test]
async fn dropping_a_call_closes_the_connection() {
    let mut upstream = Upstream::start(|_| Reply::silence()).await;
    let client = client(&upstream, Timeouts::default());
    let call = timeout(Duration::from_millis(200), client.ask("Hi")).await;
    assert!(call.is_err());
    timeout(secs(5), upstream.hung_up()).await.expect("the connection stays open");
}

#[tokio::test]
async fn a_time_to_wait_may_stand_in_the_document() {
    let details = json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"},
    ]);
    let error = json!({"error": {
        "code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": details,
    }});
    let begun = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}]});
    let upstream = Upstream::start(move |seen| match seen.target.contains("stream") {
        false => Reply::json(429, &error),
        // After it has begun, the status says nothing.
        true => Reply::events().data(&begun).data(&error),
    })
    .await;
    let config = ProviderConfig::new("gemini", "m").api_key("k").base_url(upstream.url());
    let client = Client::new(HttpProvider::gemini(&config).unwrap());
    let unary = client.complete("Hi").await.unwrap_err();
    let streamed = client.stream("Hi").await.unwrap().collect().await.unwrap_err();
    for error in [unary, streamed] {
        assert_eq!(error.kind(), ErrorKind::RateLimit);
        assert_eq!(error.retry_after(), Some(Duration::from_millis(34_400)));
    }
}
