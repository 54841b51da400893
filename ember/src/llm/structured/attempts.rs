use super::Structured;
use super::shape::Shape;
use crate::base::JsonSchema;
use crate::llm::chat::{
    ChatRequest, ChatResponse, FinishReason, ResponseFormat, ToolChoice, refused,
};
use crate::llm::client::Client;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::json_mode::{JsonMode, Ways};
use crate::llm::message::{Message, Role, ToolResult};
use crate::llm::tool::Tool;
use crate::llm::usage::Usage;
use serde::de::DeserializeOwned;

/// How many answers are judged before it is given up.
const MAX_ANSWERS: usize = 2;

/// The code of the error that no answer fitted.
const CODE: &str = "invalid_json";

/// A request for a value, through all that it takes.
pub(super) struct Attempts {
    client: Client,
    /// With the answers that did not fit, and what was said to them.
    request: ChatRequest,
    shape: Shape,
    mode: JsonMode,
    /// Whether the caller has chosen the mode, which is then kept.
    fixed: bool,
    /// Whether the mode is another than the usual one, and not yet known to be accepted.
    stepped: bool,
    /// What the mode is remembered by.
    key: String,
    /// The tool that takes the answer.
    tool: String,
    answers: usize,
    steps: Vec<Message>,
    usage: Option<Usage>,
}

/// What comes of an answer.
pub(super) enum Verdict<T> {
    Fits(Box<Structured<T>>),
    /// It is to be asked for once more; what was wrong.
    Again(Vec<String>),
}

impl Attempts {
    pub(super) fn new<T: JsonSchema>(
        client: Client,
        request: ChatRequest,
        mode: Option<JsonMode>,
    ) -> Self {
        let shape = Shape::of::<T>();
        let model = request.model.as_deref().or(client.default_model());
        let key = Ways::key(client.provider(), model, &shape.schema);
        let usual = || {
            let known = client.ways().get(&key);
            known.unwrap_or_else(|| JsonMode::of(client.catalog(), client.provider(), model))
        };
        let own_mode = mode.unwrap_or_else(usual);
        let mut tool = shape.name.clone();
        let is_taken = |name: &str| {
            request.tools.iter().chain(client.tools_of_all()).any(|tool| tool.name() == name)
        };
        while is_taken(&tool) {
            // A name has at most 64 letters.
            tool.truncate(57);
            tool.push_str("_answer");
            if is_taken(&tool) {
                tool = format!("a{}", &tool[..tool.len() - 7]);
            }
        }
        Self {
            mode: own_mode,
            fixed: mode.is_some(),
            stepped: false,
            client,
            request,
            shape,
            key,
            tool,
            answers: 0,
            steps: Vec::new(),
            usage: None,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The name of the tool that takes the answer, if one does.
    pub(super) fn tool(&self) -> Option<&str> {
        (self.mode == JsonMode::Tool).then_some(&*self.tool)
    }

    /// The next request.
    pub(super) fn request(&self) -> Result<ChatRequest, Error> {
        let mut request = self.request.clone();
        let schema = &self.shape.schema;
        match self.mode {
            JsonMode::Schema => {
                let (name, schema) = (self.shape.name.clone(), schema.clone());
                request.response_format = ResponseFormat::Schema { name, schema };
            }
            JsonMode::LooseSchema => {
                let (name, schema) = (self.shape.name.clone(), schema.clone());
                request.response_format = ResponseFormat::LooseSchema { name, schema };
            }
            JsonMode::Tool => {
                let has_others =
                    !request.tools.is_empty() || self.client.tools_of_all().next().is_some();
                let description = "Takes the answer. It is called once, with the whole of it.";
                request.tools.push(Tool::declared(&*self.tool, description, schema.clone())?);
                request.tool_choice = match has_others && self.answers == 0 {
                    // The other tools may have to run first.
                    true => ToolChoice::Required,
                    false => ToolChoice::Tool(self.tool.clone()),
                };
            }
            JsonMode::Json => {
                request.response_format = ResponseFormat::Json;
                let instructions = format!(
                    "Answer with one JSON object and nothing else. It must fit this JSON Schema:\n{}",
                    schema.as_value()
                );
                let place = request
                    .messages
                    .iter()
                    .take_while(|message| message.role == Role::System)
                    .count();
                request.messages.insert(place, Message::system(instructions));
            }
        }
        Ok(request)
    }

    /// Tells whether a failure is the provider's refusal of the way in which it was asked, and then
    /// chooses the next plainer one.
    pub(super) fn step_down(&mut self, error: &Error) -> bool {
        names_the_form(error) && self.plainer()
    }

    fn plainer(&mut self) -> bool {
        let below = self.mode.below(self.client.provider());
        let Some(mode) = below.filter(|_| !self.fixed) else {
            return false;
        };
        tracing::debug!(from = ?self.mode, to = ?mode, "another way of asking for JSON");
        (self.mode, self.stepped) = (mode, true);
        true
    }

    /// Judges an answer: it fits, is to be given once more, or is the end of it.
    pub(super) fn judge<T: DeserializeOwned>(
        &mut self,
        mut response: ChatResponse,
    ) -> Result<Verdict<T>, Error> {
        self.answers += 1;
        let dropped_the_form =
            response.dropped.iter().any(|dropped| dropped.what == "response_format");
        if std::mem::take(&mut self.stepped) && !dropped_the_form {
            // The provider has answered, so that this way is open.
            self.client.ways().keep(&self.key, self.mode);
        }
        self.usage = match (self.usage, response.usage) {
            (Some(before), Some(usage)) => Some(before + usage),
            (before, usage) => before.or(usage),
        };
        let mistakes = match self.shape.read(&self.text(&response)?) {
            Ok(value) => {
                self.steps.append(&mut response.steps);
                response.steps = std::mem::take(&mut self.steps);
                response.usage = self.usage;
                let attempts = self.answers;
                return Ok(Verdict::Fits(Box::new(Structured { value, response, attempts })));
            }
            Err(mistakes) => mistakes,
        };
        if self.answers >= MAX_ANSWERS {
            let message = format!("the answer does not fit its schema: {}", mistakes.join("; "));
            return Err(Error::new(ErrorKind::Decode, message)
                .with_public_message("The model's answer does not have the form that it must have.")
                .with_provider(self.client.provider())
                .with_code(CODE));
        }
        let reply = self.objection(&response.message, &mistakes);
        let said = response.steps.into_iter().chain([response.message, reply]);
        for message in said {
            self.steps.push(message.clone());
            self.request.messages.push(message);
        }
        // Who drops an enforced schema drops a loose one as well.
        if dropped_the_form && self.plainer() && self.mode == JsonMode::LooseSchema {
            self.plainer();
        }
        Ok(Verdict::Again(mistakes))
    }

    /// The text that holds the answer, if it is complete and no refusal.
    fn text(&self, response: &ChatResponse) -> Result<String, Error> {
        let refusal = response.message.refusal();
        let finish = &response.finish;
        if let Some(name) = self.tool()
            && refusal.is_none()
            && matches!(finish.reason, FinishReason::ToolCalls | FinishReason::Stop)
            && let Some(call) = response.tool_calls().find(|call| call.name == name)
        {
            return Ok(call.arguments.clone());
        }
        let named = |error: Error| error.with_provider(self.client.provider());
        finish.check(refusal.is_some()).map_err(named)?;
        match refusal {
            Some(refusal) => Err(named(refused(&refusal))),
            None => Ok(response.text().into_owned()),
        }
    }

    /// What is said to an answer that does not fit. Every call of it must be answered.
    fn objection(&self, answer: &Message, mistakes: &[String]) -> Message {
        let text = format!(
            "The answer does not fit its schema:\n- {}\nGive the whole answer again, corrected, as JSON and nothing else.",
            mistakes.join("\n- ")
        );
        let mut results = answer.tool_calls().map(|call| match self.tool() {
            Some(name) if call.name == name => ToolResult::error(call, &*text),
            _ => ToolResult::error(call, "This tool did not run."),
        });
        match results.next() {
            Some(first) => Message::tool_results([first].into_iter().chain(results)),
            None => Message::user(text),
        }
    }
}

/// Words by which providers name the form of the answer when they refuse it.
const FORM: &[&str] = &[
    "schema",
    "response_format",
    "response format",
    "responsemimetype",
    "response mime type",
    "output_config",
    "output_format",
    "text.format",
    "json_object",
    "tool_choice",
    "tool choice",
    "structured output",
    "grammar",
    "too many states",
];

/// Tells whether a refused request was refused for the form of the answer that it asks for. No
/// provider has a code of its own for that, so their words must do.
fn names_the_form(error: &Error) -> bool {
    if error.kind() != ErrorKind::InvalidRequest {
        return false;
    }
    let words = format!("{} {}", error.message(), error.code().unwrap_or_default()).to_lowercase();
    FORM.iter().any(|word| words.contains(word))
}
