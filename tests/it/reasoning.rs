//! Reasoning that a vendor wants to see again: it is kept with the answer, and goes back as it came.

use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::{Adapter, CallIds, EventDecoder as _};
use ember::llm::{Accumulator, ChatRequest, ChatResponse, Message, Part, Reasoning, ToolResult};
use ember_tests::shared;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;

fn decode(vendor: &str, message: &Value, reason: &str) -> ChatResponse {
    let choice = json!({"index": 0, "message": message, "finish_reason": reason});
    let whole = json!({"id": "i", "model": "m", "choices": [choice]});
    OpenAi::named(vendor).decode(whole.to_string().as_bytes(), CallIds::default()).unwrap()
}

fn fold(vendor: &str, deltas: &[Value], reason: &str) -> ChatResponse {
    let mut decoder = OpenAi::named(vendor).decoder(CallIds::default());
    let mut events = VecDeque::new();
    let chunk = |delta: &Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        json!({"id": "i", "model": "m", "choices": [choice]}).to_string()
    };
    for delta in deltas {
        decoder.event(&chunk(delta, Value::Null), &mut events).unwrap();
    }
    decoder.event(&chunk(&json!({}), reason.into()), &mut events).unwrap();
    decoder.event("[DONE]", &mut events).unwrap();
    let mut accumulator = Accumulator::new();
    events.iter().for_each(|event| accumulator.push(event));
    accumulator.finish().unwrap()
}

/// The answer as history, as this vendor is sent it, and what was not sent.
fn echoed(vendor: &str, response: &ChatResponse) -> (Value, usize) {
    let message = response.message.clone();
    let results: Vec<_> = message.tool_calls().map(|call| ToolResult::new(call, "7")).collect();
    let mut messages = vec![Message::user("Hi"), message];
    messages.extend((!results.is_empty()).then(|| Message::tool_results(results)));
    let encoded = OpenAi::named(vendor).encode(&ChatRequest::new(messages), "m", false).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    (body["messages"][1].clone(), encoded.dropped.len())
}

/// What the answer says, its marks as the JSON that they are, whose members have no order.
fn said(response: &ChatResponse) -> Vec<(String, Value)> {
    let part = |part: &Part| match part {
        Part::Reasoning(Reasoning { text, signature, .. }) => {
            let mark = signature.as_ref().map(|mark| serde_json::from_str(&mark.value).unwrap());
            (text.clone(), mark.unwrap_or_default())
        }
        other => (format!("{other:?}"), Value::Null),
    };
    response.message.content.iter().map(part).collect()
}

/// Details as OpenRouter gives them, in order: text with a signature, a summary, or what is encrypted.
fn details() -> impl Strategy<Value = Vec<Value>> {
    let detail = prop_oneof![
        ("[a-zé]{1,9}", prop::option::of("[a-z]{4}")).prop_map(|(text, signature)| {
            let mut detail = json!({"type": "reasoning.text", "text": text, "format": "f"});
            if let Some(signature) = signature {
                detail["signature"] = signature.into();
            }
            detail
        }),
        "[a-z]{1,9}".prop_map(|text| json!({"type": "reasoning.summary", "summary": text})),
        "[a-z]{4}".prop_map(|data| json!({"type": "reasoning.encrypted", "data": data, "id": "r"})),
    ];
    vec(detail, 0..4).prop_map(|mut details| {
        for (index, detail) in details.iter_mut().enumerate() {
            detail["index"] = index.into();
        }
        details
    })
}

/// A detail in the pieces in which it is streamed: its text letter by letter, then the rest.
fn pieces(detail: &Value) -> Vec<Value> {
    let name = ["text", "summary"].into_iter().find(|name| detail[*name].is_string());
    let Some(name) = name else { return vec![detail.clone()] };
    let text = detail[name].as_str().unwrap();
    let bare = json!({"type": detail["type"], "index": detail["index"]});
    let letters = text.chars().map(|letter| {
        let mut piece = bare.clone();
        piece[name] = letter.to_string().into();
        piece
    });
    let mut rest = detail.clone();
    rest.as_object_mut().unwrap().remove(name);
    letters.chain([rest]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn openrouter_sees_its_details_again(details in details(), text in "[a-z]{0,3}", calls in any::<bool>()) {
        let shown: String = details.iter().filter_map(|detail| {
            detail.get("text").or(detail.get("summary"))?.as_str()
        }).collect();
        let call = json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}});
        let mut message = json!({"role": "assistant", "content": text, "reasoning": shown, "reasoning_details": details});
        let mut deltas: Vec<_> = details.iter().flat_map(pieces).map(|piece| {
            let text = piece.get("text").or(piece.get("summary"));
            json!({"content": "", "reasoning": text, "reasoning_details": [piece]})
        }).collect();
        deltas.push(json!({"content": text}));
        let reason = if calls { "tool_calls" } else { "stop" };
        if calls {
            message["tool_calls"] = json!([call]);
            deltas.push(json!({"tool_calls": [call]}));
        }
        let whole = decode("openrouter", &message, reason);
        prop_assert_eq!(said(&fold("openrouter", &deltas, reason)), said(&whole));
        prop_assert_eq!(&*whole.message.reasoning(), &shown);
        let (sent, dropped) = echoed("openrouter", &whole);
        let expected = if details.is_empty() { Value::Null } else { details.clone().into() };
        prop_assert_eq!((&sent["reasoning_details"], dropped), (&expected, 0));
        prop_assert_eq!(&sent["reasoning"], &Value::Null, "it is said once");
        // Nobody else is sent it, and what is not sent is listed.
        for other in ["openai", "mistral", "groq"] {
            let (sent, dropped) = echoed(other, &whole);
            prop_assert_eq!(&sent["reasoning_details"], &Value::Null);
            prop_assert_eq!(dropped > 0, !details.is_empty());
        }
    }

    #[test]
    fn mistral_sees_its_thoughts_again(thought in "[a-zé]{1,9}", text in "[a-z]{0,5}", closed in any::<bool>()) {
        let thinking = |text: &str| json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]});
        let mut whole = thinking(&thought);
        if closed {
            whole["closed"] = true.into();
        }
        let content = [Some(whole), (!text.is_empty()).then(|| json!({"type": "text", "text": text}))];
        let content: Vec<_> = content.into_iter().flatten().collect();
        let letters = thought.chars().map(|letter| json!({"content": [thinking(&letter.to_string())]}));
        let mut deltas: Vec<_> = letters.collect();
        if closed {
            deltas.push(json!({"content": [{"type": "thinking", "thinking": [], "closed": true}]}));
        }
        deltas.push(json!({"content": text}));
        let response = decode("mistral", &json!({"content": content}), "stop");
        prop_assert_eq!(said(&fold("mistral", &deltas, "stop")), said(&response));
        prop_assert_eq!((&*response.message.reasoning(), &*response.text()), (&*thought, &*text));
        let (sent, dropped) = echoed("mistral", &response);
        prop_assert_eq!((&sent["content"], dropped), (&Value::from(content), 0));
        let (sent, dropped) = echoed("openrouter", &response);
        prop_assert_eq!((sent["content"].is_string(), dropped), (true, 1));
    }
}

#[test]
fn what_stands_only_in_the_details_is_read() {
    let details = json!([{"type": "reasoning.text", "text": "hm", "index": 0}]);
    let message = json!({"content": "a", "reasoning": null, "reasoning_details": details});
    assert_eq!(decode("openrouter", &message, "stop").message.reasoning(), "hm");
    let late = [
        json!({"content": "a"}),
        json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "index": 0}]}),
    ];
    let response = fold("openrouter", &late, "stop");
    let [Part::Text(_), Part::Reasoning(Reasoning { text, signature: Some(_), .. })] =
        &*response.message.content
    else {
        panic!("{response:?}")
    };
    assert_eq!((&**text, &*response.text()), ("", "a"));
    assert_eq!(echoed("openrouter", &response).0["reasoning_details"][0]["data"], "d");
    // Whatever else stands there breaks nothing.
    for odd in [json!("text"), json!({"type": 7}), json!([7, null, {"type": 7}])] {
        let message = json!({"content": "a", "reasoning_details": odd});
        assert_eq!(decode("openrouter", &message, "stop").text(), "a");
    }
}

/// Every recorded answer with reasoning of these vendors goes back as it came.
#[test]
fn recorded_reasoning_goes_back_as_it_came() {
    let Some(folder) = shared("recordings/openai-chat") else { return };
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let vendor = recording["provider"].as_str().unwrap();
        let body = recording["response"]["body"].as_str().unwrap();
        if recording["stream"] == true || !["openrouter", "mistral"].contains(&vendor) {
            continue;
        }
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let message = &body["choices"][0]["message"];
        let details = message["reasoning_details"].as_array().is_some_and(|list| !list.is_empty());
        let thinks = message["content"][0]["type"] == "thinking";
        if !details && !thinks {
            continue;
        }
        seen += 1;
        let reason = body["choices"][0]["finish_reason"].as_str().unwrap();
        let (sent, _) = echoed(vendor, &decode(vendor, message, reason));
        if details {
            assert_eq!(sent["reasoning_details"], message["reasoning_details"]);
        } else {
            assert_eq!(sent["content"], message["content"]);
        }
    }
    println!("{seen} recorded answers with reasoning");
    assert!(seen >= 6, "{seen}");
}
