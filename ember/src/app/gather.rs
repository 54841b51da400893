//! From annotated items to routes in their places, with everything that reaches them.

use crate::base::{Descriptor, Finding, Location, Registry, Scope};
use crate::web::middleware::MiddlewareDescriptor;
use crate::web::{
    Blueprint, BlueprintDescriptor, BoxMiddleware, Catcher, CatcherDescriptor, Catchers,
    EndpointHooks, Groups, HookDescriptor, Placed, Reach, Route, RouteDescriptor, RouteOptions,
    Settled,
};

/// What the modules of a scope hold that concerns requests.
pub(super) struct Gathered {
    groups: Groups,
    hooks: Registry<HookDescriptor>,
    catchers: Vec<Catcher>,
    /// For paths that lead nowhere below a prefix, before all others.
    of_prefixes: Vec<Catcher>,
    middleware: Registry<MiddlewareDescriptor>,
}

impl Gathered {
    pub(super) fn of(scope: &Scope, outside: RouteOptions, findings: &mut Vec<Finding>) -> Self {
        let blueprints = Registry::<BlueprintDescriptor>::collect(scope);
        findings.extend(blueprints.duplicates().into_iter().map(Finding::from));
        for blueprint in blueprints.iter().filter(|blueprint| !is_prefix(blueprint.prefix)) {
            findings.push(bad_prefix(blueprint.prefix).at(blueprint.location));
        }
        let groups = Groups::of(&blueprints, outside);
        let catchers = Registry::<CatcherDescriptor>::collect(scope);
        let mut catchers: Vec<_> = catchers.iter().map(|catcher| place(catcher, &groups)).collect();
        catchers.sort_by_key(Catcher::order);
        findings.extend(contested(&catchers));
        let hooks = Registry::collect(scope);
        Self {
            groups,
            hooks,
            catchers,
            of_prefixes: Vec::new(),
            middleware: Registry::collect(scope),
        }
    }

    /// Lets a catcher answer for paths below its prefix that lead nowhere, before all others.
    pub(super) fn catch_first(&mut self, catcher: Catcher) {
        self.of_prefixes.push(catcher);
    }

    /// All routes: those that are annotated, and those that were added by hand.
    pub(super) fn routes(
        &self,
        annotated: &Registry<RouteDescriptor>,
        by_hand: Blueprint,
        outside: &RouteOptions,
    ) -> Vec<Settled> {
        let mut routes: Vec<_> =
            annotated.iter().map(|route| self.groups.settle(Route::of(route))).collect();
        by_hand.settle("", outside, &mut routes);
        routes
    }

    /// The middleware that reaches everything, within what the program has added itself.
    pub(super) fn middleware(&self) -> Vec<BoxMiddleware> {
        let everywhere = self
            .middleware
            .iter()
            .filter(|middleware| self.bound(middleware.reach, middleware.location).is_none());
        everywhere.map(|middleware| (middleware.make)()).collect()
    }

    /// The catchers for paths that lead nowhere.
    pub(super) fn all_catchers(&self) -> Catchers {
        Catchers(self.of_prefixes.iter().chain(&self.catchers).cloned().collect())
    }

    /// Puts around a route what reaches it.
    pub(super) fn place(&self, mut route: Settled, of_app: &[BoxMiddleware]) -> Placed {
        let module = route.location.map(|location| location.module);
        let reaches = |bound: Option<&str>| match (bound, module) {
            (None, _) => true,
            (Some(bound), Some(module)) => crate::base::is_below(module, bound),
            (Some(_), None) => false,
        };
        let mut within: Vec<_> = self
            .middleware
            .iter()
            .filter_map(|middleware| {
                let bound = self.bound(middleware.reach, middleware.location)?;
                reaches(Some(bound)).then(|| (bound.len(), (middleware.make)()))
            })
            .collect();
        // That of an outer blueprint goes around that of an inner one.
        within.sort_by_key(|(depth, _)| *depth);
        route.options.middleware.splice(0..0, within.into_iter().map(|(_, middleware)| middleware));
        for middleware in of_app.iter().chain(&route.options.middleware) {
            middleware.describe(&mut route.operation);
        }
        // Middleware of a route is mostly there to refuse.
        if !route.options.middleware.is_empty() {
            route.operation.problems();
        }
        let mut hooks = EndpointHooks::default();
        for hook in self.hooks.iter().filter(|hook| reaches(self.bound(hook.reach, hook.location)))
        {
            if hooks.push(hook) {
                hook.describe(&mut route.operation);
            }
        }
        let catchers = self.catchers.iter().filter(|catcher| reaches(catcher.module)).cloned();
        let own = route.options.catchers.iter().map(|catcher| Catcher::by_hand(catcher, ""));
        let catchers = Catchers(own.chain(catchers).collect());
        hooks.prepare(&route.operation);
        catchers.describe(&mut route.operation);
        Placed { route, hooks, catchers }
    }

    /// The hooks, those of the server among them.
    pub(super) fn hooks(&self) -> &Registry<HookDescriptor> {
        &self.hooks
    }

    /// The places of all that was found, for a look at which modules hold anything.
    pub(super) fn locations(&self) -> impl Iterator<Item = Location> {
        let hooks = self.hooks.iter().map(Descriptor::location);
        let catchers = self.catchers.iter().map(|catcher| catcher.descriptor.location);
        hooks.chain(catchers).chain(self.middleware.iter().map(Descriptor::location))
    }

    fn bound(&self, reach: Reach, location: Location) -> Option<&'static str> {
        match reach {
            Reach::App => None,
            Reach::Blueprint => self.groups.module_around(location.module),
        }
    }
}

fn place(descriptor: &'static CatcherDescriptor, groups: &Groups) -> Catcher {
    let module = match descriptor.reach {
        Reach::App => None,
        Reach::Blueprint => groups.module_around(descriptor.location.module),
    };
    let prefix = module.map_or_else(String::new, |module| groups.prefix_of(module).to_owned());
    Catcher { descriptor, module, prefix }
}

/// Two catchers of the same errors for the same routes.
fn contested(catchers: &[Catcher]) -> Vec<Finding> {
    let pairs = catchers.windows(2).filter(|pair| {
        pair[0].module == pair[1].module && pair[0].descriptor.catches == pair[1].descriptor.catches
    });
    let finding = |pair: &[Catcher]| {
        let what = pair[0].descriptor.catches;
        Finding::new(format!("two catchers answer for {what}"))
            .at(pair[0].descriptor)
            .at(pair[1].descriptor)
    };
    pairs.map(finding).collect()
}

/// Tells whether a text can begin paths.
pub(super) fn is_prefix(text: &str) -> bool {
    text.is_empty() || text == "/" || (text.starts_with('/') && !text.ends_with('/'))
}

pub(super) fn bad_prefix(prefix: &str) -> Finding {
    Finding::new(format!(
        "`{prefix}` cannot begin the paths of a blueprint: it starts with `/`, and does not end with one"
    ))
}
