use super::dialect::StreamDialect;
use super::on_disconnect::OnDisconnect;
use super::token_limits::{Limiter, TokenLimits};
use crate::base::Clock;
use crate::base::Error;
use crate::llm::{Client, PromptError, PromptTemplate, Tool};
use crate::web::{RequestParts, RouteOptions};
use std::borrow::Cow;

/// What an `#[ai_route]` says of its model: tools, the model itself, limits, and how answers are streamed.
#[derive(Debug, Clone, Default)]
pub struct AiOptions {
    pub(super) tools: Vec<Tool>,
    pub(super) model: Option<String>,
    /// Those of the application and of blueprints hold for all routes within.
    pub(super) limiters: Vec<Limiter>,
    pub(super) stream: Option<StreamDialect>,
    pub(super) on_disconnect: OnDisconnect,
    prompt: Option<PromptTemplate>,
}

impl AiOptions {
    /// The options of a route, to set them.
    pub fn of(options: &mut RouteOptions) -> &mut Self {
        options.extension_mut()
    }

    /// Lets the model call these tools.
    pub fn tools(&mut self, tools: impl IntoIterator<Item = Tool>) -> &mut Self {
        self.tools.extend(tools);
        self
    }

    /// Asks this model.
    pub fn model(&mut self, model: impl Into<String>) -> &mut Self {
        self.model = Some(model.into());
        self
    }

    /// Bounds the tokens that the route uses; limits around it hold as well.
    pub fn token_limits(&mut self, limits: TokenLimits) -> &mut Self {
        self.limiters.push(Limiter::new(limits, &Clock::system()));
        self
    }

    /// Streams answers in this dialect, whatever a request asks for.
    pub fn stream(&mut self, dialect: StreamDialect) -> &mut Self {
        self.stream = Some(dialect);
        self
    }

    /// Gives every conversation these instructions. Parameters of the path and defaults fill them.
    ///
    /// A variable that nothing fills keeps the application from starting.
    pub fn prompt(&mut self, prompt: PromptTemplate) -> &mut Self {
        self.prompt = Some(prompt);
        self
    }

    /// Says what becomes of a turn whose reader goes away.
    pub fn on_disconnect(&mut self, what: OnDisconnect) -> &mut Self {
        self.on_disconnect = what;
        self
    }

    /// The tools that the model may call.
    pub fn all_tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Tells whether the instructions of a route can be filled, whose path has these parameters.
    pub(crate) fn check_prompt<'a>(
        &self,
        parameters: impl Iterator<Item = &'a str>,
    ) -> Result<(), PromptError> {
        let Some(prompt) = &self.prompt else { return Ok(()) };
        prompt.check()?;
        let names = prompt.variables()?;
        let given = parameters.filter(|name| names.contains(*name)).map(|name| (name, ""));
        prompt.render(given).map(drop)
    }

    /// The instructions for a request.
    pub(super) fn instructions(&self, parts: &RequestParts) -> Result<Option<String>, Error> {
        let Some(prompt) = &self.prompt else { return Ok(None) };
        let names = prompt.variables()?;
        let mut values = Vec::new();
        for parameter in parts.params() {
            let (name, value) = parameter?;
            if names.contains(name) {
                values.push((name, Cow::into_owned(value)));
            }
        }
        Ok(Some(prompt.render(values)?))
    }

    /// The client that does what the options say.
    pub(super) fn scope(self, client: Client) -> Client {
        let client = client.tools(self.tools);
        let client = match self.model {
            Some(model) => client.model(model),
            None => client,
        };
        self.limiters.into_iter().fold(client, Client::budget)
    }
}
