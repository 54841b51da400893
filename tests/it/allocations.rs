//! Reading a streamed answer allocates what whoever reads it keeps, and nothing else.

use ember::base::sse::{Decoder, Frame};
use ember::llm::ChatEvent;
use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::adapter::{Adapter, CallIds, EventDecoder as _};
use serde_json::{Value, json};
use std::collections::VecDeque;

const EVENTS: u64 = 200;

/// Pieces as they come: with escapes, without, and with letters beyond ASCII.
const PIECES: [&str; 5] = [" the", " a \"word\"", "\n\n", " Grüße", "\t\\"];

/// How many allocations there are for each event of a stream that has begun with `first`; each event must
/// become one of ours.
#[track_caller]
fn check<A: Adapter>(adapter: &A, first: &[Value], event: impl Fn(&str) -> Value, each: u64) {
    let mut decoder = adapter.decoder(CallIds::default());
    let mut out = VecDeque::with_capacity(2 * EVENTS as usize + 16);
    first.iter().for_each(|event| decoder.event(&event.to_string(), &mut out).unwrap());
    let events = PIECES.map(|piece| event(piece).to_string());
    // What grows with an answer as a whole has grown already.
    events.iter().for_each(|event| decoder.event(event, &mut out).unwrap());
    out.clear();
    let counted = allocation_counter::measure(|| {
        for event in events.iter().cycle().take(EVENTS as usize) {
            let _ = decoder.event(event, &mut out);
        }
    });
    let told = out.iter().filter(|event| !matches!(event, ChatEvent::Usage(_))).count();
    assert_eq!(told as u64, EVENTS);
    assert_eq!(counted.count_total, each * EVENTS, "{} events", EVENTS);
}

#[test]
fn a_piece_of_a_chat_completion_is_one_allocation() {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}});
    // A chunk with usage is always read whole, one without by the chunk before it.
    for usage in [usage, Value::Null] {
        check_chunks(&usage);
    }
}

fn check_chunks(usage: &Value) {
    let chunk = |delta: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_741_570_283, "model": "m",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}],
            "usage": usage, "obfuscation": "xYz",
        })
    };
    let adapter = OpenAi::new();
    let first = [chunk(json!({"role": "assistant", "content": ""}))];
    check(&adapter, &first, |text| chunk(json!({"content": text})), 1);
    check(&adapter, &first, |text| chunk(json!({"content": null, "refusal": text})), 1);
    for name in ["reasoning", "reasoning_content"] {
        check(&adapter, &first, |text| chunk(json!({name: text})), 1);
    }
    let call = |call: Value| chunk(json!({"tool_calls": [call]}));
    let begun = [call(
        json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}),
    )];
    let piece = |text: &str| call(json!({"index": 0, "function": {"arguments": text}}));
    check(&adapter, &begun, piece, 1);
}

#[test]
fn a_piece_of_a_response_is_one_allocation() {
    let adapter = OpenAiResponses::new();
    let created = json!({"type": "response.created", "response": {"id": "r", "model": "m"}});
    for kind in
        ["response.output_text.delta", "response.refusal.delta", "response.reasoning_text.delta"]
    {
        let piece = |text: &str| {
            json!({
                "type": kind, "sequence_number": 4, "item_id": "msg_1", "output_index": 0, "content_index": 0,
                "delta": text, "logprobs": [], "obfuscation": "xYz",
            })
        };
        check(&adapter, std::slice::from_ref(&created), piece, 1);
    }
}

#[test]
fn a_piece_of_a_message_is_one_allocation() {
    let adapter = Anthropic::new();
    let start =
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}});
    for (block, kind, member) in [
        (json!({"type": "text", "text": ""}), "text_delta", "text"),
        (json!({"type": "thinking", "thinking": ""}), "thinking_delta", "thinking"),
        (
            json!({"type": "tool_use", "id": "c1", "name": "f", "input": {}}),
            "input_json_delta",
            "partial_json",
        ),
    ] {
        let begun = json!({"type": "content_block_start", "index": 0, "content_block": block});
        let piece = |text: &str| {
            let delta = json!({"type": kind, member: text});
            json!({"type": "content_block_delta", "index": 0, "delta": delta})
        };
        check(&adapter, &[start.clone(), begun], piece, 1);
    }
}

#[test]
fn a_piece_of_generated_content_is_one_allocation() {
    let adapter = Gemini::new();
    for thought in [false, true] {
        let piece = |text: &str| {
            let part = if thought {
                json!({"text": text, "thought": true})
            } else {
                json!({"text": text})
            };
            json!({
                "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
                "usageMetadata": {
                    "promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
                },
                "modelVersion": "gemini", "responseId": "r1",
            })
        };
        check(&adapter, &[], piece, 1);
    }
}

#[test]
fn events_are_decoded_in_place() {
    let event = "event: delta\nid: 7\ndata: {\"text\": \"Grüße\"}\n\n";
    let stream = event.repeat(EVENTS as usize);
    let mut decoder = Decoder::new();
    let mut events = 0;
    let mut decode = |bytes: &[u8]| {
        let note = |frame: Frame<'_>| events += u64::from(matches!(frame, Frame::Event { .. }));
        decoder.decode(bytes, note).unwrap();
    };
    // Names and ids have a place of their own from the first event on.
    stream.as_bytes().chunks(7).for_each(&mut decode);
    let counted = allocation_counter::measure(|| {
        decode(stream.as_bytes());
        stream.as_bytes().chunks(7).for_each(&mut decode);
    });
    assert_eq!((counted.count_total, events), (0, 3 * EVENTS));
}
