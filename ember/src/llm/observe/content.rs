//! What was said, in the shape that the conventions give it: messages of a role and typed parts.
//!
//! Bytes of media are left out, and so is what only a provider understands.

use crate::llm::chat::FinishReason;
use crate::llm::message::{MediaSource, Message, Part, Role};
use crate::llm::tool::Tool;
use serde_json::{Value, json};

/// What a model is asked, without the instructions.
pub(super) fn input(messages: &[Message]) -> String {
    let messages = messages.iter().filter(|message| message.role != Role::System);
    let messages: Vec<_> =
        messages.map(|message| json!({"role": message.role, "parts": parts(message)})).collect();
    Value::from(messages).to_string()
}

/// The instructions.
pub(super) fn instructions(messages: &[Message]) -> String {
    let messages = messages.iter().filter(|message| message.role == Role::System);
    Value::from(messages.flat_map(parts).collect::<Vec<_>>()).to_string()
}

/// What a model has answered.
pub(super) fn output(message: &Message, reason: &FinishReason) -> String {
    let message =
        json!({"role": "assistant", "parts": parts(message), "finish_reason": word(reason)});
    json!([message]).to_string()
}

/// What a model may call.
pub(super) fn tools(tools: &[Tool]) -> String {
    let tools = tools.iter().map(|tool| {
        json!({
            "type": "function",
            "name": tool.name(),
            "description": tool.description(),
            "parameters": tool.parameters().as_value(),
        })
    });
    Value::from(tools.collect::<Vec<_>>()).to_string()
}

/// The conventions' word for the end of an answer.
pub(super) fn word(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls | FinishReason::ToolLimit => "tool_call",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Pause => "pause",
        FinishReason::Error => "error",
        FinishReason::Other(word) => word,
    }
}

fn parts(message: &Message) -> Vec<Value> {
    message.content.iter().filter_map(part).collect()
}

fn part(part: &Part) -> Option<Value> {
    Some(match part {
        Part::Text(text) => json!({"type": "text", "content": text.text}),
        Part::Refusal(text) => json!({"type": "refusal", "content": text}),
        Part::Reasoning(reasoning) => json!({"type": "reasoning", "content": reasoning.text}),
        Part::ToolCall(call) => {
            let arguments = call.parse().unwrap_or_else(|_| call.arguments.as_str().into());
            json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments})
        }
        Part::ToolResult(result) => {
            json!({"type": "tool_call_response", "id": result.call_id, "response": result.content})
        }
        Part::Media(media) => match &media.source {
            MediaSource::Url(url) => {
                json!({"type": "uri", "mime_type": media.media_type, "uri": url})
            }
            MediaSource::Bytes(bytes) => {
                json!({"type": "blob", "mime_type": media.media_type, "bytes": bytes.len()})
            }
        },
        Part::Opaque(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::message::{Media, ToolCall, ToolResult};

    #[test]
    fn messages_have_the_shape_of_the_conventions() {
        let call = ToolCall::new("c1", "add", r#"{"a":1}"#);
        let messages = [
            Message::system("Be brief."),
            Message::new(
                Role::User,
                [Part::text("Hi"), Part::Media(Media::bytes("image/png", &b"abc"[..]))],
            ),
            Message::new(Role::Assistant, [Part::ToolCall(call.clone())]),
            Message::tool_results([ToolResult::new(&call, "1")]),
        ];
        let expected = json!([
            {"role": "user", "parts": [
                {"type": "text", "content": "Hi"},
                {"type": "blob", "mime_type": "image/png", "bytes": 3},
            ]},
            {"role": "assistant", "parts": [
                {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}},
            ]},
            {"role": "tool", "parts": [
                {"type": "tool_call_response", "id": "c1", "response": "1"},
            ]},
        ]);
        assert_eq!(input(&messages), expected.to_string());
        assert_eq!(instructions(&messages), r#"[{"type":"text","content":"Be brief."}]"#);
        assert_eq!(
            output(&Message::assistant("Hello"), &FinishReason::Length),
            r#"[{"role":"assistant","parts":[{"type":"text","content":"Hello"}],"finish_reason":"length"}]"#,
        );
    }
}
