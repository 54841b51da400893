//! Limits and options of a route, for conversations and plain clients.

use super::*;

#[tokio::test]
async fn tokens_are_limited_and_settled() {
    let reply = || FakeReply::new().text("a b").usage(Usage::new(40, 20));
    let fake = FakeProvider::new().reply(reply()).reply(reply());
    let app = app(&fake);
    let first = post(&app, "/limited", "", "Hi").await;
    assert_eq!(first.header("ratelimit-limit"), Some("100"));
    first.events().await;
    assert_eq!(fake.requests()[0].max_tokens, Some(30));
    let refused =
        post(&app, "/limited", "", "A question with some more words, which needs tokens, too.")
            .await;
    assert_eq!(refused.status(), 429);
    assert!(refused.header("retry-after").is_some());
    let left: u64 = refused.header("ratelimit-remaining").unwrap().parse().unwrap();
    assert!((39..=42).contains(&left), "60 of 100 were used: {left} are left");
    let too_long = app.post("/limited").body("x".repeat(300)).send().await;
    assert_eq!(too_long.status(), 413);
}

#[tokio::test]
async fn a_client_is_an_extractor() {
    let app = app(&FakeProvider::new().text("Here."));
    assert_eq!(post(&app, "/direct", "", "Hi").await.text().await, "Here.");
}

#[tokio::test]
async fn options_of_a_route_hold_for_a_plain_client() {
    for streamed in [false, true] {
        let target = if streamed { "/scoped-stream" } else { "/scoped" };
        let fake = FakeProvider::new()
            .reply(
                FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})).usage(Usage::new(10, 5)),
            )
            .reply(FakeReply::new().text("3").usage(Usage::new(20, 5)));
        let app = app(&fake);
        let first = post(&app, target, "", "Hi").await;
        assert_eq!(first.header("ratelimit-limit"), Some("150"));
        assert_eq!(first.text().await, "3");
        let [asked, again] = &fake.requests()[..] else { panic!() };
        assert_eq!((asked.model.as_deref(), asked.max_tokens), (Some("large"), Some(30)));
        assert_eq!((asked.tools[0].name(), again.messages.len()), ("add", 3));
        let refused = app.post(target).body("x".repeat(120)).send().await;
        assert_eq!(refused.status(), 429, "{target}: both rounds are settled");
        let left: u64 = refused.header("ratelimit-remaining").unwrap().parse().unwrap();
        assert!((110..=113).contains(&left), "40 of 150 were used: {left} are left");
        let too_long = app.post(target).body("x".repeat(300)).send().await;
        assert_eq!(too_long.status(), 413);
        let problem: Value = too_long.json().await;
        assert!(
            problem["detail"].as_str().unwrap().contains("at most 120 are allowed"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn what_was_used_before_a_failure_is_settled_in_both_ways() {
    let round =
        || FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})).usage(Usage::new(30, 10));
    let endings = [
        (FakeReply::error(ErrorKind::Overloaded, "busy"), 40),
        (FakeReply::new().finish(FinishReason::Length).usage(Usage::new(10, 5)), 55),
    ];
    for (ending, used) in endings {
        for target in ["/scoped", "/scoped-stream"] {
            let app = app(&FakeProvider::new().reply(round()).reply(ending.clone()));
            let response = post(&app, target, "", "Hi").await;
            let _ = response.text().await;
            let left = left_of(&app, target).await;
            assert!(
                (150 - used..=153 - used).contains(&left),
                "{target}: {left} are left, not {}",
                150 - used
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_before_a_drop_is_settled_in_both_ways() {
    let round =
        || FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})).usage(Usage::new(30, 10));
    let mut left = Vec::new();
    for target in ["/scoped", "/scoped-stream"] {
        let fake = FakeProvider::new().reply(round()).reply(FakeReply::new().hang_after(0));
        let app = app(&fake);
        let dropped =
            timeout(millis(50), async { post(&app, target, "", "Hi").await.text().await });
        assert!(dropped.await.is_err());
        left.push(left_of(&app, target).await);
    }
    assert!(left[0] <= 50, "the first round and the second prompt are paid: {left:?}");
    assert!(left[0].abs_diff(left[1]) <= 2, "{left:?}");
}

/// What is left of a route's tokens, as a request tells that is refused for its length.
async fn left_of(app: &TestClient, target: &str) -> u64 {
    let refused = app.post(target).body("x".repeat(300)).send().await;
    assert_eq!(refused.status(), 413);
    refused.header("ratelimit-remaining").unwrap().parse().unwrap()
}
