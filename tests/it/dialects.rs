//! Streams to the browser: the bytes of each dialect, who chooses it, and what becomes of a turn
//! whose reader goes away.

use ember::base::sse::{Decoder, Frame};
use ember::llm::layer::{Cost, CostConfig};
use ember::llm::{
    ChatEvent, Client, ErrorKind, FakeProvider, FakeReply, FinishReason, History, HttpProvider,
    Media, MemorySessionStore, Message, Part, ProviderConfig, SessionChange, SessionQuery,
    SessionStore, SessionSummary, Usage,
};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember_tests::{Reply, Upstream};
use futures_util::stream;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Fails.
#[tool]
async fn fail() -> Result<String, ToolError> {
    Err(ToolError::new("out of order"))
}

#[ai_route("/chat", tools = [add, fail])]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/kept", tools = [add], on_disconnect = OnDisconnect::Keep)]
async fn kept(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/kept-ask", on_disconnect = OnDisconnect::Keep)]
async fn kept_ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/ask")]
async fn ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/ui", stream = StreamDialect::UiMessages, tools = [add])]
async fn ui(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/use-chat")]
async fn use_chat(
    conversation: ConversationContext,
    messages: UiMessages,
) -> ember::Result<TokenStream> {
    conversation.stream(messages).await
}

/// Asks, and notes whether that went wrong.
#[ai_route("/noted")]
async fn noted(
    mut conversation: ConversationContext,
    messages: UiMessages,
) -> ember::Result<String> {
    match conversation.ask(messages).await {
        Ok(answer) => Ok(answer),
        Err(error) => {
            conversation.note("failed", true);
            conversation.save().await?;
            Err(error)
        }
    }
}

#[ai_route("/stateless", tools = [add])]
async fn stateless(client: Client, messages: UiMessages) -> ember::Result<TokenStream> {
    Ok(client.stream(messages.into_messages()).await?.into())
}

#[ai_route("/client")]
async fn client_stream(client: Client, message: String) -> ember::Result<TokenStream> {
    Ok(client.stream(message).await?.into())
}

#[get("/fixed")]
async fn fixed() -> TokenStream {
    sse_stream(stream::iter(["Hello", " world"])).dialect(StreamDialect::Events)
}

#[get("/words")]
async fn words() -> TokenStream {
    sse_stream(stream::iter(["Hello", " world"]))
}

#[ai_route("/history", methods = [GET])]
async fn history(conversation: ConversationContext) -> Json<Vec<Message>> {
    Json(conversation.messages().to_vec())
}

const C: &str = "cccccccccccccccccccccccccccccccc";
const EVENTS: &str = "text/event-stream; dialect=events";
const UI: &str = "text/event-stream; dialect=ui-messages";

fn app(provider: &FakeProvider) -> TestClient {
    let app = ember::app!().client(Client::new(provider.clone()));
    TestClient::new(app.build().unwrap())
}

async fn post(app: &TestClient, target: &str, accept: &str, message: &str) -> TestResponse {
    let request = app.post(target).body(message.to_owned()).header("x-conversation-id", C);
    let request = if accept.is_empty() { request } else { request.header("accept", accept) };
    request.send().await
}

async fn said(app: &TestClient) -> Vec<Message> {
    app.get("/history").header("x-conversation-id", C).send().await.json().await
}

async fn texts(app: &TestClient) -> Vec<String> {
    said(app).await.iter().map(|message| message.text().into_owned()).collect()
}

/// An answer with everything in it: reasoning, two calls, one of which fails, and text.
fn everything() -> FakeProvider {
    let part = |part| ChatEvent::PartEnd { signature: part };
    FakeProvider::new()
        .reply(
            FakeReply::new()
                .event(ChatEvent::Reasoning("Hm".into()))
                .event(ChatEvent::Reasoning("m.".into()))
                .event(part(None))
                .text("Let me")
                .tool_call("add", json!({"a": 1, "b": 2}))
                .tool_call("fail", json!({}))
                .usage(Usage::new(10, 5)),
        )
        .reply(FakeReply::new().text("It\nis 3.").usage(Usage::new(20, 3)))
}

const PLAIN: &str = "data: Let \n\ndata: me\n\ndata: It\ndata: is \n\ndata: 3.\n\ndata: [DONE]\n\n";

const TYPED: &str = r#"event: start
data: {"type":"start","id":"fake-1","model":"fake"}

event: reasoning
data: {"type":"reasoning","text":"Hm"}

event: reasoning
data: {"type":"reasoning","text":"m."}

event: text
data: {"type":"text","text":"Let "}

event: text
data: {"type":"text","text":"me"}

event: tool_call_start
data: {"type":"tool_call_start","id":"call_1","name":"add"}

event: tool_call_delta
data: {"type":"tool_call_delta","id":"call_1","arguments":"{\"a\":1,\"b\":2}"}

event: tool_call_start
data: {"type":"tool_call_start","id":"call_2","name":"fail"}

event: tool_call_delta
data: {"type":"tool_call_delta","id":"call_2","arguments":"{}"}

event: usage
data: {"type":"usage","input_tokens":10,"cache_read_tokens":null,"cache_write_tokens":null,"output_tokens":5,"reasoning_tokens":null,"estimated":false}

event: tool_call
data: {"type":"tool_call","id":"call_1","name":"add","input":{"a":1,"b":2}}

event: tool_call
data: {"type":"tool_call","id":"call_2","name":"fail","input":{}}

event: tool_result
data: {"type":"tool_result","id":"call_1","name":"add","output":3}

event: tool_result
data: {"type":"tool_result","id":"call_2","name":"fail","error":"ERROR"}

event: step_end
data: {"type":"step_end"}

event: start
data: {"type":"start","id":"fake-1","model":"fake"}

event: text
data: {"type":"text","text":"It\nis "}

event: text
data: {"type":"text","text":"3."}

event: usage
data: {"type":"usage","input_tokens":30,"cache_read_tokens":null,"cache_write_tokens":null,"output_tokens":8,"reasoning_tokens":null,"estimated":false}

event: finish
data: {"type":"finish","reason":"stop"}

"#;

const UI_PARTS: &str = r#"{"type":"start"}
{"type":"start-step"}
{"type":"reasoning-start","id":"0"}
{"type":"reasoning-delta","id":"0","delta":"Hm"}
{"type":"reasoning-delta","id":"0","delta":"m."}
{"type":"reasoning-end","id":"0"}
{"type":"text-start","id":"1"}
{"type":"text-delta","id":"1","delta":"Let "}
{"type":"text-delta","id":"1","delta":"me"}
{"type":"text-end","id":"1"}
{"type":"tool-input-start","toolCallId":"call_1","toolName":"add"}
{"type":"tool-input-delta","toolCallId":"call_1","inputTextDelta":"{\"a\":1,\"b\":2}"}
{"type":"tool-input-start","toolCallId":"call_2","toolName":"fail"}
{"type":"tool-input-delta","toolCallId":"call_2","inputTextDelta":"{}"}
{"type":"tool-input-available","toolCallId":"call_1","toolName":"add","input":{"a":1,"b":2}}
{"type":"tool-input-available","toolCallId":"call_2","toolName":"fail","input":{}}
{"type":"tool-output-available","toolCallId":"call_1","output":3}
{"type":"tool-output-error","toolCallId":"call_2","errorText":"ERROR"}
{"type":"finish-step"}
{"type":"start-step"}
{"type":"text-start","id":"2"}
{"type":"text-delta","id":"2","delta":"It\nis "}
{"type":"text-delta","id":"2","delta":"3."}
{"type":"text-end","id":"2"}
{"type":"finish-step"}
{"type":"finish","finishReason":"stop","messageMetadata":{"model":"fake","usage":{"inputTokens":30,"outputTokens":8,"totalTokens":38}}}
[DONE]"#;

/// The words of the tool that fails, as the model reads them.
/// What a client is told; why it failed is for the model.
const ERROR: &str = "The tool failed.";

#[tokio::test]
async fn each_dialect_has_its_bytes() {
    let ui: String =
        UI_PARTS.replace("ERROR", ERROR).lines().map(|part| format!("data: {part}\n\n")).collect();
    for (accept, expected) in [
        ("", PLAIN),
        ("text/event-stream", PLAIN),
        (EVENTS, &TYPED.replace("ERROR", ERROR)),
        (UI, &ui),
    ] {
        let app = app(&everything());
        let response = post(&app, "/chat", accept, "1 + 2?").await;
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        assert_eq!(response.header("cache-control"), Some("no-cache"));
        assert_eq!(response.header("x-accel-buffering"), Some("no"));
        assert_eq!(response.header("vary"), Some("accept"));
        let version = response.header("x-vercel-ai-ui-message-stream");
        assert_eq!(version, (accept == UI).then_some("v1"));
        let bytes = response.bytes().await;
        assert_eq!(String::from_utf8_lossy(&bytes), expected, "{accept}");
        assert_eq!(texts(&app).await, ["1 + 2?", "It\nis 3."]);
        every_split_reads_the_same(&bytes);
    }
}

/// Reads bytes in two pieces, cut anywhere.
fn every_split_reads_the_same(bytes: &[u8]) {
    let read = |pieces: &[&[u8]]| {
        let (mut decoder, mut events) = (Decoder::new(), Vec::new());
        for piece in pieces {
            let note = |frame: Frame<'_>| {
                if let Frame::Event { event, data, .. } = frame {
                    events.push(format!("{event} {data}"));
                }
            };
            decoder.decode(piece, note).unwrap();
        }
        events
    };
    let whole = read(&[bytes]);
    assert!(!whole.is_empty());
    for cut in 0..bytes.len() {
        let (before, after) = bytes.split_at(cut);
        assert_eq!(read(&[before, after]), whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_text_may_be_cut_anywhere() {
    // A line break, a quote and characters of several bytes: each piece is a string of its own.
    let text = "a\"\r\nß\u{1f525}z";
    let all: Vec<_> = text.char_indices().map(|(at, _)| at).skip(1).collect();
    for at in all {
        let (first, second) = text.split_at(at);
        let pieces = [first, second].map(|piece| ChatEvent::Text(piece.to_owned()));
        for (accept, member) in [(EVENTS, "text"), (UI, "delta")] {
            let reply = pieces.iter().cloned().fold(FakeReply::new(), FakeReply::event);
            let app = app(&FakeProvider::new().reply(reply));
            let events = post(&app, "/chat", accept, "Hi").await.events().await;
            let parts = events.iter().filter_map(|event| serde_json::from_str(&event.data).ok());
            let told: String = parts
                .filter_map(|part: Value| part.get(member)?.as_str().map(str::to_owned))
                .collect();
            assert_eq!(told, text, "{accept} at {at}");
        }
    }
}

#[tokio::test]
async fn a_failure_in_mid_stream_is_told_in_each_dialect_and_never_finished() {
    let broken = [
        (FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "secret"), 502),
        (FakeReply::new().text("a b c").cut_after(2), 502),
        (FakeReply::new().text("a b ").finish(FinishReason::Length), 502),
        (FakeReply::new().text("a b ").finish(FinishReason::ContentFilter), 422),
    ];
    for (reply, status) in broken {
        for accept in ["", EVENTS, UI] {
            let app = app(&FakeProvider::new().reply(reply.clone()));
            let events = post(&app, "/chat", accept, "Hi").await.events().await;
            let (last, before) = events.split_last().unwrap();
            let problem: Value = serde_json::from_str(&last.data).unwrap();
            match accept {
                UI => {
                    assert_eq!(problem["type"], "error");
                    assert!(problem["errorText"].as_str().is_some_and(|text| text.len() > 10));
                }
                _ => {
                    assert_eq!(last.event, "error");
                    assert_eq!(problem["status"], status);
                }
            }
            let all: String = events.iter().map(|event| event.data.as_str()).collect();
            assert!(!before.is_empty() && !all.contains("secret"), "{all}");
            assert!(!all.contains("[DONE]") && !all.contains("\"finish"), "{all}");
            assert!(said(&app).await.is_empty(), "a failed turn is rolled back");
        }
        let app = app(&FakeProvider::new().reply(reply));
        let whole = post(&app, "/chat", "application/json", "Hi").await;
        assert_eq!(whole.status(), status, "a document has a status of its own");
        assert!(said(&app).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_called_off_is_an_abort() {
    let reply = FakeReply::new().text("a b c").fail_after(2, ErrorKind::Cancelled, "gone");
    let app = app(&FakeProvider::new().reply(reply));
    let events = post(&app, "/chat", UI, "Hi").await.events().await;
    let last: Value = serde_json::from_str(&events.last().unwrap().data).unwrap();
    assert_eq!(last["type"], "abort");
}

#[tokio::test]
async fn an_answer_that_is_begun_anew_is_taken_back_where_the_reader_can() {
    let reply = || {
        let begun = FakeReply::new().text("begun ").tool_call("add", json!({"a": 1}));
        let finish = FinishReason::Stop;
        FakeProvider::new().reply(begun.event(ChatEvent::Reset).text("anew").finish(finish))
    };
    for (accept, name) in [(EVENTS, "reset"), (UI, "reset-step")] {
        let app = app(&reply());
        let events = post(&app, "/chat", accept, "Hi").await.events().await;
        let names: Vec<_> = events
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(&event.data).ok())
            .map(|data| data["type"].as_str().unwrap().to_owned())
            .collect();
        let after = names.iter().skip_while(|known| *known != name).count();
        assert!(after > 1 && names.last().unwrap() == "finish", "{names:?}");
        assert_eq!(texts(&app).await, ["Hi", "anew"]);
    }
    let app = app(&reply());
    let events = post(&app, "/chat", "", "Hi").await.events().await;
    assert_eq!(events.last().unwrap().event, "error");
    assert!(said(&app).await.is_empty());
}

#[tokio::test]
async fn the_handler_goes_before_the_route_and_the_route_before_the_request() {
    let app = app(&FakeProvider::new().text("Hi"));
    let by_route = post(&app, "/ui", EVENTS, "Hi").await;
    assert_eq!(by_route.header("x-vercel-ai-ui-message-stream"), Some("v1"));
    assert!(by_route.text().await.starts_with("data: {\"type\":\"start\"}"));
    let by_handler = app.get("/fixed").header("accept", UI).send().await;
    assert_eq!(by_handler.header("x-vercel-ai-ui-message-stream"), None);
    let expected = "event: text\ndata: {\"type\":\"text\",\"text\":\"Hello\"}\n\n\
        event: text\ndata: {\"type\":\"text\",\"text\":\" world\"}\n\n\
        event: finish\ndata: {\"type\":\"finish\",\"reason\":\"stop\"}\n\n";
    assert_eq!(by_handler.text().await, expected);
    let words = app.get("/words").header("accept", UI).send().await;
    assert_eq!(words.header("x-vercel-ai-ui-message-stream"), Some("v1"));
    assert!(
        words.text().await.ends_with("\"finish\",\"finishReason\":\"stop\"}\n\ndata: [DONE]\n\n")
    );
    let plain = app.get("/words").send().await.text().await;
    assert_eq!(plain, "data: Hello\n\ndata:  world\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn a_dialect_that_does_not_exist_is_refused_before_the_model_is_asked() {
    let fake = FakeProvider::new().text("Hi");
    let app = app(&fake);
    let refused = post(&app, "/chat", "text/event-stream; dialect=klingon", "Hi").await;
    assert_eq!(refused.status(), 406);
    assert!(refused.text().await.contains("`ui-messages`"));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_client_that_accepts_json_gets_one_document() {
    let app = app(&everything());
    let response = post(&app, "/chat", "application/json", "1 + 2?").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("x-conversation-id"), Some(C));
    assert_eq!(response.header("vary"), Some("accept"));
    let document: Value = response.json().await;
    let expected = json!({
        "model": "fake",
        "text": "It\nis 3.",
        "tool_calls": [
            {"id": "call_1", "name": "add", "input": {"a": 1, "b": 2}, "output": 3},
            {"id": "call_2", "name": "fail", "input": {}, "error": ERROR},
        ],
        "finish": "stop",
        "usage": {
            "input_tokens": 30, "cache_read_tokens": null, "cache_write_tokens": null,
            "output_tokens": 8, "reasoning_tokens": null, "estimated": false,
        },
    });
    assert_eq!(document, expected);
    assert_eq!(texts(&app).await, ["1 + 2?", "It\nis 3."]);
    let words: Value =
        app.get("/words").header("accept", "application/json").send().await.json().await;
    assert_eq!((&words["text"], &words["model"]), (&json!("Hello world"), &Value::Null));
}

#[tokio::test]
async fn a_stream_that_belongs_to_no_conversation_tells_why_it_ended() {
    let cut = || FakeReply::new().text("a b").finish(FinishReason::Length);
    let app = app(&FakeProvider::new().respond(move |_| cut()));
    let plain = post(&app, "/client", "", "Hi").await.events().await;
    assert_eq!(plain.last().unwrap().event, "error", "plain tokens have no other way to tell");
    let events = post(&app, "/client", EVENTS, "Hi").await.events().await;
    assert_eq!(events.last().unwrap().data, r#"{"type":"finish","reason":"length"}"#);
    let ui = post(&app, "/client", UI, "Hi").await.text().await;
    assert!(ui.contains(r#""finishReason":"length""#), "{ui}");
    let document: Value = post(&app, "/client", "application/json", "Hi").await.json().await;
    assert_eq!((&document["text"], &document["finish"]), (&json!("a b"), &json!("length")));
}

#[tokio::test]
async fn files_of_a_model_are_shown() {
    let picture = ChatEvent::Part(Part::Media(Media::bytes("image/png", &b"png"[..])));
    let reply = FakeReply::new().text("Look: ").event(picture);
    let fake = FakeProvider::new().respond(move |_| reply.clone());
    let app = app(&fake);
    let events = post(&app, "/client", EVENTS, "Hi").await.text().await;
    let data = r#""media_type":"image/png","url":"data:image/png;base64,cG5n"}"#;
    assert!(events.contains(data), "{events}");
    let ui = post(&app, "/client", UI, "Hi").await.text().await;
    let data = r#"{"type":"file","url":"data:image/png;base64,cG5n","mediaType":"image/png"}"#;
    assert!(ui.contains(data), "{ui}");
}

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

#[tokio::test]
async fn what_the_reader_was_sent_is_kept_as_the_route_says() {
    for (target, kept) in [("/kept", true), ("/chat", false)] {
        for accept in ["", EVENTS, UI] {
            let reply = FakeReply::new().text("a b c").hang_after(2);
            let app = app(&FakeProvider::new().reply(reply).text("fine"));
            let mut response = post(&app, target, accept, "Hi").await;
            let mut seen = String::new();
            while !seen.contains("b ") {
                seen += &response.next_event().await.unwrap().data;
            }
            drop(response);
            let next = timeout(secs(5), post(&app, "/ask", "", "Again")).await.unwrap();
            assert_eq!(next.text().await, "fine");
            let messages = said(&app).await;
            let texts: Vec<_> = messages.iter().map(|message| message.text()).collect();
            if kept {
                assert_eq!(texts, ["Hi", "a b ", "Again", "fine"], "{accept}");
                let cut: Vec<_> = messages.iter().map(|message| message.cut).collect();
                assert_eq!(cut, [false, true, false, false]);
            } else {
                assert_eq!(texts, ["Again", "fine"], "{accept}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_answered_before_whoever_asked_has_gone_is_kept_as_well() {
    for (target, accept, kept) in
        [("/kept-ask", "", true), ("/kept", "application/json", true), ("/ask", "", false)]
    {
        let reply = FakeReply::new().text("a b c").hang_after(2);
        let fake = FakeProvider::new().reply(reply).text("fine");
        let app = app(&fake);
        let abandoned = timeout(millis(100), post(&app, target, accept, "Hi"));
        assert!(abandoned.await.is_err());
        post(&app, "/ask", "", "Again").await.text().await;
        let expected: &[&str] =
            if kept { &["Hi", "a b ", "Again", "fine"] } else { &["Again", "fine"] };
        assert_eq!(texts(&app).await, expected, "{target} {accept}");
    }
}

#[tokio::test]
async fn a_turn_that_fails_or_in_which_nothing_was_said_is_not_kept() {
    let failing = FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "reset");
    let silent = FakeReply::new().reasoning("hm").hang_after(1);
    let app = app(&FakeProvider::new().reply(failing).reply(silent));
    post(&app, "/kept", EVENTS, "Hi").await.events().await;
    assert!(said(&app).await.is_empty());
    let mut thinking = post(&app, "/kept", EVENTS, "Hi").await;
    while thinking.next_event().await.unwrap().event != "reasoning" {}
    drop(thinking);
    assert!(said(&app).await.is_empty());
}

#[tokio::test]
async fn a_reader_who_leaves_calls_the_model_off_and_pays_for_what_was_used() {
    let chunk =
        json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "some words of it"}}]});
    for accept in ["", EVENTS, UI] {
        let data = chunk.clone();
        let mut upstream = Upstream::start(move |_| Reply::events().data(&data).hang()).await;
        let config = ProviderConfig::new("openai", "small").base_url(upstream.url());
        let cost = Cost::new(HttpProvider::openai(&config).unwrap(), CostConfig::new());
        let ledger = cost.ledger().clone();
        let app = ember::app!().client(Client::new(cost));
        let app = TestClient::new(app.build().unwrap());
        let mut response = post(&app, "/chat", accept, "Hi").await;
        while !response.next_event().await.unwrap().data.contains("some words") {}
        assert_eq!(ledger.totals().total_requests(), 0, "it still goes on");
        drop(response);
        timeout(secs(5), upstream.hung_up()).await.expect("the connection stays open");
        let totals = ledger.totals();
        assert_eq!(totals.total_requests(), 1, "{accept}");
        assert!(totals.total_output_tokens() >= 3 && totals.total_input_tokens() > 0, "{totals:?}");
    }
}

#[tokio::test]
async fn a_question_that_fails_takes_nothing_back() {
    let fake = FakeProvider::new()
        .reply(FakeReply::new().text("First"))
        .reply(FakeReply::error(ErrorKind::Overloaded, "busy"));
    let app = app(&fake);
    post(&app, "/ask", "", "Hi").await.text().await;
    let question = json!({"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]});
    let body = json!({"id": "x", "messages": [question], "trigger": "regenerate-message"});
    let failed = app.post("/noted").header("x-conversation-id", C).json(&body).send().await;
    assert_eq!(failed.status(), 503, "{}", failed.text().await);
    assert_eq!(texts(&app).await, ["Hi", "First"]);
}

/// A store that writes when it is told to, and says when it is asked to.
#[derive(Clone)]
struct Held {
    store: Arc<MemorySessionStore>,
    asked: Arc<Notify>,
    open: Arc<Semaphore>,
}

impl SessionStore for Held {
    type Lock = <MemorySessionStore as SessionStore>::Lock;

    async fn load(&self, id: &str) -> ember::Result<History> {
        self.store.load(id).await
    }

    async fn write(&self, id: &str, version: u64, change: SessionChange) -> ember::Result<u64> {
        self.asked.notify_one();
        let _open = self.open.acquire().await.unwrap();
        self.store.write(id, version, change).await
    }

    async fn delete(&self, id: &str) -> ember::Result<bool> {
        self.store.delete(id).await
    }

    async fn exists(&self, id: &str) -> ember::Result<bool> {
        self.store.exists(id).await
    }

    async fn list(&self, query: SessionQuery) -> ember::Result<Vec<SessionSummary>> {
        self.store.list(query).await
    }

    async fn lock(&self, id: &str) -> ember::Result<Self::Lock> {
        self.store.lock(id).await
    }
}

#[tokio::test]
async fn an_answer_that_was_complete_is_kept_although_its_reader_left_before_the_store_had_it() {
    for (target, accept) in [("/kept-ask", ""), ("/kept", "application/json"), ("/kept", "")] {
        let store = Held {
            store: Arc::new(MemorySessionStore::new()),
            asked: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
        };
        let client = Client::new(FakeProvider::new().text("all of it"));
        let app = ember::app!().client(client).sessions(store.clone());
        let app = TestClient::new(app.build().unwrap());
        let work = async { post(&app, target, accept, "Hi").await.text().await };
        tokio::select! {
            text = work => panic!("answered before it was remembered: {text}"),
            () = store.asked.notified() => {}
        }
        store.open.add_permits(1);
        // The conversation is free again when the turn is written.
        assert_eq!(texts(&app).await, ["Hi", "all of it"], "{target} {accept}");
    }
}

#[tokio::test]
async fn the_servers_stop_is_told_in_the_dialect_of_the_stream() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (accept, ending) in [
        (UI, "data: {\"type\":\"error\",\"errorText\":\"The server is stopping.\"}\n\n"),
        (EVENTS, "event: error\n"),
        ("text/event-stream", "event: error\n"),
    ] {
        let fake = FakeProvider::new().reply(FakeReply::new().text("one two three").hang_after(2));
        let app = ember::app!().client(Client::new(fake)).workers(1);
        let running = app.serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let mut socket = tokio::net::TcpStream::connect(running.address()).await.unwrap();
        let request = format!(
            "POST /client HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nHi"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("one") {
            assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
        }
        running.stop().within(ember::base::clock::secs(0));
        socket.read_to_end(&mut seen).await.unwrap();
        running.join();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.contains(ending) && !seen.contains("[DONE]"), "{accept}: {seen}");
        assert_eq!(seen.contains("event: error"), accept != UI, "{seen}");
    }
}
