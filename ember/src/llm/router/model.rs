use super::first_token::FirstToken;
use super::health::Gauge;
use super::needs::Needs;
use super::spec::ModelSpec;
use crate::base::{Clock, Env};
use crate::llm::catalog::{Capability, Catalog, Price};
use crate::llm::chat::ChatRequest;
use crate::llm::defaults;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::layer::{
    CircuitBreaker, CircuitBreakerConfig, Cost, CostConfig, Ledger, Retry, RetryConfig,
};
use crate::llm::provider::{BoxProvider, Provider, ProviderConfig, ProviderDescriptor};
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;

/// What a router puts around each of its models.
pub(super) struct Surroundings {
    pub(super) env: Env,
    pub(super) clock: Clock,
    pub(super) catalog: Catalog,
    pub(super) ledger: Ledger,
    pub(super) retry: Option<RetryConfig>,
    pub(super) circuit_breaker: Option<CircuitBreakerConfig>,
}

/// A model that can be asked, with all that is known of it.
pub(super) struct RoutedModel {
    pub(super) name: String,
    /// Who serves it, as the catalogue and the ledger know it.
    pub(super) provider_name: String,
    /// The id by which its provider knows it.
    pub(super) model: String,
    pub(super) window: Option<u64>,
    pub(super) max_output: Option<u64>,
    pub(super) price: Option<Price>,
    /// What it can do; `None` where nothing is known of that.
    capabilities: Option<Vec<Capability>>,
    pub(super) weight: u32,
    /// Whether its whole answers are asked for as streams.
    pub(super) folds: bool,
    /// With retry, breaker and cost around it.
    pub(super) provider: BoxProvider,
    pub(super) gauge: Gauge,
}

/// How many tokens an answer has whose request sets no limit, for comparing prices.
const TYPICAL_ANSWER: u64 = 500;

impl RoutedModel {
    pub(super) fn new(spec: ModelSpec, around: &Surroundings) -> Result<Self, Error> {
        let (provider_name, model) = identify(&spec, &around.catalog)?;
        let bare = match &spec.served {
            Some(provider) => provider.clone(),
            None => made(&spec, &provider_name, &model, &around.env)?,
        };
        let known = around.catalog.find(&provider_name, &model);
        if known.is_none() && spec.served.is_none() {
            warn_of_unknown(&around.catalog, &provider_name, &model);
        }
        let known = known.as_deref();
        let own = spec.more_capabilities;
        let capabilities = spec.capabilities.or_else(|| match known {
            Some(known) => Some(ALL.into_iter().filter(|one| known.can(*one)).chain(own).collect()),
            None => Some(own).filter(|own| !own.is_empty()),
        });
        let folds = spec.first_token.is_some();
        let (provider, gauge) =
            stacked(FirstToken::new(bare, spec.first_token), &model, spec.price, around);
        Ok(Self {
            name: spec.name,
            window: spec.context_window.or(known.and_then(|known| known.context_window)),
            max_output: spec.max_output.or(known.and_then(|known| known.max_output)),
            price: spec.price.or(known.map(|known| known.price)),
            capabilities,
            weight: spec.weight.max(1),
            folds,
            provider,
            gauge,
            provider_name,
            model,
        })
    }

    /// Tells whether it can do something, where that is known.
    pub(super) fn can(&self, capability: Capability) -> Option<bool> {
        self.capabilities.as_ref().map(|all| all.contains(&capability))
    }

    /// What a request will cost, about; `None` where the price is not known.
    pub(super) fn cost(&self, needs: &Needs) -> Option<Usd> {
        let answer = needs.answer.unwrap_or(TYPICAL_ANSWER);
        let answer = self.max_output.map_or(answer, |limit| answer.min(limit));
        self.price?.cost(&Usage::new(needs.prompt, answer))
    }

    /// Tells whether one of these names or ids is the model's.
    pub(super) fn is_one_of(&self, names: &[String]) -> bool {
        names.iter().any(|name| *name == self.name || *name == self.model)
    }

    /// The request as this model is asked it.
    pub(super) fn request(&self, asked: &ChatRequest, env: &Env, catalog: &Catalog) -> ChatRequest {
        let mut request = asked.clone();
        request.model = Some(self.model.clone());
        request.billing = asked.billing.inside();
        let (provider, model) = (&self.provider_name, Some(&*self.model));
        defaults::fill_max_tokens(&mut request, env);
        defaults::fill_temperature(&mut request, env, catalog, provider, model);
        if let (Some(tokens), Some(limit)) = (request.max_tokens, self.max_output) {
            request.max_tokens = Some(tokens.min(limit));
        }
        request
    }
}

/// All that the catalogue tells of.
const ALL: [Capability; 6] = [
    Capability::Tools,
    Capability::ParallelTools,
    Capability::JsonSchema,
    Capability::Vision,
    Capability::Reasoning,
    Capability::PromptCaching,
];

/// Who serves the model of a spec, and under which id.
fn identify(spec: &ModelSpec, catalog: &Catalog) -> Result<(String, String), Error> {
    let name = spec.name.as_str();
    let id_of = |provider: &str| {
        let id = spec.model.clone().unwrap_or_else(|| {
            let prefix = name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            prefix.unwrap_or(name).to_owned()
        });
        (provider.to_owned(), id)
    };
    if name.is_empty() {
        return Err(config("a model has no name"));
    }
    if let Some(provider) = &spec.provider {
        return Ok(id_of(provider));
    }
    if let Some(served) = &spec.served {
        return Ok(id_of(served.name()));
    }
    if let Some((provider, model)) = name.split_once('/')
        && !model.is_empty()
    {
        return Ok(id_of(provider.trim()));
    }
    let id = spec.model.as_deref().unwrap_or(name);
    let models = catalog.models();
    let serving: Vec<_> =
        models.iter().filter(|model| &*model.id == id && !model.embeds()).collect();
    match serving[..] {
        [model] => Ok((model.provider.to_string(), id.to_owned())),
        [] => {
            let known = models.iter().filter(|model| !model.embeds()).map(|model| &*model.id);
            let meant =
                crate::base::nearest(known, id).map(|near| format!("; did you mean `{near}`?"));
            Err(config(format!(
                "`{id}` is no model of the catalogue{} A model that is not in it is named with its provider: `openai/{id}`",
                meant.as_deref().unwrap_or("."),
            )))
        }
        [..] => {
            let all: Vec<_> =
                serving.iter().map(|model| format!("`{}/{id}`", model.provider)).collect();
            Err(config(format!("`{id}` is served by several providers: say {}", all.join(" or "))))
        }
    }
}

/// Makes the provider of a spec from the registry, the spec and the environment.
fn made(spec: &ModelSpec, provider: &str, model: &str, env: &Env) -> Result<BoxProvider, Error> {
    let descriptor = ProviderDescriptor::find(provider)?;
    let mut config = ProviderConfig::new(provider, model).timeouts(spec.timeouts);
    config.base_url = match &spec.endpoint {
        Some(endpoint) => Some(base_of(endpoint)),
        None => descriptor.base_url_env.and_then(|name| env.var(name)),
    };
    let own = spec.api_key_env.as_deref();
    let usual = descriptor.api_key_env.filter(|_| spec.endpoint.is_none());
    config.api_key = match (&spec.api_key, own.or(usual)) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(name)) => {
            let key = env.var(name);
            if key.is_none() && (own.is_some() || !descriptor.key_optional) {
                let message = format!("the model `{}` needs a key: set {name}", spec.name);
                return Err(self::config(message).with_code(ProviderDescriptor::MISSING_KEY));
            }
            key.map(Into::into)
        }
        (None, None) => None,
    };
    descriptor.make(config).map_err(|error| {
        let message = format!("the model `{}` cannot be asked: {}", spec.name, error.message());
        self::config(message).with_source(error)
    })
}

/// An address without the path of the call itself, which people copy with it.
fn base_of(endpoint: &str) -> String {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let calls = ["/chat/completions", "/responses", "/messages"];
    calls.into_iter().find_map(|call| endpoint.strip_suffix(call)).unwrap_or(endpoint).to_owned()
}

/// A provider may have a model that the catalogue does not know yet, so this is no error.
fn warn_of_unknown(catalog: &Catalog, provider: &str, model: &str) {
    let models = catalog.models();
    let alike = models.iter().filter(|known| &*known.provider == provider && !known.embeds());
    let near = super::nearest(alike.map(|known| &*known.id), model);
    tracing::warn!(
        provider,
        model,
        near,
        "the catalogue does not know the model: neither price nor window"
    );
}

/// Puts around a provider what makes it dependable, and a gauge beside it.
fn stacked(
    provider: impl Provider,
    model: &str,
    price: Option<Price>,
    around: &Surroundings,
) -> (BoxProvider, Gauge) {
    let clock = || around.clock.clone();
    let provider = match around.retry {
        Some(retry) => BoxProvider::new(Retry::new(provider, retry).clock(clock())),
        None => BoxProvider::new(provider),
    };
    let (provider, circuit) = match around.circuit_breaker {
        Some(breaker) => {
            let breaker = CircuitBreaker::new(provider, breaker).clock(clock());
            let circuit = Box::new(breaker.watch(model.to_owned()));
            (BoxProvider::new(breaker), Some(circuit as _))
        }
        None => (provider, None),
    };
    let mut cost = CostConfig::new().catalog(around.catalog.clone()).default_model(model);
    cost.price_of_all = price;
    let provider = Cost::sharing(provider, cost, around.ledger.clone());
    (BoxProvider::new(provider), Gauge::new(clock(), circuit))
}

fn config(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}
