//! Law 9: a conversation that moves to another interface keeps its texts, roles, calls and results,
//! and what that cannot say is listed.

use super::{Wire, cases};
use ember::llm::{
    ChatRequest, Media, Message, Part, Reasoning, Role, Signature, ToolCall, ToolResult,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is said in a conversation: who says it, what sort of thing it is, and a word that is
/// nowhere else.
type Said = (&'static str, &'static str, String);

fn part() -> impl Strategy<Value = (u8, bool)> {
    (0..7_u8, any::<bool>())
}

/// Turns as they come: of the model with calls, all of which are answered; and others that hold
/// anything.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    vec((0..4_u8, vec(part(), 0..4)), 0..7).prop_map(|turns| {
        let mut messages = Vec::new();
        let mut number = 0;
        let mut word = |kind: &str| {
            number += 1;
            format!("{kind}-{number}-")
        };
        for (role, parts) in turns {
            let role =
                [Role::System, Role::User, Role::Assistant, Role::Assistant][usize::from(role)];
            let mut results = Vec::new();
            let parts = parts.into_iter().map(|(kind, odd)| match kind {
                0..=2 => Part::text(word("text")),
                3 => {
                    let word = word("call");
                    let call = ToolCall::new(&*word, "f", format!("{{\"a\":\"{word}\"}}"));
                    if role == Role::Assistant && !odd {
                        results.push(ToolResult::new(&call, format!("result-of-{word}")));
                    }
                    Part::ToolCall(call)
                }
                4 => {
                    let mut thought = Reasoning::new(word("thought"));
                    thought.signature = odd.then(|| Signature::new("elsewhere", "mark"));
                    Part::Reasoning(thought)
                }
                5 => Part::Refusal(word("refusal")),
                _ if odd => {
                    Part::Media(Media::image_url(format!("https://a.test/{}", word("media"))))
                }
                _ => Part::Media(Media::bytes("audio/wav", word("media"))),
            });
            let parts: Vec<_> = parts.collect();
            messages.push(Message::new(role, parts));
            if !results.is_empty() {
                messages.push(Message::tool_results(results));
            }
        }
        messages
    })
}

/// What a conversation of ours says, part by part.
fn said(messages: &[Message]) -> Vec<(usize, usize, Said)> {
    let mut said = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = match message.role {
            Role::System => "system",
            Role::Assistant => "assistant",
            _ => "user",
        };
        for (index, part) in message.content.iter().enumerate() {
            let (kind, word) = match part {
                Part::Text(text) => ("text", text.text.clone()),
                Part::Refusal(text) => ("text", text.clone()),
                Part::Reasoning(thought) => ("thought", thought.text.clone()),
                Part::ToolCall(call) => {
                    ("call", call.parse().unwrap()["a"].as_str().unwrap().to_owned())
                }
                Part::ToolResult(result) => ("result", result.content.clone()),
                Part::Media(media) => ("media", format!("{:?}", media.source)),
                _ => continue,
            };
            said.push((at, index, (role, kind, word)));
        }
    }
    said
}

/// What stands in a value, in the order in which it stands there.
fn words_of(value: &Value) -> Vec<String> {
    let text = value.to_string();
    let chars = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(|c: char| !chars(c)).map(str::to_owned).collect()
}

/// The messages of a request: who speaks, and all that is said.
fn spoken(wire: Wire, body: &Value) -> Vec<(&'static str, Value)> {
    let role = |message: &Value| match message["role"].as_str().or(message["type"].as_str()) {
        Some("system") => "system",
        Some("assistant" | "model" | "function_call") => "assistant",
        _ => "user",
    };
    let (apart, list) = match wire {
        Wire::OpenAi => (&Value::Null, &body["messages"]),
        Wire::Responses => (&Value::Null, &body["input"]),
        Wire::Anthropic => (&body["system"], &body["messages"]),
        Wire::Gemini => (&body["systemInstruction"], &body["contents"]),
    };
    let apart = (!apart.is_null()).then(|| ("system", apart.clone()));
    apart
        .into_iter()
        .chain(list.as_array().unwrap().iter().map(|message| (role(message), message.clone())))
        .collect()
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn nothing_is_lost_in_silence(messages in messages()) {
        for wire in Wire::ALL {
            let encoded = wire.encode(&ChatRequest::new(messages.clone()));
            let body: Value = serde_json::from_slice(&encoded.body).unwrap();
            let spoken = spoken(wire, &body);
            let holds = |value: &Value, kind: &str, word: &str| match kind {
                "call" => words_of(value).iter().any(|known| known == word),
                _ => value.to_string().contains(word),
            };
            let mut places = BTreeMap::new();
            let words = said(&messages).into_iter().filter(|(.., (_, kind, _))| *kind != "media");
            for (at, index, (role, kind, word)) in words {
                let place = format!("messages[{at}].content[{index}]");
                let dropped = encoded.dropped.iter().any(|dropped| dropped.what == place);
                let found = spoken.iter().position(|(_, value)| holds(value, kind, &word));
                prop_assert_eq!(found.is_some(), !dropped, "{:?}: {} {} of {:#}", wire, place, word, body);
                if let Some(found) = found {
                    prop_assert_eq!(spoken[found].0, role, "{:?}: {}", wire, word);
                    // Who speaks later is heard later; instructions go ahead where they must.
                    if role != "system" {
                        let last = places.insert(kind, found).unwrap_or(0);
                        prop_assert!(found >= last, "{wire:?}: {word} of {body:#}");
                    }
                }
            }
            // Media are counted: each is there or listed.
            let sent = said(&messages).into_iter().filter(|(at, index, (_, kind, _))| {
                let place = format!("messages[{at}].content[{index}]");
                *kind == "media" && !encoded.dropped.iter().any(|dropped| dropped.what == place)
            });
            let marks: &[&str] = match wire {
                Wire::OpenAi => &["\"type\":\"image_url\"", "\"type\":\"input_audio\""],
                Wire::Responses => &["\"type\":\"input_image\"", "\"type\":\"input_file\""],
                Wire::Anthropic => &["\"type\":\"image\"", "\"type\":\"document\""],
                Wire::Gemini => &["\"inlineData\":", "\"fileData\":"],
            };
            let (text, sent) = (body.to_string(), sent.count());
            let found: usize = marks.iter().map(|mark| text.matches(mark).count()).sum();
            prop_assert_eq!(found, sent, "{:?}: {:#}", wire, body);
        }
    }
}
