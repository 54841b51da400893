use super::chat_stream::ChatStream;
use super::event::ChatEvent;
use crate::llm::chat::ChatResponse;
use crate::llm::message::{Message, Part, Role, ToolCall};
use futures_util::stream;

impl From<ChatResponse> for ChatStream {
    /// An answer that is whole, as a stream.
    fn from(response: ChatResponse) -> Self {
        Self::new(stream::iter(events_of(response).into_iter().map(Ok)))
    }
}

impl ChatResponse {
    /// The answer as a stream, for providers that only know whole answers.
    pub fn into_stream(self) -> ChatStream {
        self.into()
    }
}

/// Turns an answer that is whole into the events that would have brought it.
pub(super) fn events_of(response: ChatResponse) -> Vec<ChatEvent> {
    let ChatResponse { id, model, message, finish, usage, steps, dropped, cached } = response;
    let mut events = vec![ChatEvent::Start { id, model }];
    events.extend(dropped.into_iter().map(ChatEvent::Dropped));
    let mut calls = 0;
    let mut steps = steps.into_iter().peekable();
    while let Some(turn) = steps.next() {
        // Only a turn that ended in calls is told. What else may have led to the answer, such as an answer in the
        // wrong form and what was said to it, has no events.
        let Some(results) = steps.next_if(|next| next.role == Role::Tool) else { continue };
        // An answer is an earlier one if all of its turns are.
        events.extend(cached.map(ChatEvent::Cached));
        tell(&turn, &mut calls, &mut events);
        let run = turn.tool_calls().filter(|call| !call.truncated).cloned();
        events.extend(run.map(ChatEvent::ToolRun));
        for part in &results.content {
            if let Part::ToolResult(result) = part {
                events.push(ChatEvent::ToolResult(result.clone()));
            }
        }
        events.push(ChatEvent::StepEnd);
    }
    events.extend(cached.map(ChatEvent::Cached));
    tell(&message, &mut calls, &mut events);
    events.extend(usage.map(ChatEvent::Usage));
    events.push(ChatEvent::Finish(finish));
    events
}

/// Tells what a message says. `calls` counts the calls of all turns.
fn tell(message: &Message, calls: &mut usize, events: &mut Vec<ChatEvent>) {
    // Messages share their parts, so that each is copied.
    for part in message.content.iter().cloned() {
        match part {
            Part::Text(text) => {
                events.push(ChatEvent::Text(text.text));
                events.extend(text.citations.into_iter().map(ChatEvent::Citation));
                events.push(ChatEvent::PartEnd { signature: text.signature });
            }
            Part::Reasoning(reasoning) => {
                events.push(ChatEvent::Reasoning(reasoning.text));
                events.push(ChatEvent::PartEnd { signature: reasoning.signature });
            }
            Part::Refusal(text) => {
                events.push(ChatEvent::Refusal(text));
                events.push(ChatEvent::PartEnd { signature: None });
            }
            Part::ToolCall(ToolCall { id, name, arguments, signature, .. }) => {
                let index = *calls;
                *calls += 1;
                events.push(ChatEvent::ToolCallStart { index, id, name, signature });
                events.push(ChatEvent::ToolCallDelta { index, arguments });
            }
            part => events.push(ChatEvent::Part(part)),
        }
    }
}
