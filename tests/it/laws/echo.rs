//! Law 3: an answer that is read and sent back as history says what it said, what is not known of
//! it included.

use super::document::{Answer, End, Piece, answer};
use super::{Wire, cases};
use ember::llm::{ChatRequest, Message, ToolResult};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the interface has for the answer in a request.
fn echoed(wire: Wire, answer: &Answer) -> Value {
    let whole = answer.whole(wire).to_string();
    let message = wire.decode(&whole).unwrap().message;
    let results: Vec<_> = message.tool_calls().map(|call| ToolResult::new(call, "7")).collect();
    let mut messages = vec![Message::user("Hi"), message];
    if !results.is_empty() {
        messages.push(Message::tool_results(results));
    }
    messages.push(Message::user("Go on."));
    let body = wire.encode(&ChatRequest::new(messages)).body;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let of = |messages: Vec<Value>, role: &str, content: &str| -> Value {
        let own = messages.into_iter().filter(|message| message["role"] == role);
        own.flat_map(|message| message[content].as_array().cloned().unwrap_or_default()).collect()
    };
    match wire {
        Wire::OpenAi => {
            list("messages").into_iter().find(|message| message["role"] == "assistant").unwrap()
        }
        Wire::Responses => {
            let theirs =
                |item: &Value| item["role"] == "user" || item["type"] == "function_call_output";
            list("input").into_iter().filter(|item| !theirs(item)).collect()
        }
        Wire::Anthropic => of(list("messages"), "assistant", "content"),
        Wire::Gemini => of(list("contents"), "model", "parts"),
    }
}

/// What must be there: the answer as it came, without what no request may hold.
fn expected(wire: Wire, answer: &Answer) -> Value {
    match wire {
        Wire::OpenAi => {
            let mut message = answer.message();
            // OpenAI itself takes no thoughts back, and no sources.
            let members = message.as_object_mut().unwrap();
            members.remove("reasoning_content");
            members.remove("annotations");
            if members["content"].is_null() {
                match members.contains_key("tool_calls") {
                    true => drop(members.remove("content")),
                    false => drop(members.insert("content".into(), "".into())),
                }
            }
            message
        }
        Wire::Responses => {
            let items = answer.items().into_iter().zip(&answer.pieces).enumerate();
            let is_said = |piece: &Piece| match piece {
                Piece::Text { text, .. } => !text.is_empty(),
                Piece::Thought { .. } => false,
                _ => true,
            };
            let sent = items.filter(|(index, (_, piece))| match piece {
                // A thought goes back with what it led to.
                Piece::Thought { mark, .. } => {
                    mark.is_some() && answer.pieces[*index..].iter().any(is_said)
                }
                piece => is_said(piece),
            });
            let items = sent.map(|(_, (mut item, _))| {
                item.as_object_mut().unwrap().remove("status");
                if item["content"][0]["annotations"] == json!([]) {
                    item["content"][0].as_object_mut().unwrap().remove("annotations");
                }
                item
            });
            items.collect()
        }
        Wire::Anthropic => {
            let blocks = answer.blocks().into_iter().zip(&answer.pieces);
            let sent = blocks.filter(|(_, piece)| match piece {
                Piece::Text { text, .. } => !text.trim().is_empty(),
                Piece::Thought { mark, .. } => mark.is_some(),
                _ => true,
            });
            sent.map(|(block, _)| block).collect()
        }
        Wire::Gemini => {
            let mut parts: Vec<Value> = Vec::new();
            for part in answer.parts() {
                let signed = |part: &Value| part["thoughtSignature"].is_string();
                match parts.last_mut() {
                    _ if part["text"] == "" && !signed(&part) => {}
                    Some(last)
                        if [&*last, &part]
                            .iter()
                            .all(|part| part["text"].is_string() && !signed(part))
                            && last["thought"] == part["thought"] =>
                    {
                        let text =
                            [&last["text"], &part["text"]].map(|text| text.as_str().unwrap());
                        last["text"] = text.concat().into();
                    }
                    _ => parts.push(part),
                }
            }
            let unsigned =
                |part: &Value| part["thought"] == true && !part["thoughtSignature"].is_string();
            parts.retain(|part| !unsigned(part));
            // An id goes back where Gemini gave it, which a mark on one of the calls tells.
            let given = parts.iter().any(|part| {
                part["functionCall"].is_object() && part["thoughtSignature"].is_string()
            });
            let mut first = true;
            for part in parts.iter_mut().filter(|part| part["functionCall"].is_object()) {
                if !given {
                    part["functionCall"].as_object_mut().unwrap().remove("id");
                }
                if std::mem::take(&mut first) && !part["thoughtSignature"].is_string() {
                    part["thoughtSignature"] = "skip_thought_signature_validator".into();
                }
            }
            parts.into()
        }
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn what_was_read_goes_back_as_it_came(mut answer in answer()) {
        // A turn that did not end well does not go on.
        answer.end = End::Done;
        for wire in Wire::ALL {
            let (echoed, expected) = (echoed(wire, &answer), expected(wire, &answer));
            prop_assert_eq!(&echoed, &expected, "{:?}: {:#} instead of {:#}", wire, echoed, expected);
        }
    }
}
