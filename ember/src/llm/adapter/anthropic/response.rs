//! An answer that has arrived whole, and what it shares with a streamed one.
//!
//! Its blocks take the way of a stream, each beginning complete, so that both give the same.

use super::stream::MessageDecoder;
use super::wire::{WireMessage, finish};
use crate::llm::adapter::{CallIds, Failure};
use crate::llm::chat::ChatResponse;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::stream::{Accumulator, ChatEvent};
use serde_json::Value;
use std::collections::VecDeque;

pub(super) fn decode(provider: &str, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
    let decode =
        |reason: &'static str| Error::new(ErrorKind::Decode, reason).with_provider(provider);
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| decode("the answer is not what messages are").with_source(error))?;
    if value.get("error").is_some_and(|error| !error.is_null()) {
        return Err(Failure::of(&value).into_error(provider, None));
    }
    let message: WireMessage = serde_json::from_value(value)
        .map_err(|error| decode("the answer is not what messages are").with_source(error))?;
    let content = message.content.ok_or_else(|| decode("the answer holds no content"))?;
    let mut decoder = MessageDecoder::new(provider, ids);
    let mut events = VecDeque::new();
    for (index, block) in content.into_iter().enumerate() {
        decoder.open_block(index as u64, block, &mut events);
        decoder.close_block(index as u64, &mut events);
    }
    let mut accumulator = Accumulator::new();
    accumulator.push(&ChatEvent::Start { id: message.id, model: message.model });
    events.iter().for_each(|event| accumulator.push(event));
    if let Some(usage) = message.usage {
        accumulator.push(&ChatEvent::Usage(usage.into_usage()));
    }
    let finish = finish(message.stop_reason.as_deref(), decoder.has_calls());
    accumulator.push(&ChatEvent::Finish(finish));
    accumulator.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::{Finish, FinishReason};
    use crate::llm::message::{Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall};
    use serde_json::json;

    fn read(body: Value) -> Result<ChatResponse, Error> {
        decode("anthropic", body.to_string().as_bytes(), CallIds::default())
    }

    #[test]
    fn every_block_becomes_a_part() {
        let citation = json!({"type": "char_location", "cited_text": "x"});
        let search =
            json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"q": 1}});
        let response = read(json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "a", "citations": [citation]},
                {"type": "text", "text": "b"},
                search,
                {"type": "tool_use", "id": "t1", "name": "add", "input": {"b": 1, "a": 2}},
            ],
            "stop_reason": "tool_use",
            "usage": {
                "input_tokens": 3, "cache_read_input_tokens": 5, "cache_creation_input_tokens": null,
                "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}, "service_tier": "x",
            },
        }))
        .unwrap();
        let mut cited = Text { text: "a".into(), ..Text::default() };
        cited.citations.push(citation);
        let signature = Some(Signature::new("anthropic", "s"));
        let content = [
            Part::Reasoning(Reasoning { text: "hm".into(), signature }),
            Part::Opaque(Opaque::new(
                "anthropic",
                json!({"type": "redacted_thinking", "data": "x"}),
            )),
            Part::Text(cited),
            Part::text("b"),
            Part::Opaque(Opaque::new("anthropic", search)),
            Part::ToolCall(ToolCall::new("t1", "add", r#"{"b":1,"a":2}"#)),
        ];
        assert_eq!(response.message, Message::new(Role::Assistant, content));
        assert_eq!(response.finish, Finish::new(FinishReason::ToolCalls, "tool_use"));
        let usage = response.usage.unwrap();
        assert_eq!((usage.total_input(), usage.total_output()), (8, 9));
        assert_eq!((usage.output_tokens, usage.cache_write_tokens), (Some(5), None));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}});
        assert_eq!(read(error).unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(read(json!({"id": "x"})).unwrap_err().kind(), ErrorKind::Decode);
        let html = decode("anthropic", b"<html>", CallIds::default());
        assert_eq!(html.unwrap_err().kind(), ErrorKind::Decode);
    }

    #[test]
    fn reasons_are_understood() {
        use FinishReason::{ContentFilter, Length, Other, Pause, Stop, ToolCalls};
        for (raw, calls, reason) in [
            ("end_turn", false, Stop),
            ("stop_sequence", false, Stop),
            ("end_turn", true, ToolCalls),
            ("max_tokens", true, Length),
            ("model_context_window_exceeded", false, Length),
            ("refusal", false, ContentFilter),
            ("pause_turn", false, Pause),
            ("new", false, Other("new".into())),
        ] {
            assert_eq!(finish(Some(raw), calls), Finish::new(reason, raw));
        }
    }
}
