use super::budget::{Budget, Meter};
use super::chat::{ChatRequest, ChatResponse};
use super::error::Error;
use super::provider::{BoxProvider, Provider, ProviderDescriptor};
use super::stream::{ChatStream, TextStream};
use super::tool::{Tool, ToolContext};
use super::tool_loop::{self, Call};
use crate::base::Env;
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
    model: Option<String>,
    /// What requests get that do not say otherwise.
    defaults: ChatRequest,
    context: ToolContext,
    budgets: Vec<Arc<dyn Budget>>,
}

impl Client {
    /// The provider where `LLM_PROVIDER` names none.
    pub const DEFAULT_PROVIDER: &'static str = "openai";

    /// How many turns of the model a request may take, with the results of tools in between, unless
    /// [`ChatRequest::max_turns`] or `EMBER_MAX_TOOL_ITERATIONS` says otherwise.
    pub const DEFAULT_MAX_TURNS: usize = 10;

    /// A client of a given provider.
    pub fn new(provider: impl Provider) -> Self {
        Self::of(BoxProvider::new(provider), Env::process(), None)
    }

    fn of(provider: BoxProvider, env: Env, model: Option<String>) -> Self {
        Self(Arc::new(Inner {
            provider,
            env,
            model,
            defaults: ChatRequest::default(),
            context: ToolContext::new(),
            budgets: Vec::new(),
        }))
    }

    /// A client of the provider that `LLM_PROVIDER` names, with that provider's own variables.
    ///
    /// # Errors
    /// When there is no such provider, or its key is missing.
    pub fn from_env() -> Result<Self, Error> {
        Self::with_env(Env::process())
    }

    /// As [`Client::from_env`], with other variables.
    ///
    /// # Errors
    /// When there is no such provider, or its key is missing.
    pub fn with_env(env: Env) -> Result<Self, Error> {
        let name = env.var("LLM_PROVIDER").unwrap_or_else(|| Self::DEFAULT_PROVIDER.to_owned());
        let descriptor = ProviderDescriptor::find(name.trim())?;
        let config = descriptor.configure(&env)?;
        let model = Some(config.model.clone()).filter(|model| !model.is_empty());
        Ok(Self::of(descriptor.make(config)?, env, model))
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
        let model = model.into();
        inner.model = Some(model.clone());
        inner.defaults.model = Some(model);
        self
    }

    /// Gives tools to every request. A request's own tool of the same name goes before one of these.
    #[must_use]
    pub fn tools<T: Into<Tool>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        Arc::make_mut(&mut self.0).defaults.tools.extend(tools.into_iter().map(Into::into));
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
        Arc::make_mut(&mut self.0).budgets.push(Arc::new(budget));
        self
    }

    /// What the provider is called.
    pub fn provider(&self) -> &str {
        self.0.provider.name()
    }

    /// The model that answers requests which name none, as far as it is known.
    pub fn default_model(&self) -> Option<&str> {
        self.0.model.as_deref()
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
        tool_loop::complete(self.call(request.into())?).await
    }

    /// Asks, and returns the answer as it arrives: one stream, however often tools run.
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning; later failures are told in the stream.
    ///
    /// # Cancel safety
    /// As [`Client::ask`]; the same holds for dropping the stream.
    pub async fn stream(&self, request: impl Into<ChatRequest>) -> Result<ChatStream, Error> {
        tool_loop::stream(self.call(request.into())?).await
    }

    /// As [`Client::stream`], but only the pieces of text.
    ///
    /// # Errors
    /// As [`Client::stream`]; the stream ends in an error unless the answer is complete, as with
    /// [`Client::ask`].
    pub async fn stream_text(&self, request: impl Into<ChatRequest>) -> Result<TextStream, Error> {
        Ok(self.stream(request).await?.into_text())
    }

    /// Begins a request that is put together step by step.
    pub fn prompt(&self, request: impl Into<ChatRequest>) -> Prompt {
        Prompt { client: self.clone(), request: request.into() }
    }

    /// Completes a request by what the client is set to, and sets its tokens aside.
    fn call(&self, mut request: ChatRequest) -> Result<Call, Error> {
        let Inner { provider, defaults, context, budgets, .. } = &*self.0;
        if request.model.is_none() {
            request.model.clone_from(&defaults.model);
        }
        for tool in &defaults.tools {
            if !request.tools.iter().any(|own| own.name() == tool.name()) {
                request.tools.push(tool.clone());
            }
        }
        let reservations =
            budgets.iter().map(|budget| budget.reserve(&mut request)).collect::<Result<_, _>>()?;
        let max_turns = request.max_turns.filter(|turns| *turns > 0);
        Ok(Call {
            provider: provider.clone(),
            request,
            context: context.clone(),
            meter: Meter::new(reservations),
            max_turns: max_turns.unwrap_or_else(|| self.max_turns()),
        })
    }

    fn max_turns(&self) -> usize {
        let accept = |turns: &usize| *turns > 0;
        self.0.env.parse_if("EMBER_MAX_TOOL_ITERATIONS", accept).unwrap_or(Self::DEFAULT_MAX_TURNS)
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

/// A request that is put together step by step, and then sent.
///
/// ```
/// # use ember::llm::{Client, FakeProvider};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// # let client = Client::new(FakeProvider::new().text("Paris"));
/// let answer = client.prompt("The capital of France?").system("One word.").max_tokens(5).text().await?;
/// assert_eq!(answer, "Paris");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a prompt is sent by `text`, `send` or `stream`"]
pub struct Prompt {
    client: Client,
    request: ChatRequest,
}

impl Prompt {
    /// Changes the request in a way that has no method of its own here.
    pub fn with(mut self, change: impl FnOnce(ChatRequest) -> ChatRequest) -> Self {
        self.request = change(self.request);
        self
    }

    /// Sets the instructions.
    pub fn system(self, text: impl Into<String>) -> Self {
        self.with(|request| request.system(text))
    }

    /// Sets the model.
    pub fn model(self, model: impl Into<String>) -> Self {
        self.with(|request| request.model(model))
    }

    /// Sets how freely words are chosen, from 0 to 2.
    pub fn temperature(self, temperature: f64) -> Self {
        self.with(|request| request.temperature(temperature))
    }

    /// Sets how many tokens the answer may have, reasoning included.
    pub fn max_tokens(self, tokens: u64) -> Self {
        self.with(|request| request.max_tokens(tokens))
    }

    /// Adds a tool.
    pub fn tool(self, tool: impl Into<Tool>) -> Self {
        self.with(|request| request.tool(tool))
    }

    /// Adds tools.
    pub fn tools<T: Into<Tool>>(self, tools: impl IntoIterator<Item = T>) -> Self {
        self.with(|request| request.tools(tools))
    }

    /// Sends the request, and returns the text of the answer.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn text(self) -> Result<String, Error> {
        self.client.ask(self.request).await
    }

    /// Sends the request, and returns the whole answer.
    ///
    /// # Errors
    /// As [`Client::complete`].
    pub async fn send(self) -> Result<ChatResponse, Error> {
        self.client.complete(self.request).await
    }

    /// Sends the request, and returns the answer as it arrives.
    ///
    /// # Errors
    /// As [`Client::stream`].
    pub async fn stream(self) -> Result<ChatStream, Error> {
        self.client.stream(self.request).await
    }
}
