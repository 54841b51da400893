use super::chat::{ChatRequest, ChatResponse};
use super::error::{Error, ErrorKind};
use super::stream::ChatStream;
use crate::base::nearest;
use crate::base::registry::collected;
use crate::base::{Env, Location, Registry, Scope, Secret};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

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

/// What a provider is made from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderConfig {
    /// The name that chose it.
    pub provider: String,
    /// The key, where it needs one.
    pub api_key: Option<Secret>,
    /// The model that answers requests which name none.
    pub model: String,
    /// Where the service is, if not at its usual address.
    pub base_url: Option<String>,
    /// How long it may take.
    pub timeouts: Timeouts,
}

impl ProviderConfig {
    /// A configuration with a name and a default model.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            api_key: None,
            model: model.into(),
            base_url: None,
            timeouts: Timeouts::default(),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets where the service is.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }
}

/// How long a provider may take, stage by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until the connection stands. 5 s.
    pub connect: Duration,
    /// Until the answer to a streamed request begins (status and headers). 60 s.
    pub headers: Duration,
    /// From there until the first event of a stream. 120 s.
    pub first_event: Duration,
    /// Between the bytes of a stream. 60 s.
    pub gap: Duration,
    /// For the whole exchange, from the request to the last byte. 600 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            connect: secs(5),
            headers: secs(60),
            first_event: secs(120),
            gap: secs(60),
            total: secs(600),
        }
    }
}

macro_rules! timeouts {
    ($($name:ident: $doc:literal;)*) => {
        impl Timeouts {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(mut self, limit: Duration) -> Self {
                    self.$name = limit;
                    self
                }
            )*
        }
    };
}

timeouts! {
    connect: "Sets how long the connection may take.";
    headers: "Sets how long the beginning of a streamed answer may take.";
    first_event: "Sets how long the first event of a stream may take after that.";
    gap: "Sets how long a stream may be silent.";
    total: "Sets how long the whole exchange may take.";
}

/// What `#[provider]` leaves behind: the settings a provider reads, and how it is made.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ProviderDescriptor {
    /// What `LLM_PROVIDER` names it by.
    pub name: &'static str,
    /// The variable that holds its key, where it needs one.
    pub api_key_env: Option<&'static str>,
    /// Whether it can do without the key.
    pub key_optional: bool,
    /// The variable that names its default model.
    pub model_env: Option<&'static str>,
    /// The variable that holds its address.
    pub base_url_env: Option<&'static str>,
    /// The model where no variable names one.
    pub default_model: &'static str,
    /// Where it stands in the source.
    pub location: Location,
    make: fn(ProviderConfig) -> Result<BoxProvider, Error>,
}

/// A provider that can be made from its configuration.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from its configuration",
    note = "implement `TryFrom<ember::llm::ProviderConfig>` or `From<ember::llm::ProviderConfig>` for it"
)]
pub trait FromConfig: Sized {
    /// Makes the provider.
    ///
    /// # Errors
    /// When the configuration lacks something.
    fn from_config(config: ProviderConfig) -> Result<Self, Error>;
}

#[diagnostic::do_not_recommend]
impl<P: TryFrom<ProviderConfig, Error: std::error::Error + Send + Sync + 'static>> FromConfig
    for P
{
    fn from_config(config: ProviderConfig) -> Result<Self, Error> {
        let name = config.provider.clone();
        Self::try_from(config).map_err(|error| {
            Error::new(ErrorKind::Config, error.to_string()).with_provider(name).with_source(error)
        })
    }
}

impl ProviderDescriptor {
    /// The code of the error that tells of a missing key.
    pub const MISSING_KEY: &'static str = "missing_key";

    /// A provider that needs no settings.
    #[doc(hidden)]
    pub const fn new<P: Provider + FromConfig>(name: &'static str, location: Location) -> Self {
        Self {
            name,
            api_key_env: None,
            key_optional: false,
            model_env: None,
            base_url_env: None,
            default_model: "",
            location,
            make: |config| P::from_config(config).map(BoxProvider::new),
        }
    }

    /// Names the variable that holds the key.
    #[doc(hidden)]
    #[must_use]
    pub const fn api_key_env(mut self, name: &'static str) -> Self {
        self.api_key_env = Some(name);
        self
    }

    /// Lets it do without the key.
    #[doc(hidden)]
    #[must_use]
    pub const fn key_optional(mut self) -> Self {
        self.key_optional = true;
        self
    }

    /// Names the variable that holds the default model.
    #[doc(hidden)]
    #[must_use]
    pub const fn model_env(mut self, name: &'static str) -> Self {
        self.model_env = Some(name);
        self
    }

    /// Names the variable that holds the address.
    #[doc(hidden)]
    #[must_use]
    pub const fn base_url_env(mut self, name: &'static str) -> Self {
        self.base_url_env = Some(name);
        self
    }

    /// Sets the model where no variable names one.
    #[doc(hidden)]
    #[must_use]
    pub const fn default_model(mut self, model: &'static str) -> Self {
        self.default_model = model;
        self
    }

    /// Finds the provider of a name among all that are linked in.
    ///
    /// The choice is made by name, in the environment, so no module is left out; of two providers
    /// of one name, neither is taken.
    ///
    /// # Errors
    /// When there is none of that name, or several.
    pub fn find(name: &str) -> Result<&'static Self, Error> {
        let registry = Registry::<Self>::collect(&Scope::everything());
        if let Some(duplicate) =
            registry.duplicates().into_iter().find(|duplicate| duplicate.key == name)
        {
            let places: Vec<_> =
                duplicate.entries.iter().map(|entry| entry.location.to_string()).collect();
            return Err(Error::new(
                ErrorKind::Config,
                format!("{duplicate}: {}", places.join(", ")),
            ));
        }
        registry.get(name).ok_or_else(|| {
            let mut known: Vec<_> = registry.iter().map(|provider| provider.name).collect();
            known.sort_unstable();
            let meant = nearest(known.iter().copied(), name)
                .map(|meant| format!("; did you mean `{meant}`?"));
            let message = format!(
                "there is no provider `{name}`{} LLM_PROVIDER can be {}",
                meant.as_deref().unwrap_or(";"),
                known.join(", "),
            );
            Error::new(ErrorKind::Config, message)
        })
    }

    /// Reads the settings of the provider.
    ///
    /// # Errors
    /// When its key is missing.
    pub fn configure(&self, env: &Env) -> Result<ProviderConfig, Error> {
        let variable = |name: Option<&'static str>| name.and_then(|name| env.var(name));
        let mut config = ProviderConfig::new(self.name, self.default_model);
        config.model = variable(self.model_env).unwrap_or(config.model);
        config.base_url = variable(self.base_url_env);
        if let Some(name) = self.api_key_env {
            config.api_key = env.var(name).map(Into::into);
            if config.api_key.is_none() && !self.key_optional {
                let message = format!("the provider `{}` needs a key: set {name}", self.name);
                return Err(Error::new(ErrorKind::Config, message).with_code(Self::MISSING_KEY));
            }
        }
        Ok(config)
    }

    /// Makes the provider.
    ///
    /// # Errors
    /// When the configuration lacks something.
    pub fn make(&self, config: ProviderConfig) -> Result<BoxProvider, Error> {
        (self.make)(config)
    }
}

collected!(ProviderDescriptor, "provider", |entry| entry.name.into(), shows name);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_provider_is_told_with_those_that_are_known() {
        let error = ProviderDescriptor::find("opnai").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("`opnai`") && error.message().contains("fake"), "{error}");
        #[cfg(feature = "openai")]
        assert!(error.message().contains("did you mean `openai`? LLM_PROVIDER can be "), "{error}");
        let far = ProviderDescriptor::find("zzz").unwrap_err();
        assert!(far.message().starts_with("there is no provider `zzz`; LLM_PROVIDER can be "));
    }
}
