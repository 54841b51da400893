//! From what an application was given to one that is ready, or to all that is wrong with it.

use super::checks::{
    check_modules, check_plugins, check_prompt, check_tool_needs, check_tools, findings_of,
};
use super::ember::Ember;
use super::gather::Gathered;
use super::launch::LaunchError;
use super::lifecycle::Lifecycle;
use super::limits::keep_limits;
#[cfg(feature = "server")]
use super::log::log_fault;
use super::ready::Ready;
use super::state::provide_state;
use crate::ai::openai::{AiRoute, Surroundings};
use crate::ai::{AiOptions, Around, make_model};
use crate::base::{Descriptor as _, Finding, PluginDescriptor, Registry};
use crate::llm::tool::ToolDescriptor;
use crate::llm::{BoxEmbedder, Client, PromptTemplate, ToolRegistry, setting_faults};
use crate::web::{ComponentDescriptor, Need, Placed, Plan, RouteDescriptor, Settled, SiteBuilder};
use std::sync::Arc;

impl Ember {
    /// Checks everything, and makes the application ready to answer.
    ///
    /// # Errors
    /// All problems at once: routes that contradict each other or have malformed paths, components
    /// that are missing or provided twice, two tools of a name, two plugins of a kind and name, a
    /// provider that is unknown or lacks its key, a module that holds nothing.
    pub fn build(self) -> Result<Ready, LaunchError> {
        let (ready, findings) = self.check();
        LaunchError::unless_empty(findings)?;
        Ok(ready)
    }

    /// Puts the application together as well as it can be, and says what is wrong with it.
    pub(super) fn check(mut self) -> (Ready, Vec<Finding>) {
        let mut findings = std::mem::take(&mut self.findings);
        self = self.add_docs();
        let mut gathered = Gathered::of(&self.scope, self.options.clone(), &mut findings);
        let annotated = Registry::<RouteDescriptor>::collect(&self.scope);
        let by_hand = std::mem::take(&mut self.by_hand);
        let mut routes = gathered.routes(&annotated, by_hand, &self.options);
        let factories = Registry::<ComponentDescriptor>::collect(&self.scope);
        #[cfg(feature = "server")]
        let settings = std::mem::take(&mut self.settings).or_env(&self.env, &mut findings);
        #[cfg(feature = "server")]
        let is_local = settings.is_local();
        #[cfg(not(feature = "server"))]
        let is_local = true;
        let mut prices = Vec::new();
        for mount in std::mem::take(&mut self.openai) {
            let embedder = Need::of::<BoxEmbedder>();
            let around = Surroundings {
                env: &self.env,
                options: &self.options,
                routes: routes.iter().filter_map(ai_route).collect(),
                has_embedder: self.components.meets(embedder)
                    || factories.iter().any(|factory| (factory.provides)() == embedder),
                is_local,
            };
            let api = mount(&around, &mut findings);
            gathered.catch_first(api.catcher);
            prices.push(api.prices);
            api.blueprint.settle("", &self.options, &mut routes);
        }
        let annotated_tools = Registry::<ToolDescriptor>::collect(&self.scope);
        findings.extend(annotated_tools.duplicates().into_iter().map(Finding::from));
        findings.extend(routes.iter().filter_map(check_tools));
        let plugins = Registry::<PluginDescriptor>::collect(&self.scope);
        findings.extend(check_plugins(&self.scope));
        let check = |options: &AiOptions| options.check().collect::<Vec<_>>();
        findings.extend(findings_of(routes.iter(), check));
        check_modules(
            &self.scope,
            &annotated
                .iter()
                .map(|route| route.location())
                .chain(annotated_tools.iter().map(|tool| tool.location()))
                .chain(factories.iter().map(|factory| factory.location()))
                .chain(plugins.iter().map(|plugin| plugin.location))
                .chain(gathered.locations())
                .collect::<Vec<_>>(),
            !routes.is_empty(),
            &mut findings,
        );
        self.middleware.extend(gathered.middleware());
        let routes: Vec<_> =
            routes.into_iter().map(|route| gathered.place(route, &self.middleware)).collect();
        let tools = ToolRegistry::collect(&self.scope);
        self.components.insert(self.env.clone());
        let needs = factories.iter().flat_map(|factory| factory.all_needs());
        let needs = needs.chain(gathered.hooks().iter().flat_map(|hook| hook.needs()));
        let needs: Vec<_> = needs.collect();
        let is_made = |need| factories.iter().any(|factory| (factory.provides)() == need);
        let of_routes = routes.iter().flat_map(Placed::needs);
        let options = routes.iter().filter_map(|placed| placed.route.extension::<AiOptions>());
        let all_tools = tools.iter().chain(options.flat_map(AiOptions::all_tools));
        let of_tools = all_tools.flat_map(|tool| tool.needs().of::<Need>().copied());
        let all_needs = needs.iter().copied().chain(of_routes).chain(of_tools).chain(self.given);
        let all_needs: Vec<_> = all_needs.collect();
        let state = provide_state(&mut self.components, &self.env, &routes, &all_needs, is_made);
        findings.extend(state.wrong);
        if self.components.get::<ToolRegistry>().is_none() {
            self.components.insert(tools.clone());
        }
        let around = Around {
            components: &mut self.components,
            env: &self.env,
            offline: self.offline.as_ref(),
            routes: &routes,
            others: &needs,
            findings: &mut findings,
        };
        let model = make_model(around, &all_needs);
        if let Some(counter) = self.counter.take()
            && let Some(client) = self.components.get::<Client>()
        {
            let client = Client::clone(client).token_counter(counter);
            self.components.insert(client);
        }
        if let Some(model) = &model {
            let needs_client =
                |placed: &&Placed| placed.needs().any(|need| need == Need::of::<Client>());
            let asking = routes.iter().filter(needs_client).map(|placed| &placed.route);
            let price =
                |options: &AiOptions| options.check_price(&model.client).into_iter().collect();
            findings.extend(findings_of(asking, price));
            for finding in prices.iter().flat_map(|prices| prices.check(&model.client)) {
                if !findings.iter().any(|known| known.message == finding.message) {
                    findings.push(finding);
                }
            }
        }
        let mut notes = setting_faults(&self.env);
        #[cfg(feature = "server")]
        notes.extend(log_fault(&self.env));
        notes.extend(state.shared.into_iter().flat_map(|store| {
            let all = routes.iter().map(|placed| &placed.route);
            let client = self.components.get::<Client>();
            let client = client.map(|client| &**client);
            let notes = keep_limits(&store, all, &prices, &self.middleware, client);
            findings.extend(store.contradictions());
            notes
        }));
        let plan = Plan::of(&factories, &self.overridden, &mut self.components, &mut findings);
        let lifecycle = Lifecycle::new(plan, gathered.hooks());
        findings.extend(check_tool_needs(&routes, &tools, &self.components));
        findings.extend(routes.iter().filter_map(|placed| check_prompt(&placed.route)));
        findings.extend(self.components.get::<PromptTemplate>().and_then(|prompt| {
            prompt.check().err().map(|error| {
                let what = "the `PromptTemplate` that is provided as a component cannot be used";
                Finding::new(format!("{what}: {error}"))
            })
        }));
        findings.extend(lifecycle.missing(&self.components));
        #[cfg(feature = "server")]
        let max_body_size = settings.limits.max_body_size;
        #[cfg(not(feature = "server"))]
        let max_body_size = crate::web::AppState::DEFAULT_MAX_BODY_SIZE;
        let site = SiteBuilder {
            routes,
            components: self.components,
            middleware: self.middleware,
            catchers: gathered.all_catchers(),
            trailing_slash: self.trailing_slash,
            max_body_size,
        };
        let ready = Ready {
            site: Arc::new(site.build(&mut findings)),
            tools,
            model,
            scope: self.scope,
            lifecycle: Arc::new(lifecycle),
            notes,
            info: self.info,
            #[cfg(feature = "server")]
            settings,
        };
        (ready, findings)
    }
}

/// A route that says something of its model, for APIs of which it may be a model.
fn ai_route(route: &Settled) -> Option<AiRoute<'_>> {
    let options = route.extension::<AiOptions>()?;
    Some(AiRoute { path: &route.path, place: route.to_string(), options })
}
