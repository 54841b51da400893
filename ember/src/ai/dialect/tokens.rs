use super::{DONE, Encode};
use crate::base::sse::Event;
use crate::base::{Error, ErrorKind};
use crate::llm::ChatEvent;
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
            ChatEvent::Text(text) => {
                self.told = true;
                frames.push_back(Event::data(text));
            }
            ChatEvent::Refusal(text) => {
                (self.told, self.refused) = (true, true);
                frames.push_back(Event::data(text));
            }
            ChatEvent::StepEnd => (self.told, self.refused) = (false, false),
            // What the reader has seen cannot be taken back.
            ChatEvent::Reset if self.told => {
                let message = "The model began its answer anew in the middle of it.";
                return Err(Error::new(ErrorKind::BadGateway, message));
            }
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
