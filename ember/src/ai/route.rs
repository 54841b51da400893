use super::token_limits::{Limiter, TokenLimits};
use crate::base::Clock;
use crate::llm::{Client, Tool};
use crate::web::RouteOptions;

/// What an `#[ai_route]` says of its model: tools, the model itself, instructions, and limits.
#[derive(Debug, Clone, Default)]
pub struct AiOptions {
    pub(super) tools: Vec<Tool>,
    pub(super) model: Option<String>,
    pub(super) system: Option<String>,
    /// What the OpenAI-compatible API calls the route.
    pub(super) openai_model: Option<String>,
    /// Those of the application and of blueprints hold for all routes within.
    pub(super) limiters: Vec<Limiter>,
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

    /// Instructs the model so where a conversation has no instructions of its own.
    pub fn system(&mut self, text: impl Into<String>) -> &mut Self {
        self.system = Some(text.into());
        self
    }

    /// Offers what the route says of its model as a model of this name in
    /// [the OpenAI-compatible API](super::openai).
    pub fn openai_model(&mut self, name: impl Into<String>) -> &mut Self {
        self.openai_model = Some(name.into());
        self
    }

    /// Bounds the tokens that the route uses; limits around it hold as well.
    pub fn token_limits(&mut self, limits: TokenLimits) -> &mut Self {
        self.limiters.push(Limiter::new(limits, &Clock::system()));
        self
    }

    /// The tools that the model may call.
    pub fn all_tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The client that does what the options say.
    pub(super) fn scope(self, client: Client) -> Client {
        let client = client.tools(self.tools);
        let client = match self.model {
            Some(model) => client.model(model),
            None => client,
        };
        let client = match self.system {
            Some(system) => client.system(system),
            None => client,
        };
        self.limiters.into_iter().fold(client, Client::budget)
    }
}
