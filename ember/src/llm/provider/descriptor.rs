use super::config::{FromConfig, ProviderConfig};
use super::provider::{BoxProvider, Provider};
use crate::base::nearest;
use crate::base::registry::collected;
use crate::base::{Env, Location, Registry, Scope};
use crate::llm::error::{Error, ErrorKind};

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

    /// Names the variable that holds the default model. A provider that has one and no default needs a model to
    /// be named.
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

    /// What to say where nobody names a model.
    pub(crate) fn no_model(name: &str) -> String {
        let variable = Self::find(name).ok().and_then(|provider| provider.model_env);
        let set = variable.map(|variable| format!("set {variable}, or ")).unwrap_or_default();
        format!("`{name}` has no default model: {set}name one by `model = \"…\"` on the route")
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

    #[test]
    fn where_no_model_is_named_the_ways_out_are() {
        #[cfg(feature = "openai")]
        assert_eq!(
            ProviderDescriptor::no_model("ollama"),
            "`ollama` has no default model: set OLLAMA_MODEL, or name one by `model = \"…\"` on the route"
        );
        let unknown = ProviderDescriptor::no_model("mine");
        assert_eq!(
            unknown,
            "`mine` has no default model: name one by `model = \"…\"` on the route"
        );
    }
}
