use super::calls::{FAILED, input, output};
use crate::base::constant_json::constant_json;
use crate::base::{Error, ErrorKind, Schema};
use crate::llm::{Accumulator, ChatEvent, ChatResponse, Message, Part};
use futures_core::Stream;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};

/// How long an answer may be that is gathered before it is sent, in bytes of its events.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Waits for the end of an answer, and writes it as one document.
///
/// # Errors
/// Whatever the stream ends in.
pub(in crate::ai) async fn document(
    mut events: impl Stream<Item = Result<ChatEvent, Error>> + Unpin,
) -> Result<Value, Error> {
    let mut accumulator = Accumulator::new();
    let mut bytes = 0;
    while let Some(event) = events.next().await {
        let event = event?;
        bytes += size(&event);
        if bytes > MAX_BYTES {
            let message = "The answer is too long to be sent as one document.";
            return Err(Error::new(ErrorKind::BadGateway, message));
        }
        accumulator.push(&event);
        if accumulator.is_finished() {
            break;
        }
    }
    Ok(of_response(&accumulator.finish()?))
}

/// What an answer looks like as one document.
pub(in crate::ai) fn document_schema() -> Schema {
    Schema::from(constant_json!({
        "type": "object",
        "properties": {
            "model": {"type": ["string", "null"]},
            "text": {"type": "string"},
            "refusal": {"type": "string"},
            "reasoning": {"type": "string"},
            "tool_calls": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "name": {"type": "string"},
                    "input": {},
                    "arguments": {"type": "string"},
                    "output": {},
                    "error": {"type": "string"}
                },
                "required": ["id", "name"]
            }},
            "finish": {},
            "usage": {"type": ["object", "null"]}
        },
        "required": ["model", "text", "tool_calls", "finish", "usage"]
    }))
}

/// How much an event adds to what is gathered; numbers and names count as little as they are.
fn size(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => text.len(),
        ChatEvent::ToolCallDelta { arguments, .. } => arguments.len(),
        ChatEvent::ToolResult(result) => result.content.len(),
        _ => 16,
    }
}

fn of_response(response: &ChatResponse) -> Value {
    let mut document = Map::new();
    document.insert("model".into(), json!(response.model));
    document.insert("text".into(), json!(response.text()));
    if let Some(refusal) = response.message.refusal() {
        document.insert("refusal".into(), json!(refusal));
    }
    let reasoning = response.message.reasoning();
    if !reasoning.is_empty() {
        document.insert("reasoning".into(), json!(reasoning));
    }
    let turns = || response.steps.iter().chain([&response.message]);
    let calls = turns().flat_map(Message::tool_calls).map(|call| {
        let mut object = json!({"id": call.id, "name": call.name});
        match input(call) {
            Ok(input) => object["input"] = input,
            Err(text) => object["arguments"] = text.into(),
        }
        let results = response.steps.iter().flat_map(|step| &step.content);
        let result = results.into_iter().find_map(|part| match part {
            Part::ToolResult(result) if result.call_id == call.id => Some(result),
            _ => None,
        });
        match result {
            Some(result) if result.is_error => object["error"] = json!(FAILED),
            Some(result) => object["output"] = output(result),
            None => {}
        }
        object
    });
    document.insert("tool_calls".into(), calls.collect());
    document.insert("finish".into(), json!(response.finish.reason));
    document.insert("usage".into(), json!(response.usage));
    document.into()
}
