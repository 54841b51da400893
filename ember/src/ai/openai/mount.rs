use super::api::{Api, RouteModel};
use super::chat::chat_completions;
use super::embeddings::create_embedding;
use super::error::CATCHER;
use super::gate::Gate;
use super::keys::{VARIABLE, VirtualKeys};
use super::models::{list_models, retrieve_model};
use super::prices::Prices;
use super::response::now;
use super::schemas::{chat_schema, embedding_schema};
use crate::ai::{AiOptions, need_of};
use crate::base::{Env, Finding, Schema};
use crate::llm::{BoxEmbedder, Client, Tool};
use crate::web::operation::{Content, Operation, Outcome, Status};
use crate::web::{Blueprint, Catcher, Parameter, Route, RouteLimits, RouteOptions};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The OpenAI-compatible API, as [`Ember::openai_api`](crate::Ember::openai_api) adds it.
///
/// See [the module](super) for what it answers.
///
/// ```
/// use ember::ai::{OpenAiApi, VirtualKey};
/// use ember::llm::{Client, FakeProvider};
///
/// let api = OpenAiApi::new("/v1")
///     .keys([VirtualKey::new("team-a", "sk-long-and-random")])
///     .models(["gpt-5-mini", "gpt-5"]);
/// let app = ember::Ember::new().client(Client::new(FakeProvider::new())).openai_api(api);
/// # app.build().unwrap();
/// ```
#[derive(Clone)]
pub struct OpenAiApi {
    prefix: String,
    keys: VirtualKeys,
    is_open: bool,
    tools: Vec<Tool>,
    models: Vec<String>,
    routes: Vec<(String, String)>,
    own_models: Vec<(String, Arc<Define>)>,
    embedding_model: Option<String>,
    forward: Vec<String>,
    max_body_size: u64,
}

/// What makes a model out of the application's options.
type Define = dyn Fn(&mut AiOptions) + Send + Sync;

impl OpenAiApi {
    /// How large a request may be unless [`OpenAiApi::max_body_size`] says otherwise, in bytes:
    /// 32 MiB, as images travel within.
    pub const DEFAULT_MAX_BODY_SIZE: u64 = 32 << 20;

    /// The API below a path, such as `/v1`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            keys: VirtualKeys::new(),
            is_open: false,
            tools: Vec::new(),
            models: Vec::new(),
            routes: Vec::new(),
            own_models: Vec::new(),
            embedding_model: None,
            forward: Vec::new(),
            max_body_size: Self::DEFAULT_MAX_BODY_SIZE,
        }
    }

    /// Lets in whoever has one of these keys, beside those of `EMBER_API_KEYS`.
    #[must_use]
    pub fn keys(mut self, keys: impl Into<VirtualKeys>) -> Self {
        self.keys = keys.into();
        self
    }

    /// Lets in everybody if there is no key, from wherever: something else keeps watch.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Lets the model call these tools, which run here; the caller does not see it. A tool of the
    /// caller goes before one of the same name.
    #[must_use]
    pub fn tools<T: Into<Tool>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.tools.extend(tools.into_iter().map(Into::into));
        self
    }

    /// Serves these models of the provider, beside the client's default one, and lists them.
    ///
    /// Without it any name goes to the provider, and those are listed that the client knows.
    #[must_use]
    pub fn models<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
        self.models.extend(models.into_iter().map(Into::into));
        self
    }

    /// Serves a model of this name that the application defines, and that is nothing but a model of this
    /// API: as with a route, its options make it, and what the application says of all routes holds. It has no
    /// path of its own, at which it could be asked without a key.
    ///
    /// ```
    /// use ember::ai::OpenAiApi;
    ///
    /// let api = OpenAiApi::new("/v1").model("translator", |options| {
    ///     options.system("Translate into French.").model("gpt-5-mini");
    /// });
    /// ```
    #[must_use]
    pub fn model<F>(mut self, name: impl Into<String>, define: F) -> Self
    where
        F: Fn(&mut AiOptions) + Send + Sync + 'static,
    {
        self.own_models.push((name.into(), Arc::new(define)));
        self
    }

    /// Serves what the `#[ai_route]` of a path says of its model as a model of this name, as
    /// `openai_model` in its attribute does.
    #[must_use]
    pub fn route_model(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.routes.push((name.into(), path.into()));
        self
    }

    /// Names the model of the application's embedder. Without it any name is taken for it, except where a
    /// key is bound to models or there is a limit in money: then it has to be named.
    #[must_use]
    pub fn embedding_model(mut self, name: impl Into<String>) -> Self {
        self.embedding_model = Some(name.into());
        self
    }

    /// Sends these members of a chat request to the provider as they are, such as
    /// `frequency_penalty` or `top_k`. Every provider that is asked has to understand them.
    #[must_use]
    pub fn forward<M: Into<String>>(mut self, members: impl IntoIterator<Item = M>) -> Self {
        self.forward.extend(members.into_iter().map(Into::into));
        self
    }

    /// Sets how large a request may be, in bytes.
    #[must_use]
    pub fn max_body_size(mut self, bytes: u64) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// What makes the routes at the start of the application.
    pub(crate) fn into_mount(self) -> Mount {
        Box::new(|around, findings| self.mount(around, findings))
    }

    /// Makes the routes, and says what is wrong with the settings.
    fn mount(self, around: &Surroundings<'_>, findings: &mut Vec<Finding>) -> Mounted {
        let routes = self.route_models(around, findings);
        let keys = self.keys.settle(around.env, findings);
        let of_all = around.options.extensions.get::<AiOptions>();
        let why = if keys.binds_to_models() {
            Some(
                "a key is bound to models, and that of the embedder has no name that could be one of them",
            )
        } else if keys.bind_to_money() || of_all.is_some_and(AiOptions::limits_money) {
            Some(
                "there is a limit in money, and whoever asks the embedder could name a cheaper model than its own",
            )
        } else {
            None
        };
        if let Some(why) = why.filter(|_| around.has_embedder && self.embedding_model.is_none()) {
            let message =
                format!("the API below `{}`: {why}; name it by `.embedding_model(…)`", self.prefix);
            findings.push(Finding::new(message));
        }
        let own = |name: &str| routes.iter().find(|route| route.name == name);
        let prices = Prices {
            of_keys: keys
                .models_for_money()
                .filter(|(_, model)| {
                    own(model).is_none() && self.embedding_model.as_deref() != Some(model)
                })
                .map(|(key, model)| (key.to_owned(), model.to_owned()))
                .collect(),
            unbound_keys: match routes.is_empty() && !around.has_embedder {
                true => keys.unbound_for_money(),
                false => Vec::new(),
            },
            listed: self.models.clone(),
            of_models: routes.clone(),
        };
        if keys.is_empty() && !self.is_open && !around.is_local {
            findings.push(Finding::new(format!(
                "the OpenAI-compatible API below `{}` would let anybody spend tokens, as no key is configured and the \
                 address is not one of this machine alone; set {VARIABLE} to `name:secret,…`, add `.keys(…)`, or say \
                 `.open()` if something else keeps watch",
                self.prefix
            )));
        }
        let api = Api {
            models: self.models,
            routes,
            embedding_model: self.embedding_model,
            embeds: around.has_embedder,
            forward: self.forward,
            created: now(),
        };
        let (api, tools, max_body_size) = (Arc::new(api), self.tools, self.max_body_size);
        let chat = Route::post("/chat/completions", chat_completions)
            .docs("Answers a conversation.\n\nThe interface is that of OpenAI's chat completions.")
            .with(move |options| {
                if !tools.is_empty() {
                    AiOptions::of(options).tools(tools);
                }
            })
            .describe(|operation| {
                operation
                    .requires(need_of::<Client>())
                    .body(Content::new("application/json", chat_schema()));
                let whole =
                    Content::new("application/json", Schema::from(json!({"type": "object"})));
                let answer = Outcome::new(Status::OK).content(whole).content(Content::events());
                operation.outcome(answer.description("A completion, or its chunks in a stream."));
            });
        let list = Route::get("/models", list_models)
            .docs("Lists the models that may be asked.")
            .describe(needs_client);
        // The name of a model can have slashes.
        let retrieve = Route::get("/models/{*model}", retrieve_model)
            .docs("Tells of one model.")
            .describe(needs_client)
            .describe(|operation| {
                let model = Parameter::path("model").of::<String>();
                operation.parameter(model.description("The name of the model."));
            });
        let blueprint = Blueprint::new(self.prefix.clone())
            .tags(["openai"])
            .with(move |options| {
                options.extension(api).limits(RouteLimits::new().max_body_size(max_body_size));
                options.catcher(&CATCHER);
            })
            .middleware(Gate { keys, open: self.is_open })
            .route(chat)
            .route(list)
            .route(retrieve);
        let mounted = |blueprint| Mounted {
            blueprint,
            prices,
            catcher: Catcher::by_hand(&CATCHER, &self.prefix),
        };
        if !around.has_embedder {
            return mounted(blueprint);
        }
        let embeddings = Route::post("/embeddings", create_embedding)
            .docs("Turns texts into vectors.")
            .describe(|operation| {
                operation.needs::<BoxEmbedder>().requires(need_of::<Client>());
                operation.body(Content::new("application/json", embedding_schema()));
            });
        mounted(blueprint.route(embeddings))
    }

    /// The routes that are models, each of a name of its own.
    fn route_models(
        &self,
        around: &Surroundings<'_>,
        findings: &mut Vec<Finding>,
    ) -> Vec<RouteModel> {
        let mut by_name: BTreeMap<&str, Vec<&AiRoute<'_>>> = BTreeMap::new();
        for route in &around.routes {
            if let Some(name) = &route.options.openai_model {
                by_name.entry(name).or_default().push(route);
            }
        }
        for (name, path) in &self.routes {
            match around.routes.iter().find(|route| route.path == path) {
                Some(route) => by_name.entry(name).or_default().push(route),
                None => findings.push(Finding::new(format!(
                    "the model `{name}` is to be the route `{path}`, and there is no `#[ai_route]` of that path"
                ))),
            }
        }
        let mut models: Vec<RouteModel> = Vec::new();
        for (name, define) in &self.own_models {
            let mut options = around.options.clone();
            options.place = format!("model {name}");
            define(AiOptions::of(&mut options));
            let options = options.extension_mut::<AiOptions>().clone();
            if by_name.contains_key(name.as_str()) || models.iter().any(|model| model.name == *name)
            {
                findings.push(Finding::new(format!("the model `{name}` is defined twice")));
            }
            if let Err(error) = options.check_system(std::iter::empty()) {
                findings.push(Finding::new(format!("the model `{name}`: {error}")));
            }
            let wrong = options.check().map(|finding| finding.message);
            findings
                .extend(wrong.map(|wrong| Finding::new(format!("the model `{name}`: {wrong}"))));
            models.push(RouteModel { name: name.clone(), options });
        }
        for (name, routes) in by_name {
            if routes.len() > 1 {
                let finding = Finding::new(format!("two routes are the model `{name}`"));
                findings
                    .push(routes.iter().fold(finding, |finding, route| finding.at(&route.place)));
            }
            // The parameters of its own path are nowhere in a request to this API.
            for route in &routes {
                if let Err(error) = route.options.check_system(std::iter::empty()) {
                    let message = format!("the route cannot be the model `{name}`: {error}");
                    findings.push(Finding::new(message).at(&route.place));
                }
            }
            let first = routes.first().map(|route| route.options.clone());
            models.extend(first.map(|options| RouteModel { name: name.to_owned(), options }));
        }
        models
    }
}

impl From<&str> for OpenAiApi {
    fn from(prefix: &str) -> Self {
        Self::new(prefix)
    }
}

impl From<String> for OpenAiApi {
    fn from(prefix: String) -> Self {
        Self::new(prefix)
    }
}

impl fmt::Debug for OpenAiApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiApi")
            .field("prefix", &self.prefix)
            .field("keys", &self.keys)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

/// Makes an API at the start of the application. It is a value, and no call in the application's own code, so that a
/// program without such an API carries nothing of it.
pub(crate) type Mount =
    Box<dyn FnOnce(&Surroundings<'_>, &mut Vec<Finding>) -> Mounted + Send + Sync>;

/// An API that was made.
pub(crate) struct Mounted {
    pub(crate) blueprint: Blueprint,
    pub(crate) prices: Prices,
    /// For paths below its own that lead nowhere.
    pub(crate) catcher: Catcher,
}

/// What the API stands in.
pub(crate) struct Surroundings<'a> {
    pub(crate) env: &'a Env,
    /// What holds for all routes.
    pub(crate) options: &'a RouteOptions,
    /// The other routes that say something of a model.
    pub(crate) routes: Vec<AiRoute<'a>>,
    /// There is a component that embeds.
    pub(crate) has_embedder: bool,
    /// Nobody but this machine reaches the server.
    pub(crate) is_local: bool,
}

/// A route that says something of its model.
pub(crate) struct AiRoute<'a> {
    pub(crate) path: &'a str,
    /// As messages name it.
    pub(crate) place: String,
    pub(crate) options: &'a AiOptions,
}

fn needs_client(operation: &mut Operation) {
    operation.requires(need_of::<Client>());
}
