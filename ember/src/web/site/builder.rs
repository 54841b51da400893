use super::caches::SharedCaches;
use super::route::SiteRoute;
use super::service::Site;
use super::table::Table;
use crate::base::Finding;
use crate::web::catcher::Catchers;
use crate::web::components::{Components, Need};
use crate::web::hook::EndpointHooks;
use crate::web::limits::RouteLimits;
use crate::web::middleware::BoxMiddleware;
use crate::web::operation::Operation;
use crate::web::router::{Hosts, RoutePath, Settled, TrailingSlash};
use crate::web::state::{AppState, RouteEntry};
use http::Method;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a site is made of, before it is checked.
#[derive(Default)]
pub(crate) struct SiteBuilder {
    pub(crate) routes: Vec<Placed>,
    pub(crate) components: Components,
    pub(crate) middleware: Vec<BoxMiddleware>,
    /// For requests that find no route.
    pub(crate) catchers: Catchers,
    pub(crate) trailing_slash: TrailingSlash,
    pub(crate) max_body_size: u64,
}

/// A route with what was gathered around it.
pub(crate) struct Placed {
    pub(crate) route: Settled,
    pub(crate) hooks: EndpointHooks,
    pub(crate) catchers: Catchers,
}

impl Placed {
    /// The components that the route needs, and all that stands around it.
    pub(crate) fn needs(&self) -> impl Iterator<Item = Need> {
        self.route.operation.all_needs()
    }

    /// What is known of the route, and what answers there.
    fn split(self, of_app: &[BoxMiddleware]) -> (RouteEntry, SiteRoute) {
        let Self { route, hooks, catchers } = self;
        let path = route.parsed_path();
        let options = route.options;
        let endpoint = SiteRoute {
            endpoint: route.endpoint,
            cache: options.cache,
            limits: options.extensions.get::<RouteLimits>().copied().unwrap_or_default(),
            middleware: of_app.iter().cloned().chain(options.middleware).collect(),
            hooks,
            catchers,
            touches_response: route.operation.response_is_touched(),
        };
        let entry = RouteEntry {
            parameters: path.iter().flat_map(|path| path.parameters()).map(str::to_owned).collect(),
            methods: route.methods,
            path: route.path,
            hosts: options.hosts,
            name: route.name,
            location: route.location,
            docs: route.docs,
            operation: route.operation,
            notes: options.notes,
            extensions: options.extensions,
        };
        (entry, endpoint)
    }
}

impl SiteBuilder {
    /// Puts the site together, and says everything that is wrong with it.
    pub(crate) fn build(self, findings: &mut Vec<Finding>) -> Site {
        let hosts = self.hosts(findings);
        self.check_needs(findings);
        self.check_middleware(findings);
        self.check_names(findings);
        self.check_caches(findings);
        let caches = SharedCaches::of(self.routes());
        findings.extend(caches.check());
        let mut endpoints = Vec::with_capacity(self.routes.len());
        let entries = self.routes.into_iter().map(|placed| {
            let (entry, endpoint) = placed.split(&self.middleware);
            endpoints.push(endpoint);
            entry
        });
        let routes = entries.collect();
        let mut elsewhere = Operation::new();
        self.middleware.iter().for_each(|middleware| middleware.describe(&mut elsewhere));
        self.catchers.describe(&mut elsewhere);
        let table = Table {
            hosts,
            endpoints,
            caches,
            middleware: self.middleware,
            catchers: self.catchers,
            touches_response: elsewhere.response_is_touched(),
            trailing_slash: self.trailing_slash,
        };
        let (components, max_body_size) = (self.components, self.max_body_size);
        Site {
            table: Arc::new(table),
            state: Arc::new(AppState { components, routes, max_body_size }),
        }
    }

    fn routes(&self) -> impl Iterator<Item = &Settled> {
        self.routes.iter().map(|placed| &placed.route)
    }

    fn hosts(&self, findings: &mut Vec<Finding>) -> Hosts {
        let mut hosts = Hosts::default();
        let mut twins = Vec::new();
        for (index, route) in (0..).zip(self.routes()) {
            let path = match route.parsed_path() {
                Ok(path) => path,
                Err(error) => {
                    findings.push(Finding::new(error.to_string()).at(route));
                    continue;
                }
            };
            findings.extend(misfits(route, &path));
            let trees = match hosts.trees_of(&route.options.hosts) {
                Ok(trees) => trees,
                Err(bad) => {
                    let what = "a name alone, such as `api.example.com` or `*.example.com`, without scheme, port and path";
                    findings.push(
                        Finding::new(format!("`{bad}` is no host: that is {what}")).at(route),
                    );
                    continue;
                }
            };
            if route.is_mount {
                for tree in trees {
                    for path in path.of_mount() {
                        if let Err(earlier) = tree.insert_mount(&path, index) {
                            let earlier = &self.routes[earlier as usize].route;
                            let text = format!("two services are mounted at {}", path.shape());
                            findings.push(Finding::new(text).at(earlier).at(route));
                            break;
                        }
                    }
                }
                continue;
            }
            let twin = path.slash_twin().filter(|_| self.trailing_slash == TrailingSlash::Clone);
            twins.extend(twin.map(|twin| (index, twin)));
            for tree in trees {
                for method in &route.methods {
                    if let Err(earlier) = tree.insert(&path, method, index) {
                        let earlier = &self.routes[earlier as usize].route;
                        let address = format!("two routes answer to {method} {}", path.shape());
                        let finding = Finding::new(address).at(with_path(earlier));
                        findings.push(finding.at(with_path(route)));
                    }
                }
            }
        }
        for (index, twin) in twins {
            let route = &self.routes[index as usize].route;
            // The hosts were found well above; a twin gives way to a route that has its path.
            for tree in hosts.trees_of(&route.options.hosts).unwrap_or_default() {
                for method in &route.methods {
                    let _ = tree.insert(&twin, method, index);
                }
            }
        }
        hosts
    }

    fn check_needs(&self, findings: &mut Vec<Finding>) {
        let mut missing: Vec<Need> = Vec::new();
        for need in self.routes.iter().flat_map(Placed::needs) {
            if !self.components.meets(need) && !missing.contains(&need) {
                missing.push(need);
            }
        }
        for need in missing {
            let message = format!(
                "no component of type `{}` is provided; {}",
                need.type_name(),
                need.advice()
            );
            let needing =
                self.routes.iter().filter(|placed| placed.needs().any(|other| other == need));
            findings.push(
                needing.fold(Finding::new(message), |finding, placed| finding.at(&placed.route)),
            );
        }
    }

    /// Answers are kept for GET and HEAD only.
    fn check_caches(&self, findings: &mut Vec<Finding>) {
        let asks = |route: &&Settled| {
            route.options.has_own_cache
                && !route.is_mount
                && !route.methods.iter().any(|method| matches!(*method, Method::GET | Method::HEAD))
        };
        findings.extend(self.routes().filter(asks).map(|route| {
            let message =
                "a route keeps answers, and answers neither to GET nor to HEAD; remove its `cache`";
            Finding::new(message).at(route)
        }));
    }

    fn check_middleware(&self, findings: &mut Vec<Finding>) {
        let of_routes = self.routes().flat_map(|route| &route.options.middleware);
        let mut found = Vec::new();
        self.middleware.iter().chain(of_routes).for_each(|middleware| middleware.check(&mut found));
        // That of a blueprint is on many routes.
        for finding in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }

    /// A name that was chosen is meant to be the only one.
    fn check_names(&self, findings: &mut Vec<Finding>) {
        let mut by_name: BTreeMap<&str, Vec<&Settled>> = BTreeMap::new();
        for route in self.routes().filter(|route| route.has_given_name) {
            by_name.entry(&route.name).or_default().push(route);
        }
        for (name, routes) in by_name.into_iter().filter(|(_, routes)| routes.len() > 1) {
            let finding = Finding::new(format!(
                "two routes have the name `{name}`, so that `url_for!` could not tell them apart; \
                 give one another `name = \"…\"`"
            ));
            findings.push(routes.into_iter().fold(finding, |finding, route| finding.at(route)));
        }
    }
}

/// Arguments that do not fit the whole path of their route.
fn misfits(route: &Settled, path: &RoutePath) -> Vec<Finding> {
    let parameters: Vec<_> = path.parameters().collect();
    let by_type = route.operation.parameter_types.iter().filter_map(|ty| {
        let reason = ty.misfit?(&parameters)?;
        let type_name = ty.type_name;
        Some(format!("`Path<{type_name}>` asks for what the path `{path}` does not have: {reason}"))
    });
    // The macro has seen the path in the attribute alone.
    let untaken = |name: &&str| {
        let bare = name.strip_prefix('_').unwrap_or(name);
        parameters.contains(name) || parameters.contains(&bare)
    };
    let by_name = route.arguments.iter().copied().filter(untaken).map(|name| {
        format!(
            "the argument `{name}` has the name of a parameter of `{path}` and would not take it: only the path in the \
             attribute of a function is taken by name, and no prefix; take all parameters as `Path<…>`, or rename the \
             argument"
        )
    });
    by_type.chain(by_name).map(|message| Finding::new(message).at(route)).collect()
}

fn with_path(route: &Settled) -> String {
    format!("{route} with `{}`", route.path)
}
