use super::{DONE, Encode, begun_anew};
use crate::base::Error;
use crate::base::sse::Event;
use crate::llm::{ChatEvent, Part, Text};
use std::collections::VecDeque;

/// The text alone, token by token.
#[derive(Default)]
pub(super) struct Tokens {
    /// The reader has seen something of the present turn.
    told: bool,
    refused: bool,
}

impl Encode for Tokens {
    fn event(&mut self, event: ChatEvent, frames: &mut VecDeque<Event>) -> Result<(), Error> {
        match event {
            ChatEvent::Text(text) | ChatEvent::Part(Part::Text(Text { text, .. })) => {
                self.told = true;
                frames.push_back(Event::data(text));
            }
            ChatEvent::Refusal(text) | ChatEvent::Part(Part::Refusal(text)) => {
                (self.told, self.refused) = (true, true);
                frames.push_back(Event::data(text));
            }
            ChatEvent::StepEnd => (self.told, self.refused) = (false, false),
            // What the reader has seen cannot be taken back.
            ChatEvent::Reset if self.told => return Err(begun_anew()),
            ChatEvent::Reset => self.refused = false,
            ChatEvent::Finish(finish) => {
                // There is no way to say why an answer is not complete but to fail.
                finish.check(self.refused)?;
                frames.push_back(DONE);
            }
            _ => {}
        }
        Ok(())
    }
}
