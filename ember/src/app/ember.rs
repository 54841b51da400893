use crate::ai::openai::{Mount, OpenAiApi};
use crate::ai::{AiOptions, TokenBound, conversation_routes, need_of};
use crate::base::error::BoxError;
use crate::base::{Env, Finding, Scope};
use crate::llm::{
    BoxEmbedder, Client, Embedder, FakeProvider, ModelRouter, SessionStore, Sessions, SpendLimit,
    TokenCounter,
};
use crate::store::BoxStore;
#[cfg(feature = "files")]
use crate::web::middleware::StaticFiles;
use crate::web::middleware::{Bridge, IntoMiddleware, Middleware, TowerLayer};
use crate::web::openapi::ApiInfo;
use crate::web::{
    Blueprint, Body, BoxMiddleware, Components, Health, Need, Route, RouteOptions, TrailingSlash,
};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use tower_layer::Layer;
use tower_service::Service;

/// An application that is being put together.
///
/// Usually it is begun with [`ember::app!()`](crate::app!), which takes everything that is
/// annotated in the module where it stands and below.
///
/// ```no_run
/// use ember::prelude::*;
///
/// #[get("/hello/{name}")]
/// async fn hello(name: String) -> String {
///     format!("Hello, {name}!")
/// }
///
/// fn main() -> ember::Result {
///     ember::app!().run()
/// }
/// ```
pub struct Ember {
    pub(super) scope: Scope,
    pub(super) by_hand: Blueprint,
    /// What holds for all routes.
    pub(super) options: RouteOptions,
    pub(super) components: Components,
    pub(super) overridden: Vec<Need>,
    /// The types of components that the program has provided.
    pub(super) given: Vec<Need>,
    pub(super) middleware: Vec<BoxMiddleware>,
    pub(super) trailing_slash: TrailingSlash,
    pub(super) env: Env,
    pub(super) offline: Option<FakeProvider>,
    pub(super) counter: Option<Arc<dyn TokenCounter>>,
    pub(super) findings: Vec<Finding>,
    pub(super) openai: Vec<Mount>,
    pub(super) info: ApiInfo,
    /// Where the page is that shows the routes.
    pub(super) docs: Option<Docs>,
    #[cfg(feature = "server")]
    pub(super) settings: super::settings::Settings,
}

/// Makes the routes of the page at a path. It is called only where the program has asked for the page, so that the
/// page is part of no other.
pub(super) type Docs = Box<dyn FnOnce(&ApiInfo) -> Vec<Route> + Send + Sync>;

impl Ember {
    /// An application that takes nothing but what it is given.
    pub fn new() -> Self {
        Self {
            scope: Scope::nothing(),
            by_hand: Blueprint::default(),
            options: RouteOptions::default(),
            components: Components::default(),
            overridden: Vec::new(),
            given: Vec::new(),
            middleware: Vec::new(),
            trailing_slash: TrailingSlash::default(),
            env: Env::process(),
            offline: None,
            counter: None,
            findings: Vec::new(),
            openai: Vec::new(),
            info: ApiInfo::default(),
            docs: None,
            #[cfg(feature = "server")]
            settings: super::settings::Settings::default(),
        }
    }

    /// An application that takes what is annotated in a module and below.
    pub fn in_module(module: impl Into<Cow<'static, str>>) -> Self {
        Self { scope: Scope::module(module), ..Self::new() }
    }

    /// Takes what is annotated in another module and below, such as one of a dependency.
    #[must_use]
    pub fn include(mut self, module: impl Into<Cow<'static, str>>) -> Self {
        self.scope = self.scope.include(module);
        self
    }

    /// Adds a route: one that was made by hand, or `name {}` of an annotated function.
    #[must_use]
    pub fn route(mut self, route: impl Into<Route>) -> Self {
        self.by_hand = self.by_hand.route(route);
        self
    }

    /// Adds the routes of a blueprint that was made by hand.
    #[must_use]
    pub fn blueprint(mut self, blueprint: Blueprint) -> Self {
        self.by_hand = self.by_hand.blueprint(blueprint);
        self
    }

    /// Provides a value, which handlers take as [`Component<T>`](crate::Component).
    #[must_use]
    pub fn component<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.component_arc(Arc::new(value))
    }

    /// Provides a value that is shared already, or that is known by a trait only:
    /// `component_arc::<dyn Mailer>(Arc::new(Smtp::new()))`.
    #[must_use]
    pub fn component_arc<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.given.push(need_of::<T>());
        if self.components.insert_shared(value).is_some() {
            let name = Need::of::<T>().type_name();
            self.findings.push(Finding::new(format!(
                "two components of type `{name}` are provided; in a test, `.override_component(…)` replaces one"
            )));
        }
        self
    }

    /// Provides a value in place of the one that the application provides itself, as tests do.
    ///
    /// It replaces what `.component(…)` gave before, and what a `#[component]` function would
    /// make; the function is not called.
    #[must_use]
    pub fn override_component<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.components.insert(value);
        self.overridden.push(Need::of::<T>());
        self.given.push(need_of::<T>());
        self
    }

    /// Adds middleware around all routes. What is added first is outermost.
    #[must_use]
    pub fn middleware<A>(mut self, middleware: impl IntoMiddleware<A>) -> Self {
        self.middleware.push(BoxMiddleware::new(middleware.into_middleware()));
        self
    }

    /// Bounds the tokens that all AI routes together may use, or each caller.
    ///
    /// By [`TokenLimits`](crate::TokenLimits), or by a
    /// [`GlobalTokenBucket`](crate::store::GlobalTokenBucket) that others draw from as well.
    #[must_use]
    pub fn token_limits(mut self, limits: impl Into<TokenBound>) -> Self {
        AiOptions::of(&mut self.options).token_limits(limits);
        self
    }

    /// Bounds the money that all AI routes together may spend, or each caller.
    #[must_use]
    pub fn spend_limit(mut self, limit: SpendLimit) -> Self {
        AiOptions::of(&mut self.options).spend_limit(limit);
        self
    }

    /// Counts tokens by this, and not by the [`Estimate`](crate::base::tokens::Estimate): in the
    /// limits of routes, and in conversations. It holds for the client that the application is given, or
    /// makes by the environment.
    #[must_use]
    pub fn token_counter(mut self, counter: impl TokenCounter) -> Self {
        self.counter = Some(Arc::new(counter));
        self
    }

    /// Adds the routes of [the OpenAI-compatible API](crate::ai::openai): a path is enough, and
    /// [`OpenAiApi`] has more to say.
    ///
    /// ```
    /// # use ember::llm::{Client, FakeProvider};
    /// let app = ember::Ember::new().openai_api("/v1");
    /// # app.client(Client::new(FakeProvider::new())).build().unwrap();
    /// ```
    #[must_use]
    pub fn openai_api(mut self, api: impl Into<OpenAiApi>) -> Self {
        self.openai.push(api.into().into_mount());
        self
    }

    /// Turns texts into vectors by this embedder, which handlers take as `Component<BoxEmbedder>`.
    #[must_use]
    pub fn embedder(self, embedder: impl Embedder) -> Self {
        self.component(BoxEmbedder::new(embedder))
    }

    /// Adds routes that say whether the process lives, and whether it wants requests.
    ///
    /// `Health::new()` stands for `/healthz` and `/readyz` without checks.
    #[must_use]
    pub fn health(self, health: Health) -> Self {
        let [live, ready] = health.routes();
        self.route(live).route(ready).component(health)
    }

    /// Adds a layer of tower around all routes, in line with [`Ember::middleware`].
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Bridge>,
        TowerLayer<L::Service>: Middleware,
    {
        self.middleware(TowerLayer::new(layer))
    }

    /// Lets a service answer everything below a path: see [`Route::mount`].
    #[must_use]
    pub fn mount<S, B>(self, prefix: impl Into<String>, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.route(Route::mount(prefix, service))
    }

    /// Serves the files of a folder below a path.
    ///
    /// A folder's name is enough; [`StaticFiles`] has more to say.
    #[cfg(feature = "files")]
    #[must_use]
    pub fn files(mut self, prefix: impl Into<String>, files: impl Into<StaticFiles>) -> Self {
        let files = files.into();
        self.findings.extend(files.check());
        self.mount(prefix, files)
    }

    /// Sets what becomes of a path that differs from a route by the slash at its end.
    #[must_use]
    pub fn trailing_slash(mut self, strategy: TrailingSlash) -> Self {
        self.trailing_slash = strategy;
        self
    }

    /// Asks models through this client, instead of the one that the environment describes.
    #[must_use]
    pub fn client(self, client: Client) -> Self {
        self.component(client)
    }

    /// Asks several models through this router, instead of what the environment describes.
    ///
    /// The application's client is made of it, unless [`client`](Self::client) gives another. Without it,
    /// `EMBER_MODELS` and `EMBER_ROUTING` describe one: see [`ModelRouter::from_env`].
    #[must_use]
    pub fn models(self, router: ModelRouter) -> Self {
        self.component(router)
    }

    /// Keeps all state in this store, instead of the one that `EMBER_STORE` names, or the memory of
    /// this process: see [`BoxStore::from_url`]. Handlers take it as `Component<BoxStore>`.
    ///
    /// Conversations are kept in it, unless [`sessions`](Self::sessions) says otherwise, and the
    /// sessions of visitors, unless a [`SessionConfig`](crate::SessionConfig) is provided. Limits are counted
    /// in it for the sum of all processes: [`TokenLimits`](crate::TokenLimits) by the place where
    /// they stand, a [`GlobalTokenBucket`](crate::GlobalTokenBucket) by its name, and a
    /// [`RateLimit`](crate::RateLimit) or [`SpendLimit`] if it has one; the log says which has none.
    /// A store that a `#[component]` function makes is not known in time for limits.
    ///
    /// ```
    /// use ember::store::MemoryStore;
    ///
    /// let app = ember::Ember::new().store(MemoryStore::new().max_bytes(1 << 30));
    /// # app.build().unwrap();
    /// ```
    #[must_use]
    pub fn store(self, store: impl Into<BoxStore>) -> Self {
        self.component(store.into())
    }

    /// Keeps conversations in this store, instead of the one of the [application](Self::store).
    #[must_use]
    pub fn sessions(self, store: impl SessionStore) -> Self {
        self.component(Sessions::new(store))
    }

    /// Lets clients see their own conversations, by three routes below this path:
    ///
    /// - `GET /conversations` lists those of the authenticated principal, the one that was changed
    ///   last first, in pages (`?limit=20&before=…`). Whoever is nobody gets 401: the ids of
    ///   strangers are their keys.
    /// - `GET /conversations/{id}` returns one, a [`Conversation`](crate::ai::Conversation), without
    ///   the instructions that the model was given.
    /// - `DELETE /conversations/{id}` forgets one. A turn of it that is under way fails in its end.
    ///
    /// Somebody else's conversation is 404, as one that does not exist.
    #[must_use]
    pub fn conversations(self, path: impl AsRef<str>) -> Self {
        conversation_routes(path.as_ref()).into_iter().fold(self, Self::route)
    }

    /// Sets who answers when no provider is configured, or `LLM_PROVIDER` is `fake`.
    ///
    /// Without it an application that needs a model does not start where none is configured.
    #[must_use]
    pub fn offline(mut self, provider: FakeProvider) -> Self {
        self.offline = Some(provider);
        self
    }

    /// Reads [settings](Env) from here, instead of the environment of this process.
    ///
    /// Tools with settings of their own, and clients that the program makes itself, have an `env` of their own.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }
}

impl Default for Ember {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Ember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ember")
            .field("scope", &self.scope)
            .field("by_hand", &self.by_hand)
            .field("components", &self.components)
            .finish_non_exhaustive()
    }
}

/// Begins an application with everything that is annotated in this module and below.
///
/// In `main.rs` that is the whole crate; in a test it is the module of the test. What another
/// crate has annotated is taken with [`Ember::include`].
#[macro_export]
macro_rules! app {
    () => {
        $crate::Ember::in_module(::core::module_path!()).of_crate(
            ::core::option_env!("CARGO_PKG_NAME"),
            ::core::option_env!("CARGO_PKG_VERSION"),
            ::core::option_env!("CARGO_PKG_DESCRIPTION"),
        )
    };
}
