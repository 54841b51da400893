use crate::base::Env;
use crate::base::tokens::{Estimate, TokenCounter};
use crate::llm::billing::Billing;
use crate::llm::budget::{Account, BoxBudget, Budget, Meter, Plan, ReservedEmbedding};
use crate::llm::catalog::Catalog;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::defaults;
use crate::llm::error::Error;
use crate::llm::events::{EventBus, LifecycleEvent, Outcome, Subscription};
use crate::llm::json_mode::Ways;
use crate::llm::layer::{Asked, CostConfig, Ledger, StackConfig, UsageTotals};
use crate::llm::message::{Message, Role};
use crate::llm::observe::Observer;
use crate::llm::provider::{BoxProvider, Provider};
use crate::llm::semantic_cache::{self, Found, SemanticCache};
use crate::llm::session_store::{MemorySessionStore, Sessions};
use crate::llm::stream::{ChatStream, Keeper as _, TextStream};
use crate::llm::tool::{Tool, ToolContext};
use crate::llm::tool_loop::{self, Call};
use crate::store::BoxStore;
use std::fmt;
use std::sync::Arc;

/// The front door: asks a model, and runs the tools that it calls.
///
/// Cloning is cheap; clones are the same client.
///
/// ```no_run
/// use ember::llm::Client;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let client = Client::from_env()?; // LLM_PROVIDER, OPENAI_API_KEY, …
/// println!("{}", client.ask("What is the meaning of life?").await?);
/// # Ok(()) }
/// ```
#[doc(alias = "Aether")]
#[derive(Clone)]
pub struct Client(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    provider: BoxProvider,
    env: Env,
    /// What the settings name as the default model, for people to read.
    model: Option<Arc<str>>,
    /// The model of requests that name none; the provider's default where there is none either.
    own_model: Option<Arc<str>>,
    /// What every request may call.
    tools: Vec<Tool>,
    /// What stands before a conversation that has no instructions of its own.
    system: Option<Message>,
    context: ToolContext,
    budgets: Vec<BoxBudget>,
    semantic_cache: Option<SemanticCache>,
    ledger: Ledger,
    /// Whom to tell what happens.
    events: Option<EventBus>,
    /// What models cost, and what else is known of them.
    prices: Arc<CostConfig>,
    counter: Arc<dyn TokenCounter>,
    /// How each model was last brought to answer in JSON.
    ways: Ways,
    sessions: Sessions,
    /// Whether requests get a temperature and a limit of tokens here, and not further down.
    fills: bool,
}

/// What a client is made of.
pub(in crate::llm) struct Parts {
    /// With everything that stands around it.
    pub(in crate::llm) provider: BoxProvider,
    pub(in crate::llm) env: Env,
    pub(in crate::llm) model: Option<String>,
    pub(in crate::llm) ledger: Ledger,
    pub(in crate::llm) events: Option<EventBus>,
    pub(in crate::llm) prices: CostConfig,
    pub(in crate::llm) sessions: Sessions,
    /// Whether requests get a temperature and a limit of tokens here, and not further down.
    pub(in crate::llm) fills: bool,
}

impl Client {
    /// The provider where `LLM_PROVIDER` names none.
    pub const DEFAULT_PROVIDER: &'static str = "openai";

    /// How many turns of the model a request may take, with the results of tools in between, unless
    /// [`ChatRequest::max_turns`] or `EMBER_MAX_TOOL_ITERATIONS` says otherwise.
    pub const DEFAULT_MAX_TURNS: usize = defaults::MAX_TURNS;

    /// How freely words are chosen unless [`ChatRequest::temperature`] or `EMBER_TEMPERATURE` says
    /// otherwise. A model that the catalogue knows to reason gets neither this nor the
    /// environment's: such models refuse a temperature.
    pub const DEFAULT_TEMPERATURE: f64 = defaults::TEMPERATURE;

    /// A client of a given provider, as it is: what is used is counted, but nothing is tried again.
    ///
    /// [`Client::builder`] puts more around it.
    pub fn new(provider: impl Provider) -> Self {
        let mut stack = StackConfig::new();
        (stack.retry, stack.circuit_breaker) = (None, None);
        let ledger = stack.ledger.clone();
        let prices = stack.cost.clone().unwrap_or_default();
        let provider = stack.boxed(BoxProvider::new(provider));
        let events = Some(EventBus::new());
        let sessions = Sessions::new(MemorySessionStore::new());
        let env = Env::process();
        let fills = true;
        Self::of(Parts { provider, env, model: None, ledger, events, prices, sessions, fills })
    }

    pub(in crate::llm) fn of(parts: Parts) -> Self {
        let Parts { provider, env, model, ledger, events, prices, sessions, fills } = parts;
        Self(Arc::new(Inner {
            provider,
            env,
            model: model.map(Into::into),
            own_model: None,
            tools: Vec::new(),
            system: None,
            context: ToolContext::new(),
            budgets: Vec::new(),
            semantic_cache: None,
            ledger,
            events,
            prices: Arc::new(prices),
            counter: Arc::new(Estimate),
            ways: Ways::default(),
            sessions,
            fills,
        }))
    }

    /// Reads settings such as `EMBER_MAX_TOOL_ITERATIONS` from here, instead of the environment of this process.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        Arc::make_mut(&mut self.0).env = env;
        self
    }

    /// Asks this model where a request names none.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let model: Arc<str> = model.into().into();
        inner.model = Some(model.clone());
        inner.own_model = Some(model);
        self
    }

    /// Puts these instructions before every conversation that has none of its own.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).system = Some(Message::system(text));
        self
    }

    /// Gives tools to every request. A request's own tool of the same name goes before one of these.
    #[must_use]
    pub fn tools<T: Into<Tool>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        Arc::make_mut(&mut self.0).tools.extend(tools.into_iter().map(Into::into));
        self
    }

    /// Sets what tools can reach beside their arguments.
    #[must_use]
    pub fn context(mut self, context: ToolContext) -> Self {
        Arc::make_mut(&mut self.0).context = context;
        self
    }

    /// Asks a budget before every request, and tells it what was used; all that there are must agree.
    #[must_use]
    pub fn budget(mut self, budget: impl Budget) -> Self {
        Arc::make_mut(&mut self.0).budgets.push(BoxBudget::new(budget));
        self
    }

    /// Counts tokens by this, and not by the [`Estimate`].
    #[must_use]
    pub fn token_counter(mut self, counter: impl TokenCounter) -> Self {
        Arc::make_mut(&mut self.0).counter = Arc::new(counter);
        self
    }

    /// Counts how many tokens messages have for the default model of this client.
    pub fn count_tokens<'a>(&self, messages: impl IntoIterator<Item = &'a Message>) -> u64 {
        let Inner { counter, model, .. } = &*self.0;
        let counts =
            messages.into_iter().map(|message| message.count_tokens(&**counter, model.as_deref()));
        counts.fold(0, u64::saturating_add)
    }

    /// Answers from earlier questions that mean the same, in place of the cache there was. It stands before
    /// budgets, tools and the provider; a budget is only asked before whether anything is left of it.
    ///
    /// Whoever asks through this client shares its answers; for one caller among many there is
    /// [`SemanticCache::for_caller`].
    #[must_use]
    pub fn semantic_cache(mut self, cache: SemanticCache) -> Self {
        Arc::make_mut(&mut self.0).semantic_cache = Some(cache);
        self
    }

    /// The cache that answers earlier questions, if there is one.
    pub(crate) fn its_semantic_cache(&self) -> Option<&SemanticCache> {
        self.0.semantic_cache.as_ref()
    }

    /// Keeps the conversations of [`Client::session`] here, and not in the memory of this client.
    #[must_use]
    pub fn sessions(mut self, sessions: impl Into<Sessions>) -> Self {
        Arc::make_mut(&mut self.0).sessions = sessions.into();
        self
    }

    /// Where the conversations are kept.
    pub(in crate::llm) fn session_store(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What the provider is called.
    pub fn provider(&self) -> &str {
        self.0.provider.name()
    }

    /// The model that answers requests which name none, as far as it is known.
    pub fn default_model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// The names that a request can call a model by: those that the provider answers to, or else the
    /// default model.
    pub fn models(&self) -> Vec<String> {
        let names = self.0.provider.models();
        match names.is_empty() {
            true => self.0.model.iter().map(|model| model.to_string()).collect(),
            false => names,
        }
    }

    /// What this client and its clones have used so far, and whoever else counts in its ledger.
    pub fn usage(&self) -> UsageTotals {
        self.0.ledger.totals()
    }

    /// The bus that is told what happens, unless events were turned off.
    pub fn events(&self) -> Option<&EventBus> {
        self.0.events.as_ref()
    }

    /// Calls a function at every event of its argument's type, as [`EventBus::on`] does. `None` if
    /// events were turned off.
    pub fn on<E: LifecycleEvent, O: Outcome>(
        &self,
        subscriber: impl Fn(&E) -> O + Send + Sync + 'static,
    ) -> Option<Subscription> {
        self.events().map(|bus| bus.on(subscriber))
    }

    /// As [`Client::on`], with an async function that is awaited, as [`EventBus::on_async`] does.
    pub fn on_async<E: LifecycleEvent, Fut>(
        &self,
        subscriber: impl Fn(Arc<E>) -> Fut + Send + Sync + 'static,
    ) -> Option<Subscription>
    where
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.events().map(|bus| bus.on_async(subscriber))
    }

    /// Takes a subscriber off the bus; tells whether it was on it.
    pub fn off(&self, subscription: Subscription) -> bool {
        self.events().is_some_and(|bus| bus.off(subscription))
    }

    /// Asks, and returns the text of the answer.
    ///
    /// # Errors
    /// Whatever keeps the model from a complete answer: a failure, an answer that is cut or
    /// withheld, a refusal, too many calls of tools.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the provider, and stops async tools where they
    /// wait.
    pub async fn ask(&self, request: impl Into<ChatRequest>) -> Result<String, Error> {
        self.complete(request).await?.into_text()
    }

    /// Asks, and returns the whole answer. Tools run as the model calls them, for at most so many
    /// turns as [`ChatRequest::max_turns`] says.
    ///
    /// How the answer ended is in its [`finish`](ChatResponse::finish):
    /// [`into_text`](ChatResponse::into_text) returns an answer only if it is complete.
    ///
    /// # Errors
    /// Whatever keeps the model from answering.
    ///
    /// # Cancel safety
    /// As [`Client::ask`].
    pub async fn complete(&self, request: impl Into<ChatRequest>) -> Result<ChatResponse, Error> {
        // On the heap from here on, as it is moved many times on its way.
        let request = Arc::new(self.filled(request.into()));
        let mut ticket = match self.earlier(&request).await? {
            Found::Answer(answer) => return Ok(*answer),
            Found::Nothing(ticket) => ticket,
        };
        let call = self.call(request).await?;
        if let Some(ticket) = &mut ticket {
            ticket.sent(&call.request);
        }
        let outcome = tool_loop::complete(call).await;
        if let Some(ticket) = ticket {
            match &outcome {
                Ok(answer) => ticket.answered(answer),
                Err(error) => ticket.failed(error),
            }
        }
        outcome
    }

    /// Asks, and returns the answer as it arrives: one stream, however often tools run.
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning; later failures are told in the stream.
    ///
    /// # Cancel safety
    /// As [`Client::ask`]; the same holds for dropping the stream.
    pub async fn stream(&self, request: impl Into<ChatRequest>) -> Result<ChatStream, Error> {
        // On the heap from here on, as it is moved many times on its way.
        let request = Arc::new(self.filled(request.into()));
        let mut ticket = match self.earlier(&request).await? {
            Found::Answer(answer) => return Ok(semantic_cache::replayed_stream(*answer)),
            Found::Nothing(ticket) => ticket,
        };
        let call = self.call(request).await?;
        if let Some(ticket) = &mut ticket {
            ticket.sent(&call.request);
        }
        let outcome = tool_loop::stream(call).await;
        match (outcome, ticket) {
            (Ok(stream), Some(ticket)) => Ok(semantic_cache::kept_stream(stream, *ticket)),
            (Err(error), Some(ticket)) => {
                ticket.failed(&error);
                Err(error)
            }
            (outcome, None) => outcome,
        }
    }

    /// As [`Client::stream`], but only the pieces of text.
    ///
    /// # Errors
    /// As [`Client::stream`]; the stream ends in an error unless the answer is complete, as with
    /// [`Client::ask`].
    pub async fn stream_text(&self, request: impl Into<ChatRequest>) -> Result<TextStream, Error> {
        Ok(self.stream(request).await?.into_text())
    }

    /// Tells whether it is known what a model costs.
    pub fn knows_price(&self, model: &str) -> bool {
        self.0.prices.price_of(self.provider(), None, Some(model)).is_some()
    }

    /// A model that has no known price and may answer a request which names this one, or else the default.
    pub(crate) fn unpriced_model<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        let named = named.or(self.default_model());
        self.0.prices.without_price(Asked { provider: self.provider(), named, allowed: None })
    }

    /// What is known of models.
    pub(in crate::llm) fn catalog(&self) -> &Catalog {
        &self.0.prices.catalog
    }

    /// How each model was last brought to answer in JSON.
    pub(in crate::llm) fn ways(&self) -> &Ways {
        &self.0.ways
    }

    /// The tools that every request gets.
    pub(crate) fn tools_of_all(&self) -> impl Iterator<Item = &Tool> {
        self.0.tools.iter()
    }

    /// Completes a request by what the client is set to.
    fn filled(&self, mut request: ChatRequest) -> ChatRequest {
        let Inner { provider, env, model, own_model, tools, system, prices, fills, .. } = &*self.0;
        if request.model.is_none() {
            request.model = own_model.as_deref().map(str::to_owned);
        }
        if let Some(system) = system
            && !request.messages.iter().any(|message| message.role == Role::System)
        {
            request.messages.insert(0, system.clone());
        }
        for tool in tools {
            if !request.tools.iter().any(|own| own.name() == tool.name()) {
                request.tools.push(tool.clone());
            }
        }
        defaults::fill_max_tokens(&mut request, env);
        if *fills {
            let (catalog, provider) = (&prices.catalog, provider.name());
            let model = request.model.clone().or_else(|| model.as_deref().map(str::to_owned));
            defaults::fill_temperature(&mut request, env, catalog, provider, model.as_deref());
        }
        request
    }

    /// Looks for an earlier answer. What is found takes nothing of a budget, and asks no model.
    async fn earlier(&self, request: &ChatRequest) -> Result<Found, Error> {
        let Inner { provider, model, semantic_cache, budgets, .. } = &*self.0;
        let Some(cache) = semantic_cache else { return Ok(Found::Nothing(None)) };
        let model = request.model.as_deref().or(model.as_deref());
        // On the heap: what a call without a cache needs no room for would be moved with every one.
        let look = Box::pin(cache.look(provider.name(), model, request, budgets));
        let found = look.await?;
        if let Found::Answer(answer) = &found {
            self.observer().cached(request, answer).await;
        }
        Ok(found)
    }

    /// Sets aside what texts are expected to use that another service embeds, from this client's budgets.
    ///
    /// # Errors
    /// When a budget has not so much left.
    pub(crate) async fn reserve_embedding(
        &self,
        provider: &str,
        model: &str,
        tokens: u64,
    ) -> Result<ReservedEmbedding, Error> {
        let Inner { budgets, prices, .. } = &*self.0;
        ReservedEmbedding::of(budgets, prices, provider, model, tokens).await
    }

    /// Keeps what the client may spend in the store of an application.
    pub(crate) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.0.budgets.iter().for_each(|budget| budget.keep_in(store, notes));
    }

    fn observer(&self) -> Observer {
        Observer { bus: self.0.events.clone(), env: self.0.env.clone() }
    }

    /// Sets aside what a request is expected to use.
    async fn call(&self, mut request: Arc<ChatRequest>) -> Result<Call, Error> {
        let Inner { provider, env, model, context, budgets, prices, counter, .. } = &*self.0;
        // Nobody else has it yet.
        let own = Arc::make_mut(&mut request);
        own.billing = Billing::default();
        let mut reservations = Vec::new();
        if !budgets.is_empty() {
            own.billing = Billing::open();
            let asked = own.max_tokens;
            let prompt = own.count_tokens(&**counter);
            let name = provider.name();
            let model = own.model.clone().or_else(|| model.as_deref().map(str::to_owned));
            let mut plan = Plan::new(own, prompt, name, model.as_deref(), prices);
            reservations = BoxBudget::reserve_all(budgets, &mut plan).await?;
            if own.max_tokens != asked {
                own.billing.bounded(asked);
            }
        }
        let account = Account {
            provider: provider.name().into(),
            prices: prices.clone(),
            counter: counter.clone(),
            billing: request.billing.clone(),
        };
        let max_turns = request.max_turns.filter(|turns| *turns > 0);
        Ok(Call {
            provider: provider.clone(),
            observer: self.observer(),
            request,
            context: context.clone(),
            meter: Meter::new(reservations, account),
            max_turns: max_turns.unwrap_or_else(|| defaults::max_turns(env)),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("provider", &self.provider())
            .field("model", &self.0.model)
            .finish()
    }
}
