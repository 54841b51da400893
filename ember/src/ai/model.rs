//! Which model an application talks to.

use super::route::AiOptions;
use crate::base::{Env, Finding};
use crate::llm::layer::CostConfig;
use crate::llm::{
    Client, Error, FakeProvider, ModelRouter, ModelSpec, Price, ProviderDescriptor, Sessions, Usd,
};
use crate::web::{Components, Need, Placed};

/// Makes the model of an application, when something needs one.
pub(super) static MAKE_MODEL: MakeModel = MakeModel(Model::provide);

/// As [`Model::provide`].
pub(super) struct MakeModel(fn(Around<'_>) -> Option<Model>);

/// What the model of an application is made for, and of.
pub(crate) struct Around<'a> {
    pub(crate) components: &'a mut Components,
    pub(crate) env: &'a Env,
    /// Who answers where no provider is configured.
    pub(crate) offline: Option<&'a FakeProvider>,
    pub(crate) routes: &'a [Placed],
    /// What hooks and components need.
    pub(crate) others: &'a [Need],
    pub(crate) findings: &'a mut Vec<Finding>,
}

/// The model of an application: one that was made because something needs it, or that of the client which the
/// program has provided.
pub(crate) fn make_model(around: Around<'_>, all_needs: &[Need]) -> Option<Model> {
    match all_needs.iter().find_map(Need::maker::<MakeModel>) {
        Some(MakeModel(make)) => make(around),
        None => around.components.get::<Client>().map(|client| Model::given(Client::clone(client))),
    }
}

/// The client of an application, and what to tell people about it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) client: Client,
    pub(crate) note: String,
}

impl Model {
    /// Provides the client, and the router, that routes and others need and the program has not
    /// provided itself.
    fn provide(around: Around<'_>) -> Option<Self> {
        let Around { components, env, offline, routes, others, findings } = around;
        let asks = [Need::of::<Client>(), Need::of::<ModelRouter>()];
        let asking = routes.iter().filter(|placed| placed.needs().any(|need| asks.contains(&need)));
        let asking: Vec<_> = asking.map(|placed| &placed.route).collect();
        let is_asked = !asking.is_empty() || others.iter().any(|need| asks.contains(need));
        if is_asked && components.get::<ModelRouter>().is_none() {
            match Self::router_of(env) {
                Some(Ok(router)) => {
                    components.insert(router);
                }
                Some(Err(mistakes)) => {
                    findings.extend(mistakes);
                    // What is wrong has been told; what cannot be asked fills the gap.
                    let nobody = ModelSpec::served_by("nobody", FakeProvider::new());
                    components.insert(Client::new(FakeProvider::new()));
                    if let Ok(router) = ModelRouter::new([nobody]) {
                        components.insert(router);
                    }
                    return None;
                }
                None => {}
            }
        }
        if let Some(client) = components.get::<Client>() {
            return Some(Self::given(Client::clone(client)));
        }
        if let Some(router) = components.get::<ModelRouter>() {
            let model = Self::routed(router);
            findings.extend(check_models(router, routes));
            components.insert(model.client.clone());
            return Some(model);
        }
        if !is_asked {
            return None;
        }
        match Self::from_env(env, offline) {
            Ok(model) => {
                findings.extend(check_default(&model.client, routes));
                components.insert(model.client.clone());
                Some(model)
            }
            Err(finding) => {
                findings.push(asking.into_iter().fold(finding, |finding, route| finding.at(route)));
                // What is missing has been told, with its reason; a client of nobody fills the gap.
                components.insert(Client::new(FakeProvider::new()));
                None
            }
        }
    }

    /// A client that the program has made itself.
    fn given(client: Client) -> Self {
        let note = describe(&client);
        Self { client, note }
    }

    /// A client of several models.
    fn routed(router: &ModelRouter) -> Self {
        let names: Vec<_> = router.names().collect();
        let note = format!("{} ({})", names.join(", "), router.routing());
        Self { client: router.client(), note }
    }

    /// The router that the environment describes, if it describes one. `LLM_PROVIDER=fake` asks for
    /// no model at all, so it goes before that.
    fn router_of(env: &Env) -> Option<Result<ModelRouter, Vec<Finding>>> {
        let is_fake = env.var("LLM_PROVIDER").is_some_and(|name| name.trim() == "fake");
        let is_set = env.var("EMBER_MODELS").is_some() && !is_fake;
        let found =
            |errors: Vec<Error>| errors.iter().map(|error| Finding::new(refusal(error))).collect();
        is_set.then(|| ModelRouter::check_env(env).map_err(found))
    }

    /// The client that the environment asks for. Where it asks for none, or for the fake one,
    /// `offline` answers, if there is one.
    fn from_env(env: &Env, offline: Option<&FakeProvider>) -> Result<Self, Finding> {
        let chosen = env.var("LLM_PROVIDER");
        let offline_note = match chosen.as_deref().map(str::trim) {
            Some("fake") => Some("fake (LLM_PROVIDER=fake)"),
            None if env.var("OPENAI_API_KEY").is_none() => Some(
                "fake, because no provider is configured: set OPENAI_API_KEY, or LLM_PROVIDER and its key",
            ),
            _ => None,
        };
        if let (Some(offline), Some(note)) = (offline, offline_note) {
            // Whatever it is taken for, nobody is billed.
            let free =
                Price { input: Some(Usd::ZERO), output: Some(Usd::ZERO), ..Default::default() };
            let client = Client::builder()
                .provider(offline.clone())
                .env(env.clone())
                .without_retry()
                .without_circuit_breaker()
                .cost(CostConfig::new().unknown_price(free))
                .build();
            let client = client.map_err(|error| Finding::new(refusal(&error)))?;
            return Ok(Self { client, note: note.to_owned() });
        }
        match Client::with_env(env.clone()) {
            Ok(client) => Ok(Self::given(client)),
            Err(error) => Err(Finding::new(refusal(&error))),
        }
    }
}

fn refusal(error: &Error) -> String {
    let hint = match error.code() {
        Some(ProviderDescriptor::MISSING_KEY) => {
            "; without one, LLM_PROVIDER=fake or `.offline(…)` lets the application run"
        }
        _ => "",
    };
    format!("no model can be asked: {}{hint}", error.message())
}

fn describe(client: &Client) -> String {
    match client.default_model() {
        Some(model) => format!("{} ({model})", client.provider()),
        None => client.provider().to_owned(),
    }
}

/// Routes that ask for a model by a name that the router does not have.
fn check_models(router: &ModelRouter, routes: &[Placed]) -> Vec<Finding> {
    let named = routes.iter().filter_map(|placed| {
        let model = placed.route.extension::<AiOptions>()?.model_name()?;
        let error = router.check_name(model).err()?;
        Some(
            Finding::new(format!(
                "a route asks for a model that the router does not have: {}",
                error.message()
            ))
            .at(&placed.route),
        )
    });
    named.collect()
}

/// Conversations of routes that name no model, where the settings name none either and the provider wants one. A
/// route without a conversation may name one in each request.
fn check_default(client: &Client, routes: &[Placed]) -> Option<Finding> {
    let provider = client.provider();
    let wants_one = ProviderDescriptor::find(provider).is_ok_and(|found| found.model_env.is_some());
    if client.default_model().is_some() || !wants_one {
        return None;
    }
    let talks = |placed: &&Placed| {
        let options = placed.route.extension::<AiOptions>();
        let asks = [Need::of::<Client>(), Need::of::<Sessions>()];
        options.and_then(AiOptions::model_name).is_none()
            && asks.iter().all(|asked| placed.needs().any(|need| need == *asked))
    };
    let mut talking = routes.iter().filter(talks).map(|placed| &placed.route).peekable();
    talking.peek()?;
    Some(talking.fold(Finding::new(ProviderDescriptor::no_model(provider)), Finding::at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(env: &[(&str, &str)], offline: bool, note: Result<&str, &str>) {
        let fake = FakeProvider::new();
        let model = Model::from_env(&Env::of(env.iter().copied()), offline.then_some(&fake));
        match (model, note) {
            (Ok(model), Ok(note)) => assert!(model.note.starts_with(note), "{}", model.note),
            (Err(finding), Err(part)) => assert!(finding.message.contains(part), "{finding}"),
            (model, _) => panic!("{model:?}"),
        }
    }

    #[test]
    fn the_environment_chooses() {
        check(&[("LLM_PROVIDER", "fake")], false, Ok("fake (fake)"));
        check(&[("LLM_PROVIDER", "fake")], true, Ok("fake (LLM_PROVIDER=fake)"));
        check(&[], true, Ok("fake, because no provider is configured"));
        check(&[("LLM_PROVIDER", "nobody")], true, Err("there is no provider `nobody`"));
        #[cfg(feature = "openai")]
        {
            check(
                &[],
                false,
                Err("set OPENAI_API_KEY; without one, LLM_PROVIDER=fake or `.offline(…)` lets"),
            );
            for url in ["ftp://x", "localhost:80/v1", "http://", "not a url"] {
                let env = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", url)];
                check(&env, true, Err("it must be an http or https URL"));
            }
            check(&[("OPENAI_API_KEY", "k"), ("OPENAI_MODEL", "m")], true, Ok("openai (m)"));
            check(&[("LLM_PROVIDER", "openai")], true, Err("set OPENAI_API_KEY"));
        }
    }
}
