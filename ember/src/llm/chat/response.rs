use super::dropped::Dropped;
use super::finish::{Finish, FinishReason, refused};
use crate::llm::error::Error;
use crate::llm::message::{Message, ToolCall};
use crate::llm::usage::Usage;
use std::borrow::Cow;

/// What a model has answered.
#[doc(alias = "LLMResponse")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChatResponse {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model that answered, in the provider's words.
    pub model: Option<String>,
    /// The answer.
    pub message: Message,
    /// Why it ended.
    pub finish: Finish,
    /// What it used; `None` where the provider did not say.
    pub usage: Option<Usage>,
    /// Turns that led to the answer: the model's calls, and the results of its tools.
    pub steps: Vec<Message>,
    /// What the provider could not be told.
    pub dropped: Vec<Dropped>,
    /// Where the answer is an earlier one that was kept: how near its question was.
    pub cached: Option<Cached>,
}

/// Says that an answer was given before, to a question that means the same.
///
/// The usage of such an answer is zero: no model was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Cached {
    /// How near the two questions are, up to 1; of an equal request, 1.
    pub similarity: f32,
    /// What the answer had used when the model gave it.
    pub saved: Option<Usage>,
}

impl Cached {
    /// An answer to a question that is so near.
    pub fn new(similarity: f32, saved: Option<Usage>) -> Self {
        Self { similarity, saved }
    }
}

impl ChatResponse {
    /// The answer as it is given again, to a question that is so near: it has used nothing, and says
    /// what it had.
    pub(in crate::llm) fn replayed(&self, similarity: f32) -> Self {
        let usage = Some(Usage::new(0, 0));
        Self { cached: Some(Cached::new(similarity, self.usage)), usage, ..self.clone() }
    }

    /// An answer of plain text, complete.
    pub fn text_answer(text: impl Into<String>) -> Self {
        Self::new(Message::assistant(text), FinishReason::Stop)
    }

    /// An answer.
    pub fn new(message: Message, finish: impl Into<Finish>) -> Self {
        Self {
            id: None,
            model: None,
            message,
            finish: finish.into(),
            usage: None,
            steps: Vec::new(),
            dropped: Vec::new(),
            cached: None,
        }
    }

    /// The text of the answer.
    pub fn text(&self) -> Cow<'_, str> {
        self.message.text()
    }

    /// The answer, if it is complete: not cut, not withheld, not waiting for a tool.
    ///
    /// A refusal in so many words is complete: it is what the model says.
    ///
    /// # Errors
    /// What keeps the answer from being one, with the kind of that failure.
    pub fn into_message(self) -> Result<Message, Error> {
        self.finish.check(self.message.refusal().is_some())?;
        Ok(self.message)
    }

    /// The text of the answer, if it is complete and no refusal.
    ///
    /// # Errors
    /// As [`ChatResponse::into_message`]; a refusal is one of [`ErrorKind::ContentFilter`](crate::llm::ErrorKind::ContentFilter).
    pub fn into_text(self) -> Result<String, Error> {
        let message = self.into_message()?;
        match message.refusal() {
            Some(refusal) => Err(refused(&refusal)),
            None => Ok(message.text().into_owned()),
        }
    }

    /// The calls that are complete and may run.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.message.tool_calls().filter(|call| !call.truncated)
    }
}
