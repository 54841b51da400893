//! Which model an application talks to.

use crate::base::{Env, Finding};
use crate::llm::layer::CostConfig;
use crate::llm::{Client, Error, FakeProvider, ModelRouter, Price, ProviderDescriptor, Usd};

/// The client of an application, and what to tell people about it.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) client: Client,
    pub(super) note: String,
}

impl Model {
    /// A client that the program has made itself.
    pub(super) fn given(client: Client) -> Self {
        let note = describe(&client);
        Self { client, note }
    }

    /// A client of several models.
    pub(super) fn routed(router: &ModelRouter) -> Self {
        let names: Vec<_> = router.names().collect();
        let note = format!("{} ({})", names.join(", "), router.routing());
        Self { client: router.client(), note }
    }

    /// The router that the environment describes, if it describes one. `LLM_PROVIDER=fake` asks for
    /// no model at all, so it goes before that.
    pub(super) fn router_of(env: &Env) -> Option<Result<ModelRouter, Vec<Finding>>> {
        let is_fake = env.var("LLM_PROVIDER").is_some_and(|name| name.trim() == "fake");
        let is_set = env.var("EMBER_MODELS").is_some() && !is_fake;
        let found =
            |errors: Vec<Error>| errors.iter().map(|error| Finding::new(refusal(error))).collect();
        is_set.then(|| ModelRouter::check_env(env).map_err(found))
    }

    /// The client that the environment asks for. Where it asks for none, or for the fake one,
    /// `offline` answers, if there is one.
    pub(super) fn from_env(env: &Env, offline: Option<&FakeProvider>) -> Result<Self, Finding> {
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
