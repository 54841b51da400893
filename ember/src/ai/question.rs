use super::dialect::StreamDialect;
use super::transcript::Transcript;
use super::ui_messages::{UiMessages, UiTrigger};
use crate::base::Error;
use crate::llm::{Message, Role};
use std::fmt;

/// What can be asked in a conversation: a text, a [`Message`], or the [`UiMessages`] of a page.
///
/// Of the messages of a page only the last one is asked: what was said before is what the
/// conversation remembers, whatever the page claims. Where the page asks for an answer anew, or the user
/// has changed an earlier question, what is remembered from that question on is forgotten.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked",
    note = "a question is a text (`String`, `&str`), a `Message`, or `UiMessages`"
)]
pub trait IntoQuestion {
    /// Makes the question.
    ///
    /// # Errors
    /// When there is nothing to be asked.
    fn into_question(self) -> Result<Question, Error>;
}

/// A question on its way into a conversation.
pub struct Question {
    pub(super) message: Message,
    /// The questions that stand before it, where it goes into the middle of what was said.
    after: Option<Vec<String>>,
    /// What its reader reads.
    pub(super) dialect: Option<StreamDialect>,
}

impl From<Message> for Question {
    fn from(message: Message) -> Self {
        Self { message, after: None, dialect: None }
    }
}

impl<T: Into<String>> IntoQuestion for T {
    fn into_question(self) -> Result<Question, Error> {
        Ok(Message::user(self).into())
    }
}

impl IntoQuestion for Message {
    fn into_question(self) -> Result<Question, Error> {
        Ok(self.into())
    }
}

impl IntoQuestion for UiMessages {
    fn into_question(self) -> Result<Question, Error> {
        let goes_back = self.trigger == UiTrigger::Regenerate || self.message_id.is_some();
        let mut messages = self.into_messages();
        match messages.pop() {
            Some(message) if message.role == Role::User => {
                let before = messages.iter().filter(|message| message.role == Role::User);
                let before = before.map(|message| message.text().into_owned());
                let after = goes_back.then(|| before.collect());
                Ok(Question { message, after, dialect: Some(StreamDialect::UiMessages) })
            }
            _ => Err(Error::unprocessable("The last of the messages must be the user's.")),
        }
    }
}

impl Question {
    /// How many messages of a conversation stand before the question: all, unless it goes back.
    ///
    /// The page's questions are followed as far as they are those of the conversation, which may
    /// have forgotten some, and never heard those that failed.
    pub(super) fn place(&self, transcript: &Transcript) -> usize {
        let all = transcript.messages().len();
        let Some(after) = &self.after else { return all };
        let mut shown = after.iter();
        let place = transcript
            .questions()
            .find(|(_, known)| !shown.any(|shown| *shown == known.text()))
            .map(|(place, _)| place);
        place.unwrap_or(all)
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("message", &self.message).finish_non_exhaustive()
    }
}
