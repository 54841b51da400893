//! An answer that has arrived whole, and what it shares with a streamed one.
//!
//! Its items take the way of a stream, each arriving complete, so that both give the same.

use super::stream::ResponseDecoder;
use super::wire::WireResponse;
use crate::llm::adapter::CallIds;
use crate::llm::chat::ChatResponse;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::stream::Accumulator;
use std::collections::VecDeque;

pub(super) fn decode(provider: &str, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
    let decode =
        |reason: &'static str| Error::new(ErrorKind::Decode, reason).with_provider(provider);
    let response: WireResponse = serde_json::from_slice(body)
        .map_err(|error| decode("the answer is not what responses are").with_source(error))?;
    if response.output.is_none() && !response.failed() {
        return Err(decode("the answer holds no output"));
    }
    let mut decoder = ResponseDecoder::new(provider, ids);
    let mut events = VecDeque::new();
    decoder.finish(response, &mut events)?;
    let mut accumulator = Accumulator::new();
    events.iter().for_each(|event| accumulator.push(event));
    accumulator.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::{Finish, FinishReason};
    use crate::llm::message::{Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall};
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<ChatResponse, Error> {
        decode("openai-responses", body.to_string().as_bytes(), CallIds::default())
    }

    #[test]
    fn every_item_becomes_a_part() {
        let annotation = json!({"type": "url_citation", "url": "https://a"});
        let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
        let response = read(json!({
            "id": "resp_1", "model": "m", "status": "completed", "error": null, "incomplete_details": null,
            "output": [
                {"type": "reasoning", "id": "rs_1", "encrypted_content": "e", "summary": [{"type": "summary_text", "text": "hm"}]},
                search,
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                    {"type": "output_text", "text": "a", "annotations": [annotation], "logprobs": []},
                    {"type": "output_text", "text": "b", "annotations": []},
                ]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": "{\"a\":1}", "status": "completed"},
                {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "run", "input": "x"},
            ],
            "usage": {
                "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 19,
            },
        }))
        .unwrap();
        let mark = |value: Value| Some(Signature::new("openai-responses", value.to_string()));
        let text = |text: &str, citations: Vec<Value>| {
            let mut text = Text { text: text.into(), citations, ..Text::default() };
            text.signature = mark(json!({"id": "msg_1"}));
            Part::Text(text)
        };
        let call = ToolCall::new("call_1", "add", "{\"a\":1}");
        let custom = ToolCall::new("call_2", "run", "x");
        let content = [
            Part::Reasoning(Reasoning {
                text: "hm".into(),
                signature: mark(json!({"id": "rs_1", "encrypted_content": "e"})),
            }),
            Part::Opaque(Opaque::new("openai-responses", search)),
            text("a", vec![annotation]),
            text("b", vec![]),
            Part::ToolCall(ToolCall { signature: mark(json!({"id": "fc_1"})), ..call }),
            Part::ToolCall(ToolCall {
                signature: mark(json!({"type": "custom_tool_call", "id": "ctc_1"})),
                ..custom
            }),
        ];
        assert_eq!(response.message, Message::new(Role::Assistant, content));
        assert_eq!(response.finish, Finish::new(FinishReason::ToolCalls, "completed"));
        let usage = response.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(6), Some(4)));
    }

    #[test]
    fn a_refusal_is_one_and_a_cut_answer_is_cut() {
        let refusal =
            json!([{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]);
        let response = read(json!({"status": "completed", "output": refusal})).unwrap();
        assert_eq!(response.message.refusal().as_deref(), Some("No."));
        assert_eq!(response.finish.reason, FinishReason::ContentFilter);
        let call = json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":", "status": "incomplete"}]);
        let details = json!({"reason": "max_output_tokens"});
        let cut = json!({"status": "incomplete", "incomplete_details": details, "output": call});
        let response = read(cut).unwrap();
        assert_eq!(response.finish, Finish::new(FinishReason::Length, "max_output_tokens"));
        assert_eq!((response.message.tool_calls().count(), response.tool_calls().count()), (1, 0));
    }

    #[test]
    fn a_part_of_an_answer_is_none() {
        let text = json!([{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]);
        for (body, reason) in [
            (json!({"status": "incomplete", "output": text}), "incomplete"),
            (
                json!({"status": "incomplete", "incomplete_details": {"reason": "x"}, "output": text}),
                "x",
            ),
            (json!({"status": "in_progress", "output": text}), "in_progress"),
            (json!({"status": "queued", "output": []}), "queued"),
            (json!({"status": "cancelled", "output": text}), "cancelled"),
        ] {
            let finish = read(body).unwrap().finish;
            assert_eq!(finish, Finish::new(FinishReason::Error, reason));
            assert_eq!(finish.check(false).unwrap_err().kind(), ErrorKind::Server);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let failed = json!({"status": "failed", "error": {"code": "server_error", "message": "m"}, "output": []});
        assert_eq!(read(failed).unwrap_err().kind(), ErrorKind::Server);
        let quota = json!({"error": {"code": "insufficient_quota", "message": "m"}});
        assert_eq!(read(quota).unwrap_err().kind(), ErrorKind::Quota);
        assert_eq!(read(json!({"id": "x"})).unwrap_err().kind(), ErrorKind::Decode);
        let html = decode("test", b"<html>", CallIds::default());
        assert_eq!(html.unwrap_err().kind(), ErrorKind::Decode);
    }
}
