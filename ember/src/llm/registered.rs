//! The providers that are known by name, and how each is reached.

#[cfg(feature = "anthropic")]
use super::adapter::anthropic::Anthropic;
#[cfg(feature = "gemini")]
use super::adapter::gemini::Gemini;
#[cfg(feature = "openai")]
use super::adapter::openai::{OpenAi, VENDORS, Vendor};
#[cfg(feature = "openai")]
use super::adapter::responses::OpenAiResponses;
use super::error::Error;
use super::http::HttpProvider;
use super::provider::{ProviderConfig, ProviderDescriptor};
use crate::base::Location;

const HERE: Location = Location { module: module_path!(), file: file!(), line: line!() };

/// Where OpenAI is.
#[cfg(feature = "openai")]
const OPENAI: &str = "https://api.openai.com/v1";

#[cfg(feature = "openai")]
impl HttpProvider<OpenAi> {
    /// OpenAI, one of [`VENDORS`] by the name of the configuration, or any server that is compatible.
    ///
    /// # Errors
    /// When the address is none of HTTP, or the key cannot stand in a header.
    pub fn openai(config: &ProviderConfig) -> Result<Self, Error> {
        let base_url = Vendor::find(&config.provider).map_or(OPENAI, |vendor| vendor.base_url);
        Self::new(OpenAi::named(config.provider.clone()), base_url, config)
    }
}

#[cfg(feature = "openai")]
impl TryFrom<ProviderConfig> for HttpProvider<OpenAi> {
    type Error = Error;

    fn try_from(config: ProviderConfig) -> Result<Self, Error> {
        Self::openai(&config)
    }
}

#[cfg(feature = "openai")]
inventory::submit! {
    ProviderDescriptor::new::<HttpProvider<OpenAi>>("openai", HERE)
        .api_key_env("OPENAI_API_KEY")
        .model_env("OPENAI_MODEL")
        .base_url_env("OPENAI_BASE_URL")
        .default_model("gpt-5.4-mini")
}

#[cfg(feature = "openai")]
impl HttpProvider<OpenAiResponses> {
    /// OpenAI by its responses, or a server that is compatible with them.
    ///
    /// # Errors
    /// When the address is none of HTTP, or the key cannot stand in a header.
    pub fn openai_responses(config: &ProviderConfig) -> Result<Self, Error> {
        Self::new(OpenAiResponses::named(config.provider.clone()), OPENAI, config)
    }
}

#[cfg(feature = "openai")]
impl TryFrom<ProviderConfig> for HttpProvider<OpenAiResponses> {
    type Error = Error;

    fn try_from(config: ProviderConfig) -> Result<Self, Error> {
        Self::openai_responses(&config)
    }
}

#[cfg(feature = "openai")]
inventory::submit! {
    ProviderDescriptor::new::<HttpProvider<OpenAiResponses>>("openai-responses", HERE)
        .api_key_env("OPENAI_API_KEY")
        .model_env("OPENAI_MODEL")
        .base_url_env("OPENAI_BASE_URL")
        .default_model("gpt-5.4-mini")
}

#[cfg(feature = "anthropic")]
impl HttpProvider<Anthropic> {
    /// Anthropic, or a server that is compatible with it. Its address ends before `/v1`; one that
    /// does not is understood as well.
    ///
    /// # Errors
    /// When the address is none of HTTP, or the key cannot stand in a header.
    pub fn anthropic(config: &ProviderConfig) -> Result<Self, Error> {
        let mut config = config.clone();
        if let Some(url) = &mut config.base_url {
            let bare = url.trim().trim_end_matches('/');
            *url = bare.strip_suffix("/v1").unwrap_or(bare).to_owned();
        }
        let adapter = Anthropic::named(config.provider.clone());
        Self::new(adapter, "https://api.anthropic.com", &config)
    }
}

#[cfg(feature = "anthropic")]
impl TryFrom<ProviderConfig> for HttpProvider<Anthropic> {
    type Error = Error;

    fn try_from(config: ProviderConfig) -> Result<Self, Error> {
        Self::anthropic(&config)
    }
}

#[cfg(feature = "anthropic")]
inventory::submit! {
    ProviderDescriptor::new::<HttpProvider<Anthropic>>("anthropic", HERE)
        .api_key_env("ANTHROPIC_API_KEY")
        .model_env("ANTHROPIC_MODEL")
        .base_url_env("ANTHROPIC_BASE_URL")
        .default_model("claude-sonnet-4-6")
}

#[cfg(feature = "gemini")]
impl HttpProvider<Gemini> {
    /// Gemini, or a server that is compatible with it.
    ///
    /// # Errors
    /// When the address is none of HTTP, or the key cannot stand in a header.
    pub fn gemini(config: &ProviderConfig) -> Result<Self, Error> {
        let base_url = "https://generativelanguage.googleapis.com/v1beta";
        Self::new(Gemini::named(config.provider.clone()), base_url, config)
    }
}

#[cfg(feature = "gemini")]
impl TryFrom<ProviderConfig> for HttpProvider<Gemini> {
    type Error = Error;

    fn try_from(config: ProviderConfig) -> Result<Self, Error> {
        Self::gemini(&config)
    }
}

#[cfg(feature = "gemini")]
inventory::submit! {
    ProviderDescriptor::new::<HttpProvider<Gemini>>("gemini", HERE)
        .api_key_env("GEMINI_API_KEY")
        .model_env("GEMINI_MODEL")
        .base_url_env("GEMINI_BASE_URL")
        .default_model("gemini-3.5-flash-lite")
}

#[cfg(feature = "openai")]
const fn described(vendor: &'static Vendor) -> ProviderDescriptor {
    let described = ProviderDescriptor::new::<HttpProvider<OpenAi>>(vendor.name, HERE)
        .api_key_env(vendor.api_key_env)
        .model_env(vendor.model_env)
        .base_url_env(vendor.base_url_env)
        .default_model(vendor.default_model);
    if vendor.key_optional { described.key_optional() } else { described }
}

/// Registers rows of the table; each needs a place of its own in the program.
#[cfg(feature = "openai")]
macro_rules! register {
    ($($row:literal)*) => {
        $(inventory::submit! { described(&VENDORS[$row]) })*
        // A row that is not registered would be one that nobody can choose.
        const _: () = assert!(VENDORS.len() == [$($row),*].len());
    };
}

#[cfg(feature = "openai")]
register!(0 1 2 3 4 5 6 7 8 9 10);

#[cfg(all(test, feature = "openai"))]
mod tests {
    use super::*;
    use crate::base::{Env, Registry, Scope};
    use crate::llm::catalog::Catalog;
    use crate::llm::error::ErrorKind;

    #[test]
    fn default_models_are_in_the_catalogue_and_not_deprecated() {
        let catalog = Catalog::new();
        let listed =
            ["groq", "mistral", "deepseek", "xai", "cerebras", "openai", "openai-responses"];
        for name in listed.into_iter().chain(["anthropic", "gemini"]) {
            let Some(descriptor) = ProviderDescriptor::find(name).ok() else { continue };
            let key = descriptor.api_key_env.unwrap();
            let config = descriptor.configure(&Env::of([(key, "k")])).unwrap();
            let model = catalog.find(name, &config.model);
            let model = model.unwrap_or_else(|| panic!("{name}: {}", config.model));
            assert_eq!(model.deprecated_from, None, "{name}: {}", config.model);
        }
    }

    #[test]
    fn the_page_of_variables_lists_every_provider() {
        let page = include_str!("../docs/variables.md");
        let all = Registry::<ProviderDescriptor>::collect(&Scope::everything());
        for provider in all.iter().filter(|provider| provider.location.file == file!()) {
            let key = provider.api_key_env.unwrap();
            let wants = if provider.key_optional { ", if it wants one" } else { "" };
            let model = match provider.default_model {
                "" => String::new(),
                model => format!(", or `{model}`"),
            };
            let row = format!(
                "| `{}` | `{key}`{wants} | `{}`{model} | `{}`, or `http",
                provider.name,
                provider.model_env.unwrap(),
                provider.base_url_env.unwrap(),
            );
            assert!(page.contains(&row), "{row}");
        }
        for vendor in &VENDORS {
            assert!(page.contains(&format!(", or `{}` |", vendor.base_url)), "{}", vendor.name);
        }
    }

    #[test]
    fn every_vendor_can_be_chosen_by_name() {
        for vendor in &VENDORS {
            let descriptor = ProviderDescriptor::find(vendor.name).unwrap();
            let keyless = descriptor.configure(&Env::of([("X", "y")]));
            match keyless {
                Ok(config) => assert!(vendor.key_optional && config.api_key.is_none()),
                Err(error) => {
                    assert!(!vendor.key_optional && error.kind() == ErrorKind::Config);
                    assert!(error.message().contains(vendor.api_key_env), "{error}");
                }
            }
            let env = Env::of([(vendor.api_key_env, "k"), (vendor.model_env, "m")]);
            let config = descriptor.configure(&env).unwrap();
            assert_eq!((config.model.as_str(), config.api_key.is_some()), ("m", true));
            let provider = format!("{:?}", HttpProvider::openai(&config).unwrap());
            assert!(provider.contains(vendor.base_url), "{provider}");
        }
    }
}
