//! Each provider's format: a request written, and an answer of 100 deltas read and folded.

use crate::{Area, Work};
use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::adapter::{Adapter, CallIds, EventDecoder as _};
use ember::llm::tool::ParameterSchema;
use ember::llm::{Accumulator, ChatRequest, Message, Tool};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::hint::black_box;

pub(crate) const ALL: Area = &[
    ("adapter/openai writes a request", || encode(OpenAi::new())),
    ("adapter/responses writes a request", || encode(OpenAiResponses::new())),
    ("adapter/anthropic writes a request", || encode(Anthropic::new())),
    ("adapter/gemini writes a request", || encode(Gemini::new())),
    ("adapter/openai reads 100 deltas", || decode(OpenAi::new(), &openai())),
    ("adapter/responses reads 100 deltas", || decode(OpenAiResponses::new(), &responses())),
    ("adapter/anthropic reads 100 deltas", || decode(Anthropic::new(), &anthropic())),
    ("adapter/gemini reads 100 deltas", || decode(Gemini::new(), &gemini())),
];

const DELTAS: usize = 100;
/// The texts of deltas, by turns; one of them has to be escaped.
const WORDS: [&str; 4] = [" the", " model", " says", " \"word\""];

/// The text of the whole answer.
fn text() -> String {
    WORDS.concat().repeat(DELTAS / WORDS.len())
}

/// Ten messages, and five tools.
fn encode(adapter: impl Adapter) -> Work {
    let turn = |number: usize| {
        [
            Message::user(format!("Question {number}: what does the model say?")),
            Message::assistant(format!("Answer {number}: the model goes on at some length.")),
        ]
    };
    let parameters = ParameterSchema::object([
        ParameterSchema::new("city", "string", "Name of the city."),
        ParameterSchema::new("days", "integer", "How many days."),
    ]);
    let tools = (0..5).map(|number| {
        let (name, parameters) = (format!("tool_{number}"), parameters.clone());
        Tool::declared(name, "Tells the weather of some days.", parameters).expect("a name")
    });
    let messages = (0..4).flat_map(turn).chain([Message::user("And now?")]);
    let request = ChatRequest::new(messages).system("You are terse.").tools(tools);
    Box::new(move || {
        let encoded = adapter.encode(black_box(&request), "model", true).expect("it can be said");
        assert!(encoded.body.len() > 1_000 && encoded.dropped.is_empty());
    })
}

fn decode(adapter: impl Adapter, events: &[Value]) -> Work {
    let events: Vec<_> = events.iter().map(Value::to_string).collect();
    let length = text().len();
    Box::new(move || {
        let (mut decoder, mut read) = (adapter.decoder(CallIds::default()), VecDeque::new());
        let mut accumulator = Accumulator::new();
        for event in black_box(&events) {
            decoder.event(event, &mut read).expect("the event is one of the provider's");
            read.drain(..).for_each(|event| accumulator.push(&event));
        }
        if !accumulator.is_finished() {
            decoder.end(None, &mut read).expect("the answer is complete");
            read.drain(..).for_each(|event| accumulator.push(&event));
        }
        let answer = accumulator.finish().expect("the answer is complete");
        assert_eq!(answer.text().len(), length);
    })
}

/// A beginning, the deltas, and an end.
fn stream(begin: &[Value], delta: impl Fn(&str) -> Value, end: &[Value]) -> Vec<Value> {
    let deltas = WORDS.iter().cycle().take(DELTAS).map(|word| delta(word));
    begin.iter().cloned().chain(deltas).chain(end.iter().cloned()).collect()
}

fn openai() -> Vec<Value> {
    let chunk = |delta: Value, finish: Value| {
        json!({
            "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk",
            "created": 1741570283, "model": "gpt-4o-2024-08-06", "service_tier": "default",
            "system_fingerprint": "fp_fc9f1d7035", "obfuscation": "q5ZfW6Yd",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            "usage": null,
        })
    };
    let first = chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    let last = chunk(json!({}), "stop".into());
    let usage = json!({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage":
        {"prompt_tokens": 19, "completion_tokens": 100, "total_tokens": 119}});
    stream(&[first], |word| chunk(json!({"content": word}), Value::Null), &[last, usage])
}

fn responses() -> Vec<Value> {
    let response = |kind: &str, status: &str, output: Value| {
        let usage = json!({"input_tokens": 19, "output_tokens": 100, "total_tokens": 119});
        json!({"type": kind, "sequence_number": 0, "response": {
            "id": "resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654", "object": "response",
            "model": "gpt-4.1-2025-04-14", "status": status, "output": output, "usage": usage,
        }})
    };
    let item = |content: Value| json!({"type": "message", "id": "msg_67c9fdcf37fc8190ba82116e33fb28c5", "role": "assistant", "content": content});
    let whole = item(json!([
        {"type": "output_text", "text": text(), "annotations": []}
    ]));
    let begin = [
        response("response.created", "in_progress", json!([])),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item(json!([]))}),
    ];
    let delta = |word: &str| {
        json!({
            "type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_67c9fdcf37fc8190ba82116e33fb28c5",
            "output_index": 0, "content_index": 0, "delta": word, "logprobs": [], "obfuscation": "q5ZfW6Yd",
        })
    };
    let end = [
        json!({"type": "response.output_item.done", "output_index": 0, "item": whole}),
        response("response.completed", "completed", json!([whole])),
    ];
    stream(&begin, delta, &end)
}

fn anthropic() -> Vec<Value> {
    let usage = json!({"input_tokens": 19, "output_tokens": 1});
    let begin = [
        json!({"type": "message_start", "message": {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message",
            "role": "assistant", "model": "claude-sonnet-4-5", "content": [], "usage": usage}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    let delta = |word: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
    let end = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}}),
        json!({"type": "message_stop"}),
    ];
    stream(&begin, delta, &end)
}

fn gemini() -> Vec<Value> {
    let document = |text: &str| {
        json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 19, "candidatesTokenCount": 100, "totalTokenCount": 119},
            "modelVersion": "gemini-2.5-flash", "responseId": "mK9gaPWfEJ2N1PIPkO3u0Aw",
        })
    };
    let mut last = document("");
    last["candidates"][0]["finishReason"] = "STOP".into();
    stream(&[], document, &[last])
}
