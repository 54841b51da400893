use crate::base::Schema;
use crate::llm::billing::Billing;
use crate::llm::message::{Message, Role};
use crate::llm::tool::Tool;
use serde_json::{Map, Value};
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
    /// [`ChatResponse::dropped`](crate::llm::ChatResponse::dropped).
    LooseSchema {
        /// What the provider calls it: letters, digits, `_` and `-`.
        name: String,
        /// The schema.
        schema: Schema,
    },
}
