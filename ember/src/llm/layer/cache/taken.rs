use super::shelf::Turn;
use crate::llm::error::Error;
use crate::llm::stream::{Accumulator, ChatEvent, Watch};

/// Takes the answer of a stream down, which is kept when it is complete.
pub(super) struct Taken(Option<Taking>);

/// Until the end, or until the answer is too large.
struct Taking {
    turn: Turn,
    accumulator: Accumulator,
    /// How large the answer is so far, in bytes.
    size: usize,
}

impl Taken {
    /// Takes down for whoever has this turn.
    pub(super) fn new(turn: Turn) -> Self {
        Self(Some(Taking { turn, accumulator: Accumulator::new(), size: 0 }))
    }
}

impl Watch for Taken {
    fn look(&mut self, item: &Result<ChatEvent, Error>) {
        let Some(Taking { turn, accumulator, size }) = &mut self.0 else { return };
        if let Ok(event) = item {
            *size = size.saturating_add(size_of(event));
            if turn.has_room_for(*size) {
                accumulator.push(event);
                if !accumulator.is_finished() {
                    return;
                }
            }
        }
        if let Some(taking) = self.0.take() {
            taking.end(item);
        }
    }
}

impl Taking {
    /// The stream has ended with this, or the answer is too large.
    fn end(self, item: &Result<ChatEvent, Error>) {
        match (item, self.accumulator.finish()) {
            (Err(error), _) => self.turn.failed(error),
            (Ok(_), Ok(answer)) => self.turn.answered(&answer),
            // Whoever waits for it asks by itself, and all of them at once.
            (Ok(_), Err(_)) => self.turn.gave_up(),
        }
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
