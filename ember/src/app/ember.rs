use super::launch::LaunchError;
use super::model::Model;
use super::ready::Ready;
use crate::ai::AiOptions;
use crate::base::{Descriptor as _, Env, Finding, Location, Registry, Scope};
use crate::llm::tool::ToolDescriptor;
use crate::llm::{
    Client, FakeProvider, MemorySessionStore, SessionStore, Sessions, Tool, ToolRegistry,
};
use crate::web::middleware::Middleware;
use crate::web::{
    BoxMiddleware, Components, Need, Route, RouteDescriptor, SiteBuilder, TrailingSlash,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
    scope: Scope,
    routes: Vec<Route>,
    components: Components,
    middleware: Vec<BoxMiddleware>,
    trailing_slash: TrailingSlash,
    env: Env,
    offline: Option<FakeProvider>,
    findings: Vec<Finding>,
    #[cfg(feature = "server")]
    pub(super) settings: super::settings::Settings,
}

impl Ember {
    /// An application that takes nothing but what it is given.
    pub fn new() -> Self {
        Self {
            scope: Scope::nothing(),
            routes: Vec::new(),
            components: Components::default(),
            middleware: Vec::new(),
            trailing_slash: TrailingSlash::default(),
            env: Env::process(),
            offline: None,
            findings: Vec::new(),
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
        self.routes.push(route.into());
        self
    }

    /// Provides a value, which handlers take as [`Component<T>`](crate::Component).
    #[must_use]
    pub fn component<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        if self.components.insert(value).is_some() {
            let name = Need::of::<T>().type_name();
            self.findings
                .push(Finding::new(format!("two components of type `{name}` are provided")));
        }
        self
    }

    /// Adds middleware around all routes. What is added first is outermost.
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(BoxMiddleware::new(middleware));
        self
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

    /// Keeps conversations in this store, instead of the memory of this process.
    #[must_use]
    pub fn sessions(self, store: impl SessionStore) -> Self {
        self.component(Sessions::new(store))
    }

    /// Sets who answers when no provider is configured, or `LLM_PROVIDER` is `fake`.
    ///
    /// Without it an application that needs a model does not start where none is configured.
    #[must_use]
    pub fn offline(mut self, provider: FakeProvider) -> Self {
        self.offline = Some(provider);
        self
    }

    /// Reads settings from here, instead of the environment of this process.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Checks everything, and makes the application ready to answer.
    ///
    /// # Errors
    /// All problems at once: routes that contradict each other or have malformed paths, components
    /// that are missing or provided twice, two tools of a name, a provider that is unknown or lacks
    /// its key, a module that holds nothing.
    pub fn build(self) -> Result<Ready, LaunchError> {
        let (ready, findings) = self.check();
        LaunchError::unless_empty(findings)?;
        Ok(ready)
    }

    /// Puts the application together as well as it can be, and says what is wrong with it.
    pub(super) fn check(mut self) -> (Ready, Vec<Finding>) {
        let mut findings = std::mem::take(&mut self.findings);
        let annotated = Registry::<RouteDescriptor>::collect(&self.scope);
        let mut routes: Vec<_> = annotated.iter().map(Route::of).collect();
        routes.append(&mut self.routes);
        let annotated_tools = Registry::<ToolDescriptor>::collect(&self.scope);
        findings.extend(annotated_tools.duplicates().into_iter().map(Finding::from));
        findings.extend(routes.iter().filter_map(check_tools));
        self.check_modules(&annotated, &annotated_tools, &mut findings);
        let tools = ToolRegistry::collect(&self.scope);
        let model = self.provide(&routes, &tools, &mut findings);
        findings.extend(check_tool_needs(&routes, &tools, &self.components));
        let max_body_size = self.max_body_size();
        let site = SiteBuilder {
            routes,
            components: self.components,
            middleware: self.middleware,
            trailing_slash: self.trailing_slash,
            max_body_size,
        };
        let ready = Ready {
            site: Arc::new(site.build(&mut findings)),
            tools,
            model,
            scope: self.scope,
            #[cfg(feature = "server")]
            settings: self.settings.or_env(&self.env),
        };
        (ready, findings)
    }

    /// Provides what the AI wing needs and the program has not provided itself.
    fn provide(
        &mut self,
        routes: &[Route],
        tools: &ToolRegistry,
        findings: &mut Vec<Finding>,
    ) -> Option<Model> {
        if self.components.get::<ToolRegistry>().is_none() {
            self.components.insert(tools.clone());
        }
        if self.components.get::<Sessions>().is_none() {
            self.components.insert(Sessions::new(MemorySessionStore::new()));
        }
        if let Some(client) = self.components.get::<Client>() {
            return Some(Model::given(Client::clone(client)));
        }
        let asking: Vec<_> = routes
            .iter()
            .filter(|route| route.needs().any(|need| need == Need::of::<Client>()))
            .collect();
        if asking.is_empty() {
            return None;
        }
        match Model::from_env(&self.env, self.offline.as_ref()) {
            Ok(model) => {
                self.components.insert(model.client.clone());
                Some(model)
            }
            Err(finding) => {
                findings.push(asking.into_iter().fold(finding, |finding, route| finding.at(route)));
                // What is missing has been told, with its reason; a client of nobody fills the gap.
                self.components.insert(Client::new(FakeProvider::new()));
                None
            }
        }
    }

    /// A module that is named and holds nothing is probably misspelt.
    fn check_modules(
        &self,
        routes: &Registry<RouteDescriptor>,
        tools: &Registry<ToolDescriptor>,
        findings: &mut Vec<Finding>,
    ) {
        // The first is where the application itself stands, which may well hold nothing.
        for module in self.scope.modules().skip(1) {
            let scope = Scope::module(module.to_owned());
            let places = routes
                .iter()
                .map(|route| route.location())
                .chain(tools.iter().map(|tool| tool.location()));
            if !places.into_iter().any(|place| scope.contains(place.module)) {
                findings.push(Finding::new(format!(
                    "nothing is annotated in the included module `{module}`"
                )));
            }
        }
    }

    #[cfg(feature = "server")]
    fn max_body_size(&self) -> u64 {
        self.settings.limits.max_body_size
    }

    #[cfg(not(feature = "server"))]
    fn max_body_size(&self) -> u64 {
        2 << 20
    }
}

/// A route whose model could not tell its tools apart.
fn check_tools(route: &Route) -> Option<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&Tool>> = BTreeMap::new();
    for tool in route.extension::<AiOptions>()?.all_tools() {
        by_name.entry(tool.name()).or_default().push(tool);
    }
    let (name, tools) = by_name.into_iter().find(|(_, tools)| tools.len() > 1)?;
    let finding = Finding::new(format!("a route has two tools of the name `{name}`")).at(route);
    let places = tools.into_iter().filter_map(Tool::location);
    Some(places.fold(finding, |finding, location| finding.at(format!("`{name}` ({location})"))))
}

/// The components that tools need and nobody provides: those of the application's own tools, and of
/// those that its routes name.
fn check_tool_needs(
    routes: &[Route],
    tools: &ToolRegistry,
    components: &Components,
) -> Vec<Finding> {
    let mut findings: BTreeMap<(Option<Location>, &str, &str), Finding> = BTreeMap::new();
    let options = routes.iter().map(|route| (route, route.extension::<AiOptions>()));
    let of_routes = options.flat_map(|(route, options)| {
        let tools = options.map_or(&[][..], AiOptions::all_tools);
        tools.iter().map(move |tool| (tool, Some(route)))
    });
    for (tool, route) in tools.iter().map(|tool| (tool, None)).chain(of_routes) {
        for need in tool.needs().of::<Need>().filter(|need| !components.meets(**need)) {
            let name = need.type_name();
            let finding = findings.entry((tool.location(), tool.name(), name)).or_insert_with(|| {
                let message = format!(
                    "the tool `{1}` needs a component of type `{0}`, and none is provided; add `.component(…)` with a `{0}` to the application",
                    name, tool.name(),
                );
                let place = tool.location().map(|location| format!("`{}` ({location})", tool.name()));
                place.into_iter().fold(Finding::new(message), Finding::at)
            });
            if let Some(route) = route {
                finding.places.push(route.to_string());
            }
        }
    }
    findings.into_values().collect()
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
            .field("routes", &self.routes.len())
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
        $crate::Ember::in_module(::core::module_path!())
    };
}
