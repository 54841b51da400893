use super::chat_stream::ChatStream;
use super::event::ChatEvent;
use crate::llm::chat::ChatResponse;
use crate::llm::message::{Part, ToolCall};
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
    let mut events = vec![ChatEvent::Start { id: response.id, model: response.model }];
    events.extend(response.cached.map(ChatEvent::Cached));
    events.extend(response.dropped.into_iter().map(ChatEvent::Dropped));
    for (index, part) in response.message.content.iter().cloned().enumerate() {
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
                events.push(ChatEvent::ToolCallStart { index, id, name, signature });
                events.push(ChatEvent::ToolCallDelta { index, arguments });
            }
            part => events.push(ChatEvent::Part(part)),
        }
    }
    events.extend(response.usage.map(ChatEvent::Usage));
    events.push(ChatEvent::Finish(response.finish));
    events
}
