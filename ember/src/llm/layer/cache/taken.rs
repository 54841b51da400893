use super::shelf::Turn;
use crate::llm::error::Error;
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A stream whose answer is kept when it is complete.
pub(super) struct Taken {
    stream: ChatStream,
    /// Until the end, or until the answer is too large; with how large it is.
    taken: Option<(Turn, Accumulator, usize)>,
}

impl Taken {
    /// The stream of whoever has this turn.
    pub(super) fn new(stream: ChatStream, turn: Turn) -> Self {
        Self { stream, taken: Some((turn, Accumulator::new(), 0)) }
    }
}

impl Stream for Taken {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(context));
        match &item {
            Some(Ok(event)) => {
                let mut has_room = true;
                if let Some((turn, accumulator, size)) = &mut self.taken {
                    *size = size.saturating_add(size_of(event));
                    has_room = turn.has_room_for(*size);
                    if has_room {
                        accumulator.push(event);
                    }
                }
                if !has_room && let Some((turn, ..)) = self.taken.take() {
                    // Whoever waits for it asks by itself, and all of them at once.
                    turn.gave_up();
                }
                if matches!(event, ChatEvent::Finish(_))
                    && let Some((turn, accumulator, _)) = self.taken.take()
                {
                    match accumulator.finish() {
                        Ok(answer) => turn.answered(&answer),
                        Err(_) => turn.gave_up(),
                    }
                }
            }
            Some(Err(error)) => {
                if let Some((turn, ..)) = self.taken.take() {
                    turn.failed(error);
                }
            }
            None => {}
        }
        Poll::Ready(item)
    }
}

/// How much of an answer arrives, in bytes. It takes no less as JSON.
fn size_of(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text(piece) | ChatEvent::Reasoning(piece) | ChatEvent::Refusal(piece) => {
            piece.len()
        }
        ChatEvent::ToolCallStart { name, .. } => name.len(),
        ChatEvent::ToolCallDelta { arguments, .. } => arguments.len(),
        ChatEvent::Part(part) => serde_json::to_vec(part).map_or(usize::MAX, |json| json.len()),
        _ => 0,
    }
}
