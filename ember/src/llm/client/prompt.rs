use super::client::Client;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::json_mode::JsonMode;
use crate::llm::stream::ChatStream;
use crate::llm::tool::Tool;

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
#[must_use = "a prompt is sent by `text`, `send`, `stream`, `json` or `json_stream`"]
pub struct Prompt {
    pub(in crate::llm) client: Client,
    pub(in crate::llm) request: ChatRequest,
    /// How to ask for JSON, if the caller has chosen.
    pub(in crate::llm) json_mode: Option<JsonMode>,
}

impl Client {
    /// Begins a request that is put together step by step.
    pub fn prompt(&self, request: impl Into<ChatRequest>) -> Prompt {
        Prompt { client: self.clone(), request: request.into(), json_mode: None }
    }
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
