use super::Encode;
use super::calls::{Calls, FAILED, input, output, url_of};
use crate::base::Error;
use crate::base::sse::Event;
use crate::llm::{ChatEvent, Part, ToolCall};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Everything that happens, by its name.
#[derive(Default)]
pub(super) struct Events {
    calls: Calls,
}

impl Encode for Events {
    fn event(&mut self, event: ChatEvent, frames: &mut VecDeque<Event>) -> Result<(), Error> {
        let mut tell = |name, data| frames.push_back(named(name, data));
        match event {
            ChatEvent::Start { id, model } => {
                let mut data = json!({});
                for (name, value) in [("id", id), ("model", model)] {
                    if let Some(value) = value {
                        data[name] = value.into();
                    }
                }
                tell("start", data);
            }
            ChatEvent::Text(text) => tell("text", json!({"text": text})),
            ChatEvent::Reasoning(text) => tell("reasoning", json!({"text": text})),
            ChatEvent::Refusal(text) => tell("refusal", json!({"text": text})),
            ChatEvent::ToolCallStart { index, id, name, .. } => {
                self.calls.start(index, &id, &name);
                tell("tool_call_start", json!({"id": id, "name": name}));
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                if let Some(id) = self.calls.grow(index, &arguments) {
                    tell("tool_call_delta", json!({"id": id, "arguments": arguments}));
                }
            }
            ChatEvent::ToolRun(call) | ChatEvent::Part(Part::ToolCall(call))
                if self.calls.complete(&call.id) =>
            {
                tell("tool_call", call_data(&call));
            }
            ChatEvent::ToolResult(result) => {
                if let Some(call) = self.calls.untold(&result.call_id) {
                    tell("tool_call", call_data(&call));
                }
                let mut data = json!({"id": result.call_id, "name": result.name});
                match result.is_error {
                    true => data["error"] = FAILED.into(),
                    false => data["output"] = output(&result),
                }
                tell("tool_result", data);
            }
            ChatEvent::Part(Part::Text(text)) => tell("text", json!({"text": text.text})),
            ChatEvent::Part(Part::Refusal(text)) => tell("refusal", json!({"text": text})),
            ChatEvent::Part(Part::Media(media)) => {
                tell("file", json!({"media_type": media.media_type, "url": url_of(&media)}));
            }
            ChatEvent::StepEnd => {
                self.calls.clear();
                tell("step_end", json!({}));
            }
            ChatEvent::Reset => {
                self.calls.clear();
                tell("reset", json!({}));
            }
            ChatEvent::Usage(usage) => tell("usage", serde_json::to_value(usage)?),
            ChatEvent::Finish(finish) => {
                // Calls that are not carried out here are the reader's to carry out, if they are whole.
                let open = self.calls.end();
                if finish.reason.is_whole() {
                    open.iter().for_each(|call| tell("tool_call", call_data(call)));
                }
                tell("finish", json!({"reason": finish.reason}));
            }
            _ => {}
        }
        Ok(())
    }
}

fn call_data(call: &ToolCall) -> Value {
    match input(call) {
        Ok(input) => json!({"id": call.id, "name": call.name, "input": input}),
        Err(text) => json!({"id": call.id, "name": call.name, "arguments": text}),
    }
}

/// An event whose data says its name as well, for readers that look at the data alone.
fn named(name: &'static str, data: Value) -> Event {
    let mut all = json!({"type": name});
    if let (Value::Object(all), Value::Object(data)) = (&mut all, data) {
        all.extend(data);
    }
    Event::data(all.to_string()).event(name)
}
