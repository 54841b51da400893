use super::dialect::StreamDialect;
use super::home::Places;
use super::instructions::Instructions;
use super::limiter::{Limiter, TokenBound};
use super::on_disconnect::OnDisconnect;
use crate::base::{Clock, Finding};
use crate::llm::{Client, PromptError, SemanticCache, SpendLimit, Tool, Usd};
use crate::store::BoxStore;
use crate::web::RouteOptions;

/// What an `#[ai_route]` says of its model: tools, the model itself, instructions, limits, and how
/// answers are streamed.
#[derive(Debug, Clone, Default)]
pub struct AiOptions {
    /// Where what is set now stands.
    place: String,
    pub(super) tools: Vec<Tool>,
    pub(super) model: Option<String>,
    pub(super) system: Option<Instructions>,
    /// What the OpenAI-compatible API calls the route.
    pub(super) openai_model: Option<String>,
    /// Those of the application and of blueprints hold for all routes within.
    pub(super) limiters: Vec<Limiter>,
    pub(super) spend_limits: Vec<SpendLimit>,
    pub(super) semantic_cache: Option<SemanticCache>,
    pub(super) stream: Option<StreamDialect>,
    pub(super) on_disconnect: OnDisconnect,
}

impl AiOptions {
    /// The options of a route, to set them.
    pub fn of(options: &mut RouteOptions) -> &mut Self {
        let place = options.place.clone();
        let own = options.extension_mut::<Self>();
        own.place = place;
        own
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

    /// The model that is asked where a request names none.
    pub fn model_name(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Instructs the model so where a conversation or a question has no instructions of its own.
    ///
    /// A template whose variables nothing fills keeps the application from starting.
    pub fn system(&mut self, instructions: impl Into<Instructions>) -> &mut Self {
        self.system = Some(instructions.into());
        self
    }

    /// Offers what the route says of its model as a model of this name in
    /// [the OpenAI-compatible API](super::openai).
    pub fn openai_model(&mut self, name: impl Into<String>) -> &mut Self {
        self.openai_model = Some(name.into());
        self
    }

    /// Bounds the tokens that the route uses, by [`TokenLimits`](super::TokenLimits) or a
    /// [`GlobalTokenBucket`](crate::store::GlobalTokenBucket); limits around it hold as well.
    pub fn token_limits(&mut self, limits: impl Into<TokenBound>) -> &mut Self {
        self.limiters.push(Limiter::new(limits.into(), &Clock::system(), self.place.clone()));
        self
    }

    /// Bounds the money that the route spends; limits around it hold as well.
    pub fn spend_limit(&mut self, limit: SpendLimit) -> &mut Self {
        self.spend_limits.push(limit);
        self
    }

    /// Streams answers in this dialect, whatever a request asks for.
    pub fn stream(&mut self, dialect: StreamDialect) -> &mut Self {
        self.stream = Some(dialect);
        self
    }

    /// Says what becomes of a turn whose reader goes away.
    pub fn on_disconnect(&mut self, what: OnDisconnect) -> &mut Self {
        self.on_disconnect = what;
        self
    }

    /// Answers from earlier questions that mean the same, in place of the cache there was around.
    pub fn semantic_cache(&mut self, cache: SemanticCache) -> &mut Self {
        self.semantic_cache = Some(cache);
        self
    }

    /// The tools that the model may call.
    pub fn all_tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Tells whether the instructions can be filled by parameters of these names.
    pub(crate) fn check_system<'a>(
        &self,
        parameters: impl Iterator<Item = &'a str>,
    ) -> Result<(), PromptError> {
        self.system.as_ref().map_or(Ok(()), |system| system.check(parameters))
    }

    /// Tells whether there is a limit in money.
    pub(crate) fn limits_money(&self) -> bool {
        !self.spend_limits.is_empty()
    }

    /// What keeps a client from being asked under a limit in money: a model that nobody knows the
    /// price of.
    pub(crate) fn check_price(&self, client: &Client) -> Option<Finding> {
        self.spend_limits.iter().find(|limit| limit.refuses_unpriced())?;
        let model = client.unpriced_model(self.model.as_deref())?;
        let message = format!(
            "there is a limit in money, and no price is known of the model `{model}` at `{}`; set one by \
             `CostConfig::price`, or let the `SpendLimit` go `.allow_unpriced()`",
            client.provider()
        );
        Some(Finding::new(message))
    }

    /// Keeps what is counted in the store of the application, as far as other processes can know it there.
    pub(crate) fn keep_in(&self, store: &BoxStore, places: &mut Places, notes: &mut Vec<String>) {
        self.limiters.iter().for_each(|limiter| limiter.keep_in(store, places));
        self.spend_limits.iter().for_each(|limit| limit.keep_in(store, notes));
    }

    /// What is wrong with the options.
    pub(crate) fn check(&self) -> impl Iterator<Item = Finding> {
        let money = self.spend_limits.iter().filter(|limit| limit.limit() == Usd::ZERO);
        let money = money.map(|_| Finding::new("a spend limit of zero lets no request pass"));
        let money =
            money.chain(self.spend_limits.iter().filter_map(SpendLimit::fault).map(Finding::new));
        let cache = self.semantic_cache.as_ref().and_then(SemanticCache::fault).map(Finding::new);
        self.limiters.iter().filter_map(Limiter::check).chain(money).chain(cache)
    }
}
