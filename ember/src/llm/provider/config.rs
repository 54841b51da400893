use super::timeouts::Timeouts;
use crate::base::Secret;
use crate::llm::error::{Error, ErrorKind};

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
