use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::stream::ChatStream;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Something that answers chat requests: a service, a decorator around one, or a fake.
///
/// Both calls are required, so that a decorator cannot forget the streamed one.
///
/// ```
/// use ember::llm::{ChatRequest, ChatResponse, ChatStream, Client, Error, Provider};
///
/// struct Parrot;
///
/// impl Provider for Parrot {
///     fn name(&self) -> &str {
///         "parrot"
///     }
///
///     async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
///         let last = request.messages.last().map(|message| message.text().into_owned());
///         Ok(ChatResponse::text_answer(last.unwrap_or_default()))
///     }
///
///     async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
///         Ok(self.chat(request).await?.into_stream())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// assert_eq!(Client::new(Parrot).ask("Hello").await.unwrap(), "Hello");
/// # }
/// ```
#[doc(alias = "LLMProvider")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no provider",
    note = "a provider implements `ember::llm::Provider`: `name`, `chat` and `stream`"
)]
pub trait Provider: Send + Sync + 'static {
    /// What it is called in errors and settings.
    fn name(&self) -> &str;

    /// Answers, all at once.
    ///
    /// # Errors
    /// Whatever keeps it from a complete answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the service.
    fn chat(
        &self,
        request: &ChatRequest,
    ) -> impl Future<Output = Result<ChatResponse, Error>> + Send;

    /// Answers bit by bit. The future is ready when the service has accepted the request.
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning; later failures are told in the stream.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream closes the connection to the service.
    fn stream(
        &self,
        request: &ChatRequest,
    ) -> impl Future<Output = Result<ChatStream, Error>> + Send;

    /// The names that a request can call a model by, where the provider answers to certain names
    /// only; empty where it passes on whatever name it is given. A decorator tells what it is
    /// put around.
    fn models(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A provider whose type is forgotten.
///
/// Decorators are put around providers while their types are known; the client, at the end,
/// holds one of these, so that no type parameter reaches the user's program.
#[derive(Clone)]
pub struct BoxProvider(Arc<dyn Erased>);

impl BoxProvider {
    /// Forgets the type of a provider.
    pub fn new(provider: impl Provider) -> Self {
        Self(Arc::new(provider))
    }
}

impl Provider for BoxProvider {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.0.chat(request).await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        self.0.stream(request).await
    }

    fn models(&self) -> Vec<String> {
        self.0.models()
    }
}

impl fmt::Debug for BoxProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&Provider::name(self)).finish()
    }
}

/// The boxed twin of [`Provider`].
trait Erased: Send + Sync {
    fn name(&self) -> &str;
    fn chat<'a>(&'a self, request: &'a ChatRequest) -> Boxed<'a, ChatResponse>;
    fn stream<'a>(&'a self, request: &'a ChatRequest) -> Boxed<'a, ChatStream>;
    fn models(&self) -> Vec<String>;
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl<P: Provider> Erased for P {
    fn name(&self) -> &str {
        Provider::name(self)
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> Boxed<'a, ChatResponse> {
        Box::pin(Provider::chat(self, request))
    }

    fn stream<'a>(&'a self, request: &'a ChatRequest) -> Boxed<'a, ChatStream> {
        Box::pin(Provider::stream(self, request))
    }

    fn models(&self) -> Vec<String> {
        Provider::models(self)
    }
}
