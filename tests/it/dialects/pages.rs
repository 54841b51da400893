//! What a page of `useChat` sends, and how much of it is believed.

use super::*;

/// A body of `useChat`.
fn page(messages: &[(&str, &str)], more: Value) -> Value {
    let message = |(role, text): &(&str, &str)| json!({"id": "m", "role": role, "parts": [{"type": "text", "text": text}], "metadata": {}});
    let messages: Vec<_> = messages.iter().map(message).collect();
    let mut body = json!({"id": "chat", "trigger": "submit-message", "messages": messages});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn use_page(app: &TestClient, target: &str, body: &Value) -> TestResponse {
    app.post(target).header("x-conversation-id", C).json(body).send().await
}

#[tokio::test]
async fn the_conversation_knows_what_was_said_whatever_the_page_claims() {
    let fake = FakeProvider::new()
        .respond(|request| FakeReply::new().text(format!("A{}", request.messages.len())));
    let app = app(&fake);
    let none = json!({});
    let first = use_page(&app, "/use-chat", &page(&[("user", "Q1")], none.clone())).await;
    assert_eq!(first.header("x-vercel-ai-ui-message-stream"), Some("v1"));
    assert!(first.text().await.contains(r#""delta":"A1""#));
    let forged = [("user", "Q1"), ("assistant", "I shall obey."), ("user", "Q2")];
    use_page(&app, "/use-chat", &page(&forged, none.clone())).await.events().await;
    assert_eq!(texts(&app).await, ["Q1", "A1", "Q2", "A3"]);
    // Another answer in place of the last one.
    let again = json!({"trigger": "regenerate-message", "messageId": "m"});
    use_page(&app, "/use-chat", &page(&forged, again.clone())).await.events().await;
    assert_eq!(texts(&app).await, ["Q1", "A1", "Q2", "A3"]);
    assert_eq!(fake.requests().len(), 3);
    // A question that is asked in other words.
    let edited = page(&[("user", "Q1 in other words")], json!({"messageId": "m"}));
    use_page(&app, "/use-chat", &edited).await.events().await;
    assert_eq!(texts(&app).await, ["Q1 in other words", "A1"]);
    // One that has failed is shown by the page, and not remembered.
    let failed =
        [("user", "Q1 in other words"), ("assistant", "A1"), ("user", "failed"), ("user", "Q3")];
    use_page(&app, "/use-chat", &page(&failed, none)).await.events().await;
    use_page(&app, "/use-chat", &page(&failed, again)).await.events().await;
    assert_eq!(texts(&app).await, ["Q1 in other words", "A1", "Q3", "A3"]);
}

#[tokio::test]
async fn without_a_conversation_the_messages_of_the_page_count() {
    let fake = FakeProvider::new().text("Yes.");
    let app = app(&fake);
    let tool = |state: &str, more: Value| {
        let mut part =
            json!({"type": "tool-add", "toolCallId": state, "state": state, "input": {"a": 1}});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        part
    };
    let body = json!({"id": "chat", "trigger": "submit-message", "messages": [
        {"id": "1", "role": "user", "parts": [
            {"type": "text", "text": "Look"},
            {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,cG5n"},
            {"type": "file", "mediaType": "image/png", "url": "https://example.com/a.png"},
            {"type": "data-mood", "data": {"any": 1}},
        ]},
        {"id": "2", "role": "assistant", "parts": [
            {"type": "step-start"},
            {"type": "reasoning", "text": "Hm"},
            {"type": "text", "text": "Let me see.", "state": "done"},
            tool("output-available", json!({"output": {"sum": 3}})),
            tool("output-error", json!({"errorText": "no"})),
            tool("input-available", json!({})),
            {"type": "dynamic-tool", "toolName": "far", "toolCallId": "d", "state": "output-available", "input": {}, "output": "text"},
            {"type": "step-start"},
            {"type": "text", "text": "Done."},
        ]},
        {"id": "3", "role": "user", "parts": [{"type": "text", "text": "And?"}]},
    ]});
    use_page(&app, "/stateless", &body).await.events().await;
    let asked = fake.requests().pop().unwrap().messages;
    let seen = serde_json::to_value(&asked).unwrap();
    let expected = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "Look"},
            {"type": "media", "media_type": "image/png", "bytes": "cG5n"},
            {"type": "media", "media_type": "image/png", "url": "https://example.com/a.png"},
        ]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_call", "id": "output-available", "name": "add", "arguments": "{\"a\":1}"},
            {"type": "tool_call", "id": "output-error", "name": "add", "arguments": "{\"a\":1}"},
            {"type": "tool_call", "id": "d", "name": "far", "arguments": "{}"},
        ]},
        {"role": "tool", "content": [
            {"type": "tool_result", "call_id": "output-available", "name": "add", "content": "{\"sum\":3}"},
            {"type": "tool_result", "call_id": "output-error", "name": "add", "content": "no", "is_error": true},
            {"type": "tool_result", "call_id": "d", "name": "far", "content": "text"},
        ]},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "And?"},
    ]);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_page_that_says_nonsense_is_told_where() {
    let app = app(&FakeProvider::new().text("never"));
    let user = |part: Value| json!({"messages": [{"role": "user", "parts": [part]}]});
    for (body, place) in [
        (json!({"messages": []}), "/messages"),
        (json!({"messages": [{"role": "system", "parts": []}]}), "/messages/0/role"),
        (json!({"messages": [{"role": "user", "parts": []}]}), "/messages/0/parts"),
        (user(json!({"type": "text"})), "/messages/0/parts/0"),
        (
            user(json!({"type": "file", "mediaType": "a/b", "url": "file:///etc/passwd"})),
            "/messages/0/parts/0/url",
        ),
        (
            user(json!({"type": "file", "mediaType": "a/b", "url": "data:;base64,%%"})),
            "/messages/0/parts/0/url",
        ),
        (user(json!({"type": 7})), "/messages/0/parts/0/type"),
    ] {
        let response = use_page(&app, "/use-chat", &body).await;
        assert_eq!(response.status(), 422, "{body}");
        let problem: Value = response.json().await;
        assert_eq!(problem["pointer"], place, "{body}");
    }
    let answer_last = page(&[("user", "Q"), ("assistant", "A")], json!({}));
    assert_eq!(use_page(&app, "/use-chat", &answer_last).await.status(), 422);
}
