use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::Part;
use serde::{Deserialize, Serialize};

/// Why an answer ended: our word for it, and the provider's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finish {
    /// Our word.
    pub reason: FinishReason,
    /// The provider's word, where it has one.
    pub raw: Option<String>,
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        Self { reason, raw: None }
    }
}

impl Finish {
    /// Our word for what the provider has called so.
    pub fn new(reason: FinishReason, raw: impl Into<String>) -> Self {
        Self { reason, raw: Some(raw.into()) }
    }
}

impl Finish {
    /// Tells whether an answer that ended so is complete. `refused` says that it is a refusal.
    ///
    /// For the sake of a word that we do not know no text is thrown away; words for an answer that was given up
    /// are known to the adapters, which call it [`FinishReason::Error`].
    pub(crate) fn check(&self, refused: bool) -> Result<(), Error> {
        let (kind, message) = match self.reason {
            FinishReason::Stop | FinishReason::Other(_) => return Ok(()),
            FinishReason::ContentFilter if refused => return Ok(()),
            FinishReason::ContentFilter => {
                (ErrorKind::ContentFilter, "The model's provider withheld the answer.")
            }
            FinishReason::Length => {
                (ErrorKind::Truncated, "The answer was cut at its limit of tokens.")
            }
            FinishReason::ToolLimit => (ErrorKind::ToolLimit, "The model called tools too often."),
            FinishReason::ToolCalls => {
                (ErrorKind::Truncated, "The model waits for tools that do not run here.")
            }
            FinishReason::Pause => (ErrorKind::Truncated, "The model made a pause."),
            FinishReason::Error => (ErrorKind::Server, "The model did not finish its answer."),
        };
        let error = Error::new(kind, message).with_public_message(message);
        Err(match &self.raw {
            Some(raw) => error.with_code(raw.as_str()),
            None => error,
        })
    }
}

/// The error that a refusal is where an answer was wanted.
pub(in crate::llm) fn refused(refusal: &str) -> Error {
    Error::new(ErrorKind::ContentFilter, format!("the model refused: {refusal}"))
        .with_public_message("The model refused to answer.")
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It is complete.
    Stop,
    /// The model waits for its tools.
    ToolCalls,
    /// The limit of tokens was reached: the answer is cut.
    Length,
    /// The provider withheld it, or the model refused.
    ContentFilter,
    /// The provider made a pause: the turn is sent back to go on.
    Pause,
    /// The provider reports a failure of the answer, or a part of it that calls tools did not arrive whole.
    Error,
    /// Our cap on the turns of the model was reached: its last calls did not run.
    ToolLimit,
    /// Something else, in the provider's words.
    Other(String),
}

impl FinishReason {
    /// Tells whether what a turn that ended so has said, its calls included, is whole.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Stop | Self::ToolCalls | Self::ToolLimit)
    }
}

/// Marks the calls of a turn that did not end well: they never run.
pub(crate) fn mark_truncated(content: &mut [Part], finish: &FinishReason) {
    if finish.is_whole() {
        return;
    }
    for part in content {
        if let Part::ToolCall(call) = part {
            call.truncated = true;
        }
    }
}
