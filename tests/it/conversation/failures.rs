//! Turns that fail, break off, or are given up.

use super::*;

#[tokio::test]
async fn a_failure_before_the_first_token_has_a_status() {
    for (kind, status) in [
        (ErrorKind::Overloaded, 503),
        (ErrorKind::Timeout, 504),
        (ErrorKind::Transport, 502),
        (ErrorKind::ContextLength, 413),
        (ErrorKind::ContentFilter, 422),
    ] {
        for events in [0, 1] {
            let thinking = FakeReply::new().reasoning("hm").text("never");
            let fake = FakeProvider::new().reply(thinking.fail_after(
                events,
                kind,
                "secret of the provider",
            ));
            let app = app(&fake);
            let response = post(&app, "/chat", C, "Hi").await;
            assert_eq!(response.status(), status, "{kind:?}");
            assert_eq!(id_of(&response), C);
            assert!(!response.text().await.contains("secret"));
            assert!(said(&app, C).await.is_empty(), "a failed turn is rolled back");
        }
    }
}

#[tokio::test]
async fn a_failure_after_it_is_an_event_and_never_done() {
    let broken = [
        FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "secret"),
        FakeReply::new().text("a b c").cut_after(2),
        FakeReply::new().text("a b ").finish(FinishReason::Length),
        FakeReply::new().text("a b ").finish(FinishReason::ContentFilter),
    ];
    for (reply, status) in broken.into_iter().zip([502, 502, 502, 422]) {
        let app = app(&FakeProvider::new().reply(reply).text("fine"));
        let events = post(&app, "/chat", C, "Hi").await.events().await;
        let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(names, ["message", "message", "error"]);
        let problem: Value = serde_json::from_str(&events[2].data).unwrap();
        assert_eq!(problem["status"], status);
        assert!(!events[2].data.contains("secret"));
        assert!(said(&app, C).await.is_empty(), "a failed turn is rolled back");
        post(&app, "/chat", C, "Again").await.events().await;
        assert_eq!(said(&app, C).await, ["User: Again", "Assistant: fine"]);
    }
}

#[tokio::test]
async fn an_abandoned_turn_is_rolled_back_and_the_next_goes_on() {
    let app =
        app(&FakeProvider::new().reply(FakeReply::new().text("a b c").hang_after(2)).text("fine"));
    let mut response = post(&app, "/chat", C, "Hi").await;
    assert_eq!(response.next_event().await.unwrap().data, "a ");
    drop(response);
    let next = timeout(secs(5), post(&app, "/ask", C, "Again"))
        .await
        .expect("the conversation stays locked");
    assert_eq!(next.text().await, "fine");
    assert_eq!(said(&app, C).await, ["User: Again", "Assistant: fine"]);
}

#[tokio::test(start_paused = true)]
async fn comments_keep_the_connection_open_while_a_model_thinks() {
    let app = app(&FakeProvider::new().reply(FakeReply::new().text("done").delay(secs(40))));
    let mut response = post(&app, "/chat", C, "Hi").await;
    assert_eq!(response.status(), 200, "after ten seconds nobody waits for a status any more");
    let mut frames = Vec::new();
    while let Some(frame) = response.chunk().await {
        frames.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    let comments = frames.iter().filter(|frame| *frame == ": keep-alive\n\n").count();
    assert!(comments >= 4, "{frames:?}");
    frames.retain(|frame| !frame.starts_with(':'));
    assert_eq!(frames, ["data: done\n\n", "data: [DONE]\n\n"]);
    // A failure that comes so late is an event.
    let late = FakeReply::new().reasoning("hm").delay(secs(40));
    let late = late.fail_after(1, ErrorKind::Overloaded, "busy");
    let app = self::app(&FakeProvider::new().reply(late));
    let events = post(&app, "/chat", C, "Hi").await.events().await;
    assert_eq!(events[0].event, "error");
}

#[tokio::test]
async fn a_reader_who_leaves_closes_the_connection_to_the_model() {
    let chunk = json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "a"}}]});
    let mut upstream = Upstream::start(move |_| Reply::events().data(&chunk).hang()).await;
    let config = ProviderConfig::new("openai", "small").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let app = TestClient::new(routes().client(client).build().unwrap());
    let mut response = post(&app, "/chat", "", "Hi").await;
    assert_eq!(response.next_event().await.unwrap().data, "a");
    drop(response);
    timeout(secs(5), upstream.hung_up()).await.expect("the connection stays open");
}

#[tokio::test]
async fn an_answer_without_text_that_is_broken_has_a_status() {
    for (finish, status) in [
        (FinishReason::ContentFilter, 422),
        (FinishReason::Length, 502),
        (FinishReason::Error, 502),
        (FinishReason::ToolLimit, 502),
    ] {
        for target in ["/chat", "/ask"] {
            let reply = FakeReply::new().reasoning("hm").finish(finish.clone());
            let app = app(&FakeProvider::new().reply(reply).text("fine"));
            let response = post(&app, target, C, "Hi").await;
            assert_eq!(response.status(), status, "{finish:?} at {target}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"));
            assert!(said(&app, C).await.is_empty(), "a failed turn is rolled back");
        }
    }
    let empty = app(&FakeProvider::new().reply(FakeReply::new()));
    let events = post(&empty, "/chat", C, "Hi").await.events().await;
    assert_eq!(events.into_iter().map(|event| event.data).collect::<Vec<_>>(), ["[DONE]"]);
    assert_eq!(said(&empty, C).await.len(), 2, "an empty answer is remembered");
}

#[tokio::test]
async fn an_answer_that_is_begun_anew_is_taken_back_only_where_nobody_has_seen_it() {
    let reply = |before: FakeReply| before.event(ChatEvent::Reset).text("anew");
    let fake = FakeProvider::new()
        .reply(reply(FakeReply::new().text("begun")))
        .reply(reply(FakeReply::new().reasoning("thought")));
    let ready = Ember::new().client(Client::new(fake)).route(chat {}).build().unwrap();
    let client = TestClient::new(ready);
    let seen = client.post("/chat").body("Hi").send().await.events().await;
    let (last, before) = seen.split_last().unwrap();
    assert_eq!((last.event.as_str(), before.len()), ("error", 1), "{seen:?}");
    assert!(last.data.contains("anew in the middle"), "{last:?}");
    let unseen = client.post("/chat").body("Hi").send().await.events().await;
    let data: Vec<_> = unseen.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(data, ["anew", "[DONE]"]);
}
