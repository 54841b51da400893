//! How each interface streams an answer.

use super::Wire;
use super::document::{Answer, End, Piece, annotations, chat_annotations, citations};
use serde_json::{Value, json};

/// A streamed answer.
#[derive(Clone, Debug)]
pub(super) struct Streamed {
    /// The data of its events.
    pub(super) events: Vec<String>,
    /// How many of them must have arrived for the answer to be complete.
    pub(super) complete: usize,
}

impl Streamed {
    pub(super) fn of(wire: Wire, answer: &Answer) -> Self {
        Self::cut(wire, answer, None)
    }

    /// As [`Streamed::of`]; of the arguments of the last call only so many characters arrive.
    pub(super) fn cut(wire: Wire, answer: &Answer, last: Option<usize>) -> Self {
        let (events, complete) = match wire {
            Wire::OpenAi => chat(answer, last),
            Wire::Responses => responses(answer, last),
            Wire::Anthropic => messages(answer, last),
            Wire::Gemini => contents(answer),
        };
        let events = events.into_iter().map(|event| match event {
            Value::String(text) => text,
            event => event.to_string(),
        });
        Self { events: events.collect(), complete }
    }

    /// The bytes of the stream, with lines that end so.
    pub(super) fn body(&self, line_end: &str) -> String {
        let event = |data: &String| {
            let kind = serde_json::from_str::<Value>(data).unwrap_or_default();
            let name = kind["type"].as_str().map(|kind| format!("event: {kind}{line_end}"));
            format!("{}data: {data}{line_end}{line_end}", name.unwrap_or_default())
        };
        self.events.iter().map(event).collect()
    }
}

/// The arguments of a call as far as they arrive.
fn arguments(answer: &Answer, index: usize, last: Option<usize>) -> String {
    let Piece::Call { arguments, .. } = &answer.pieces[index] else { return String::new() };
    let text = json!(arguments).to_string();
    let is_last =
        answer.pieces[index + 1..].iter().all(|piece| !matches!(piece, Piece::Call { .. }));
    match last {
        Some(length) if is_last => text.chars().take(length).collect(),
        _ => text,
    }
}

fn chat(answer: &Answer, last: Option<usize>) -> (Vec<Value>, usize) {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "i", "model": "m", "usage": null,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let mut deltas = [Vec::new(), Vec::new(), Vec::new()];
    let mut calls = 0;
    for (index, piece) in answer.pieces.iter().enumerate() {
        match piece {
            Piece::Thought { text, .. } => {
                deltas[0].extend(
                    answer.cut(text).into_iter().map(|text| json!({"reasoning_content": text})),
                );
            }
            Piece::Text { text, source, .. } => {
                deltas[1].extend(answer.cut(text).into_iter().map(|text| json!({"content": text})));
                deltas[1].extend(
                    chat_annotations(source).map(|source| json!({"annotations": [source]})),
                );
            }
            Piece::Call { id, name, .. } => {
                let call = json!({"index": calls, "id": id, "type": "function",
                    "function": {"name": name, "arguments": ""}});
                deltas[2].push(json!({"tool_calls": [call]}));
                let arguments = answer.cut(&arguments(answer, index, last));
                deltas[2].extend(arguments.into_iter().map(
                    |piece| json!({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}),
                ));
                calls += 1;
            }
            Piece::Odd(_) => {}
        }
    }
    events.extend(deltas.into_iter().flatten().map(|delta| chunk(delta, Value::Null)));
    let reason = &answer.whole(Wire::OpenAi)["choices"][0]["finish_reason"];
    events.push(chunk(json!({}), reason.clone()));
    let complete = events.len();
    let usage = &answer.whole(Wire::OpenAi)["usage"];
    events.push(json!({"id": "i", "model": "m", "choices": [], "usage": usage}));
    events.push("[DONE]".into());
    (events, complete)
}

fn responses(answer: &Answer, last: Option<usize>) -> (Vec<Value>, usize) {
    let mut events = vec![
        json!({"type": "response.created", "response": {"id": "i", "model": "m", "status": "in_progress", "output": []}}),
    ];
    let mut whole = answer.whole(Wire::Responses);
    for (at, mut item) in answer.items().into_iter().enumerate() {
        let mut pieces = Vec::new();
        let delta = |kind: &str, piece: String| json!({"type": format!("response.{kind}.delta"), "output_index": at, "content_index": 0, "delta": piece});
        let mut begun = item.clone();
        match &answer.pieces[at] {
            Piece::Text { text, source, .. } => {
                begun["content"] = json!([]);
                let texts = answer.cut(text).into_iter();
                pieces.extend(texts.map(|piece| delta("output_text", piece)));
                let annotations = annotations(source);
                for annotation in annotations.as_array().into_iter().flatten() {
                    pieces.push(json!({"type": "response.output_text.annotation.added",
                        "output_index": at, "content_index": 0, "annotation": annotation}));
                }
            }
            Piece::Thought { text, .. } => {
                begun["summary"] = json!([]);
                if let Some(item) = begun.as_object_mut() {
                    item.remove("encrypted_content");
                }
                let texts = answer.cut(text).into_iter();
                pieces.extend(texts.map(|piece| delta("reasoning_summary_text", piece)));
            }
            Piece::Call { .. } => {
                begun["arguments"] = "".into();
                let text = arguments(answer, at, last);
                item["arguments"] = text.as_str().into();
                whole["output"][at] = item.clone();
                let texts = answer.cut(&text).into_iter();
                pieces.extend(texts.map(|piece| delta("function_call_arguments", piece)));
            }
            Piece::Odd(_) => {}
        }
        events
            .push(json!({"type": "response.output_item.added", "output_index": at, "item": begun}));
        events.extend(pieces);
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    let status = if answer.end == End::Done { "completed" } else { "incomplete" };
    events.push(json!({"type": format!("response.{status}"), "response": whole}));
    let complete = events.len();
    (events, complete)
}

fn messages(answer: &Answer, last: Option<usize>) -> (Vec<Value>, usize) {
    let (input, output) = answer.tokens;
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": "i", "type": "message", "role": "assistant", "model": "m", "content": [],
        "usage": {"input_tokens": input, "output_tokens": 0},
    }})];
    let delta = |index: usize, kind: &str, name: &str, piece: Value| json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}});
    for (index, mut block) in answer.blocks().into_iter().enumerate() {
        let mut pieces = Vec::new();
        let mut closed = true;
        match &answer.pieces[index] {
            Piece::Text { text, source, .. } => {
                block["text"] = "".into();
                let texts = answer.cut(text).into_iter();
                pieces.extend(texts.map(|piece| delta(index, "text_delta", "text", piece.into())));
                if let Some(block) = block.as_object_mut() {
                    block.remove("citations");
                }
                for citation in citations(source).as_array().into_iter().flatten() {
                    // Sources stand before the text as well as behind it.
                    let place = if answer.step.is_multiple_of(2) { 0 } else { pieces.len() };
                    let citation = delta(index, "citations_delta", "citation", citation.clone());
                    pieces.insert(place, citation);
                }
            }
            Piece::Thought { text, mark } => {
                (block["thinking"], block["signature"]) = ("".into(), "".into());
                let texts = answer.cut(text).into_iter();
                pieces.extend(
                    texts.map(|piece| delta(index, "thinking_delta", "thinking", piece.into())),
                );
                pieces.extend(mark.iter().map(|mark| {
                    delta(index, "signature_delta", "signature", mark.as_str().into())
                }));
            }
            Piece::Call { .. } => {
                block["input"] = json!({});
                let text = arguments(answer, index, last);
                let whole = arguments(answer, index, None);
                // A call that is cut has no end, and nothing follows.
                closed = text == whole;
                let texts = [String::new()].into_iter().chain(answer.cut(&text));
                pieces.extend(
                    texts.map(|piece| {
                        delta(index, "input_json_delta", "partial_json", piece.into())
                    }),
                );
            }
            Piece::Odd(_) => {}
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.extend(pieces);
        if !closed {
            break;
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let reason = &answer.whole(Wire::Anthropic)["stop_reason"];
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": output}}));
    events.push(json!({"type": "message_stop"}));
    let complete = events.len();
    (events, complete)
}

/// Calls arrive whole, and texts in pieces, the mark of which comes with the last.
fn contents(answer: &Answer) -> (Vec<Value>, usize) {
    let document = |parts: Value| json!({"candidates": [{"content": {"role": "model", "parts": parts}}], "responseId": "i", "modelVersion": "m"});
    let mut events = Vec::new();
    for (piece, part) in answer.pieces.iter().zip(answer.parts()) {
        match piece {
            // What is signed is one part, and must arrive so.
            Piece::Text { text, mark: None, .. } | Piece::Thought { text, mark: None } => {
                for text in answer.cut(text) {
                    let mut part = part.clone();
                    part["text"] = text.into();
                    events.push(document(json!([part])));
                }
            }
            _ => events.push(document(json!([part]))),
        }
    }
    let mut last = answer.whole(Wire::Gemini);
    last["candidates"][0]["content"]["parts"] = json!([]);
    let usage = json!({"usageMetadata": last["usageMetadata"]});
    if answer.step.is_multiple_of(2) {
        last["usageMetadata"] = Value::Null;
    }
    events.push(last);
    let complete = events.len();
    if answer.step.is_multiple_of(2) {
        events.push(usage);
    }
    (events, complete)
}
