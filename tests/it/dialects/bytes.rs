//! The bytes of each dialect, and who chooses it.

use super::*;

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
async fn a_text_that_arrives_whole_is_told_in_every_dialect() {
    for accept in ["", EVENTS, UI] {
        let reply = FakeReply::new().event(ChatEvent::Part(Part::text("Hello")));
        let app = app(&FakeProvider::new().reply(reply.finish(FinishReason::Stop)));
        let told = post(&app, "/client", accept, "Hi").await.text().await;
        assert!(told.contains("Hello"), "{accept}: {told}");
    }
    let refusal = FakeReply::new().event(ChatEvent::Part(Part::Refusal("No.".to_owned())));
    let app = app(&FakeProvider::new().reply(refusal.finish(FinishReason::ContentFilter)));
    let told = post(&app, "/client", "", "Hi").await.text().await;
    assert!(told.contains("No."), "{told}");
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
    let names = |events: &[TestEvent]| -> Vec<String> {
        let parts = events.iter().filter_map(|event| serde_json::from_str(&event.data).ok());
        parts.map(|data: Value| data["type"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let taken_back = app(&reply());
    let told = names(&post(&taken_back, "/chat", EVENTS, "Hi").await.events().await);
    let after = told.iter().skip_while(|known| *known != "reset").count();
    assert!(after > 1 && told.last().unwrap() == "finish", "{told:?}");
    assert_eq!(texts(&taken_back).await, ["Hi", "anew"]);
    let broken = app(&reply());
    let events = post(&broken, "/chat", "", "Hi").await.events().await;
    assert_eq!(events.last().unwrap().event, "error");
    assert!(said(&broken).await.is_empty());
    // The parts of the AI SDK's versions 5 and 6 have no word for it.
    let broken = app(&reply());
    let told = names(&post(&broken, "/chat", UI, "Hi").await.events().await);
    assert_eq!(told.last().unwrap(), "error", "{told:?}");
    assert!(!told.iter().any(|name| name.starts_with("reset")), "{told:?}");
    assert!(said(&broken).await.is_empty());
    // What nobody has seen need not be taken back.
    let unseen = FakeReply::new().event(ChatEvent::Reset).text("anew").finish(FinishReason::Stop);
    for accept in [UI, EVENTS, ""] {
        let app = app(&FakeProvider::new().reply(unseen.clone()));
        post(&app, "/chat", accept, "Hi").await.events().await;
        assert_eq!(texts(&app).await, ["Hi", "anew"]);
    }
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
