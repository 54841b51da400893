//! Answers of models, and how each interface writes them.

use super::Wire;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What a model answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) pieces: Vec<Piece>,
    pub(super) end: End,
    /// How many characters a piece of a stream has.
    pub(super) step: usize,
    /// The tokens of the input, and of the output.
    pub(super) tokens: (u64, u64),
}

/// A part of an answer. What an interface has no place for, it does not write.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text {
        text: String,
        source: Option<String>,
        mark: Option<String>,
    },
    Thought {
        text: String,
        mark: Option<String>,
    },
    Call {
        id: String,
        name: String,
        arguments: Map<String, Value>,
        mark: Option<String>,
    },
    /// Something of the provider's own.
    Odd(String),
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Done,
    Limit,
    Filter,
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,12}", "[\u{0}-\u{7f}äß€\u{2028}😀]{0,12}"]
}

fn mark() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[A-Za-z0-9+/]{1,8}")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn piece() -> impl Strategy<Value = Piece> {
    let arguments = btree_map("[a-z\"]{1,3}", value(), 0..3);
    prop_oneof![
        3 => (words(), prop::option::of("[a-z]{1,3}"), mark())
            .prop_map(|(text, source, mark)| Piece::Text { text, source, mark }),
        2 => (words(), mark()).prop_map(|(text, mark)| Piece::Thought { text, mark }),
        2 => ("[a-z_]{1,6}", arguments, mark()).prop_map(|(name, arguments, mark)| Piece::Call {
            id: String::new(), name, arguments: arguments.into_iter().collect(), mark,
        }),
        1 => "[a-z]{1,3}".prop_map(Piece::Odd),
    ]
}

/// Any answer whose calls have ids.
pub(super) fn answer() -> impl Strategy<Value = Answer> {
    let end = prop_oneof![3 => Just(End::Done), 1 => Just(End::Limit), 1 => Just(End::Filter)];
    let tokens = (0..1_000_000_u64, 0..1_000_000_u64);
    (vec(piece(), 0..6), end, 1..6_usize, tokens).prop_map(|(mut pieces, end, step, tokens)| {
        for (index, piece) in pieces.iter_mut().enumerate() {
            if let Piece::Call { id, .. } = piece {
                *id = format!("c{index}");
            }
        }
        Answer { pieces, end, step, tokens }
    })
}

/// Any answer, some of whose calls have no id.
pub(super) fn any_answer() -> impl Strategy<Value = Answer> {
    (answer(), any::<u8>()).prop_map(|(mut answer, nameless)| {
        for (index, piece) in answer.pieces.iter_mut().enumerate() {
            if let Piece::Call { id, .. } = piece
                && nameless >> index & 1 == 1
            {
                id.clear();
            }
        }
        answer
    })
}

impl Answer {
    pub(super) fn has_calls(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Call { .. }))
    }

    /// The provider's word for the end.
    fn reason(&self, wire: Wire) -> &'static str {
        match (wire, self.end) {
            (Wire::OpenAi, End::Done) if self.has_calls() => "tool_calls",
            (Wire::OpenAi, End::Done) => "stop",
            (Wire::OpenAi, End::Limit) => "length",
            (Wire::OpenAi | Wire::Responses, End::Filter) => "content_filter",
            (Wire::Responses, End::Done) => "completed",
            (Wire::Responses, End::Limit) => "max_output_tokens",
            (Wire::Anthropic, End::Done) if self.has_calls() => "tool_use",
            (Wire::Anthropic, End::Done) => "end_turn",
            (Wire::Anthropic, End::Limit) => "max_tokens",
            (Wire::Anthropic, End::Filter) => "refusal",
            (Wire::Gemini, End::Done) => "STOP",
            (Wire::Gemini, End::Limit) => "MAX_TOKENS",
            (Wire::Gemini, End::Filter) => "SAFETY",
        }
    }

    /// The answer as it arrives whole.
    pub(super) fn whole(&self, wire: Wire) -> Value {
        let (input, output) = self.tokens;
        let reason = self.reason(wire);
        match wire {
            Wire::OpenAi => json!({
                "id": "i", "model": "m",
                "choices": [{"index": 0, "message": self.message(), "finish_reason": reason}],
                "usage": {"prompt_tokens": input, "completion_tokens": output},
            }),
            Wire::Responses => self.response(),
            Wire::Anthropic => json!({
                "id": "i", "type": "message", "role": "assistant", "model": "m",
                "content": self.blocks(), "stop_reason": reason,
                "usage": {"input_tokens": input, "output_tokens": output},
            }),
            Wire::Gemini => json!({
                "candidates": [{
                    "content": {"role": "model", "parts": self.parts()}, "finishReason": reason,
                }],
                "usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output},
                "responseId": "i", "modelVersion": "m",
            }),
        }
    }

    /// A message of chat completions, which has no order of its parts.
    pub(super) fn message(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": null});
        let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
        let mut sources = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text { text: more, source, .. } => {
                    text += more;
                    sources.extend(chat_annotations(source));
                }
                Piece::Thought { text: more, .. } => thought += more,
                Piece::Call { id, name, arguments, .. } => calls.push(json!({
                    "id": id, "type": "function",
                    "function": {"name": name, "arguments": json!(arguments).to_string()},
                })),
                Piece::Odd(_) => {}
            }
        }
        if !text.is_empty() {
            message["content"] = text.into();
        }
        if !thought.is_empty() {
            message["reasoning_content"] = thought.into();
        }
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        if !sources.is_empty() {
            message["annotations"] = sources.into();
        }
        message
    }

    fn response(&self) -> Value {
        let (input, output) = self.tokens;
        let mut response = json!({
            "id": "i", "model": "m", "status": "completed", "output": self.items(),
            "usage": {"input_tokens": input, "output_tokens": output},
        });
        if self.end != End::Done {
            response["status"] = "incomplete".into();
            response["incomplete_details"] = json!({"reason": self.reason(Wire::Responses)});
        }
        response
    }

    /// The items of a response.
    pub(super) fn items(&self) -> Vec<Value> {
        let item = |(index, piece): (usize, &Piece)| match piece {
            Piece::Text { text, source, .. } => json!({
                "type": "message", "id": format!("msg_{index}"), "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": annotations(source)}],
            }),
            Piece::Thought { text, mark } => {
                let summary = match text.as_str() {
                    "" => json!([]),
                    text => json!([{"type": "summary_text", "text": text}]),
                };
                let mut item =
                    json!({"type": "reasoning", "id": format!("rs_{index}"), "summary": summary});
                if let Some(mark) = mark {
                    item["encrypted_content"] = mark.as_str().into();
                }
                item
            }
            Piece::Call { id, name, arguments, .. } => json!({
                "type": "function_call", "id": format!("fc_{index}"), "call_id": id, "name": name,
                "arguments": json!(arguments).to_string(), "status": "completed",
            }),
            Piece::Odd(odd) => {
                json!({"type": "web_search_call", "id": format!("ws_{index}"), "odd": odd})
            }
        };
        self.pieces.iter().enumerate().map(item).collect()
    }

    /// The blocks of a message of Anthropic.
    pub(super) fn blocks(&self) -> Vec<Value> {
        let block = |piece: &Piece| match piece {
            Piece::Text { text, source, .. } => {
                let mut block = json!({"type": "text", "text": text});
                if source.is_some() {
                    block["citations"] = citations(source);
                }
                block
            }
            Piece::Thought { text, mark } => json!({
                "type": "thinking", "thinking": text, "signature": mark.as_deref().unwrap_or_default(),
            }),
            Piece::Call { id, name, arguments, mark } => {
                let mut block =
                    json!({"type": "tool_use", "id": id, "name": name, "input": arguments});
                if let Some(mark) = mark {
                    block["caller"] = json!({"type": mark});
                }
                block
            }
            Piece::Odd(odd) => json!({"type": "redacted_thinking", "data": odd}),
        };
        self.pieces.iter().map(block).collect()
    }

    /// The parts of a content of Gemini.
    pub(super) fn parts(&self) -> Vec<Value> {
        let part = |piece: &Piece| {
            let (mut part, mark) = match piece {
                Piece::Text { text, mark, .. } => (json!({"text": text}), mark),
                Piece::Thought { text, mark } => (json!({"text": text, "thought": true}), mark),
                Piece::Call { id, name, arguments, mark } => {
                    let mut call = json!({"name": name, "args": arguments});
                    if !id.is_empty() {
                        call["id"] = id.as_str().into();
                    }
                    (json!({"functionCall": call}), mark)
                }
                Piece::Odd(odd) => (json!({"executableCode": {"code": odd}, "new": 1}), &None),
            };
            if let Some(mark) = mark {
                part["thoughtSignature"] = mark.as_str().into();
            }
            part
        };
        self.pieces.iter().map(part).collect()
    }

    /// A text in the pieces in which it is streamed.
    pub(super) fn cut(&self, text: &str) -> Vec<String> {
        let chars: Vec<_> = text.chars().collect();
        chars.chunks(self.step).map(|piece| piece.iter().collect()).collect()
    }
}

pub(super) fn annotations(source: &Option<String>) -> Value {
    source.iter().map(|source| json!({"type": "url_citation", "url": source})).collect()
}

/// What chat completions have for the same, which they nest once more.
pub(super) fn chat_annotations(source: &Option<String>) -> Option<Value> {
    let source = source.as_ref()?;
    Some(json!({"type": "url_citation", "url_citation": {"url": source}}))
}

pub(super) fn citations(source: &Option<String>) -> Value {
    source.iter().map(|source| json!({"type": "page_location", "cited_text": source})).collect()
}
