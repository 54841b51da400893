use super::billing::Billing;
use super::error::{Error, ErrorKind};
use super::message::{Message, Part, Role, ToolCall};
use super::tool::Tool;
use super::usage::Usage;
use crate::base::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What a model is asked.
///
/// ```
/// use ember::llm::{ChatRequest, Message};
///
/// let request = ChatRequest::new([Message::system("Be brief."), Message::user("Why is the sky blue?")])
///     .model("gpt-5-mini")
///     .max_tokens(200);
/// # let _: ChatRequest = "A text alone is one message of the user.".into();
/// ```
#[doc(alias = "LLMRequest")]
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The model; the provider's default where there is none.
    pub model: Option<String>,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must call a tool. Once its tools have run, it chooses freely again.
    pub tool_choice: ToolChoice,
    /// How many turns of the model this may take, the results of its tools in between; the
    /// client's limit where there is none.
    pub max_turns: Option<usize>,
    /// Whether it may call several tools in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// How freely it chooses words, from 0 to 2.
    pub temperature: Option<f64>,
    /// From which share of the likeliest words it chooses, from 0 to 1.
    pub top_p: Option<f64>,
    /// How many tokens it may answer with, reasoning included.
    pub max_tokens: Option<u64>,
    /// Texts at which it stops.
    pub stop: Vec<String>,
    /// Makes its choices repeatable, as far as the provider can.
    pub seed: Option<u64>,
    /// How much it should think before it answers, in the provider's words: `low`, `medium`, `high`.
    pub reasoning_effort: Option<String>,
    /// What form the answer must have.
    pub response_format: ResponseFormat,
    /// Members that are put into the provider's request as they are, in place of ours of that name.
    pub extra: Map<String, Value>,
    /// Somebody else's request that is passed on: it gets no temperature of ours that nobody asked for.
    pub(crate) relayed: bool,
    /// The only models of a router that may answer, by their names or ids; any, where there is none.
    pub(crate) allowed_models: Option<Arc<[String]>>,
    /// What is told to its budgets.
    pub(in crate::llm) billing: Billing,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = Some($name.into());
            self
        }
    )*};
}

impl ChatRequest {
    /// Asks with a conversation.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    setters! {
        /// Sets the model.
        model: impl Into<String>;
        /// Sets how freely words are chosen, from 0 to 2.
        temperature: f64;
        /// Sets from which share of the likeliest words is chosen, from 0 to 1.
        top_p: f64;
        /// Sets how many tokens the answer may have, reasoning included.
        max_tokens: u64;
        /// Makes choices repeatable, as far as the provider can.
        seed: u64;
        /// Sets how much the model should think.
        reasoning_effort: impl Into<String>;
        /// Sets whether several tools may be called in one turn.
        parallel_tool_calls: bool;
        /// Sets how many turns of the model this may take, in place of `EMBER_MAX_TOOL_ITERATIONS`.
        max_turns: usize;
    }

    /// Adds a tool.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<Tool>) -> Self {
        self.tools.push(tool.into());
        self
    }

    /// Adds tools.
    #[must_use]
    pub fn tools<T: Into<Tool>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.tools.extend(tools.into_iter().map(Into::into));
        self
    }

    /// Sets whether a tool must be called.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Sets the form of the answer.
    #[must_use]
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = format;
        self
    }

    /// Sets the instructions for the whole conversation, in place of those there were.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.messages.retain(|message| message.role != Role::System);
        self.messages.insert(0, Message::system(text));
        self
    }
}

impl From<&str> for ChatRequest {
    fn from(text: &str) -> Self {
        Self::new([Message::user(text)])
    }
}

impl From<String> for ChatRequest {
    fn from(text: String) -> Self {
        Self::new([Message::user(text)])
    }
}

impl From<Message> for ChatRequest {
    fn from(message: Message) -> Self {
        Self::new([message])
    }
}

impl From<Vec<Message>> for ChatRequest {
    fn from(messages: Vec<Message>) -> Self {
        Self::new(messages)
    }
}

impl From<&[Message]> for ChatRequest {
    fn from(messages: &[Message]) -> Self {
        Self::new(messages.iter().cloned())
    }
}

impl<const N: usize> From<[Message; N]> for ChatRequest {
    fn from(messages: [Message; N]) -> Self {
        Self::new(messages)
    }
}

/// Whether the model must call a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Tool(String),
}

/// What form the answer must have.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON of a schema.
    Schema {
        /// What the provider calls it: letters, digits, `_` and `-`.
        name: String,
        /// The schema.
        schema: Schema,
    },
    /// JSON after a schema that the model is shown as it is, and that the provider does not enforce.
    ///
    /// Where an interface only knows schemas that it enforces, it is listed in
    /// [`ChatResponse::dropped`].
    LooseSchema {
        /// What the provider calls it: letters, digits, `_` and `-`.
        name: String,
        /// The schema.
        schema: Schema,
    },
}

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
    /// As [`ChatResponse::into_message`]; a refusal is one of [`ErrorKind::ContentFilter`].
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
pub(super) fn refused(refusal: &str) -> Error {
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
    /// The provider reports a failure of the answer.
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

/// Something in a request that the provider has no way to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// What it was, for example `seed` or `messages[2].content[0]`.
    pub what: String,
    /// Why it could not be sent.
    pub why: String,
}

impl Dropped {
    /// Something that was left out, and why.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
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
