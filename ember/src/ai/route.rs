use super::token_limits::{Limiter, TokenLimits};
use crate::base::Clock;
use crate::llm::{Client, SemanticCache, Tool};
use crate::web::RouteOptions;

/// What an `#[ai_route]` says of its model: tools, the model itself, and limits.
#[derive(Debug, Clone, Default)]
pub struct AiOptions {
    pub(super) tools: Vec<Tool>,
    pub(super) model: Option<String>,
    /// Those of the application and of blueprints hold for all routes within.
    pub(super) limiters: Vec<Limiter>,
    pub(super) semantic_cache: Option<SemanticCache>,
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

    /// Answers from earlier questions that mean the same, in place of the cache there was around.
    pub fn semantic_cache(&mut self, cache: SemanticCache) -> &mut Self {
        self.semantic_cache = Some(cache);
        self
    }

    /// What is wrong with the options, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        self.semantic_cache.as_ref().and_then(SemanticCache::fault)
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
        let client = match self.semantic_cache {
            Some(cache) => client.semantic_cache(cache),
            None => client,
        };
        self.limiters.into_iter().fold(client, Client::budget)
    }
}
