use super::options::Settings;
use super::path::join;
use super::{Route, RouteOptions, Settled};
use crate::base::registry::collected;
use crate::base::{Location, Registry};
use crate::web::middleware::IntoMiddleware;

/// Routes that share the beginning of their paths, and options.
///
/// Usually [`blueprint!`](crate::blueprint) in a module makes one of all routes of that module
/// and below; by hand it is this:
///
/// ```
/// use ember::prelude::*;
/// use ember::web::{Blueprint, Route};
///
/// async fn users() -> &'static str {
///     "nobody"
/// }
///
/// async fn only_staff(request: Request, next: Next) -> ember::Result<Response> {
///     match request.headers().contains_key("x-staff") {
///         true => Ok(next.run(request).await),
///         false => Err(Error::forbidden("Staff only.")),
///     }
/// }
///
/// // GET /admin/users
/// let admin = Blueprint::new("/admin").middleware(only_staff).route(Route::get("/users", users));
/// let app = Ember::new().blueprint(admin);
/// # app.build().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct Blueprint {
    prefix: String,
    settings: Settings,
    routes: Vec<Route>,
    blueprints: Vec<Blueprint>,
}

impl Blueprint {
    /// A blueprint whose paths begin with this; `/` begins all of them.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// Adds a route: one that was made by hand, or `name {}` of an annotated function.
    #[must_use]
    pub fn route(mut self, route: impl Into<Route>) -> Self {
        self.routes.push(route.into());
        self
    }

    /// Adds a blueprint within this one: its prefix follows this one's.
    #[must_use]
    pub fn blueprint(mut self, blueprint: Self) -> Self {
        self.blueprints.push(blueprint);
        self
    }

    /// Sets options of all routes within.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut RouteOptions) + Send + 'static) -> Self {
        self.settings.push(set);
        self
    }

    /// Answers on these hosts only; `*.example.com` means every host below `example.com`.
    #[must_use]
    pub fn hosts<H: Into<String>>(self, hosts: impl IntoIterator<Item = H>) -> Self {
        let hosts: Vec<String> = hosts.into_iter().map(Into::into).collect();
        self.with(|options| {
            options.hosts(hosts);
        })
    }

    /// Groups the routes in the description of the application.
    #[must_use]
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        self.with(|options| {
            options.tags(tags);
        })
    }

    /// Runs middleware around the handlers, within that of the application. What is added first is outermost.
    #[must_use]
    pub fn middleware<A>(self, middleware: impl IntoMiddleware<A>) -> Self {
        let middleware = middleware.into_middleware();
        self.with(|options| {
            options.middleware(middleware);
        })
    }

    /// Puts the routes below a prefix and within options.
    pub(crate) fn settle(self, prefix: &str, outer: &RouteOptions, into: &mut Vec<Settled>) {
        let prefix = join(prefix, &self.prefix);
        let options = self.settings.within(outer, format!("blueprint {prefix}"));
        into.extend(self.routes.into_iter().map(|route| route.settle(&prefix, &options)));
        self.blueprints.into_iter().for_each(|inner| inner.settle(&prefix, &options, into));
    }
}

/// What `blueprint!` leaves behind.
#[non_exhaustive]
pub struct BlueprintDescriptor {
    /// The beginning of the paths; empty for none.
    pub prefix: &'static str,
    /// Where it stands: it holds for this module and those below.
    pub location: Location,
    options: fn(&mut RouteOptions),
}

impl BlueprintDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new(
        prefix: &'static str,
        location: Location,
        options: fn(&mut RouteOptions),
    ) -> Self {
        Self { prefix, location, options }
    }
}

collected!(BlueprintDescriptor, "blueprint of the module", |entry| entry.location.module.into(), shows prefix);

/// The blueprints of modules, each within those of the modules above it.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Outermost first.
    groups: Vec<Group>,
    /// What holds for routes of no group.
    outside: RouteOptions,
}

#[derive(Debug)]
struct Group {
    module: &'static str,
    prefix: String,
    options: RouteOptions,
}

impl Groups {
    /// Evaluates the options of each blueprint, once.
    pub(crate) fn of(blueprints: &Registry<BlueprintDescriptor>, outside: RouteOptions) -> Self {
        let mut blueprints: Vec<_> = blueprints.iter().collect();
        // A module's path is longer than that of any module around it.
        blueprints.sort_by_key(|blueprint| blueprint.location.module.len());
        let mut groups = Self { groups: Vec::new(), outside };
        for blueprint in blueprints {
            let module = blueprint.location.module;
            let (prefix, outer) = groups.around(module);
            let prefix = join(prefix, blueprint.prefix);
            let mut options = outer.clone();
            options.place = format!("blueprint {module} {prefix}");
            (blueprint.options)(&mut options);
            groups.groups.push(Group { module, prefix, options });
        }
        groups
    }

    /// Puts a route below the prefix and within the options of its module.
    pub(crate) fn settle(&self, route: Route) -> Settled {
        let module = route.location.map_or("", |location| location.module);
        let (prefix, options) = self.around(module);
        route.settle(prefix, options)
    }

    /// The module of the innermost blueprint that holds for a module.
    pub(crate) fn module_around(&self, module: &str) -> Option<&'static str> {
        self.innermost(module).map(|group| group.module)
    }

    /// The prefix of a module's innermost blueprint.
    pub(crate) fn prefix_of(&self, module: &str) -> &str {
        self.around(module).0
    }

    fn around(&self, module: &str) -> (&str, &RouteOptions) {
        match self.innermost(module) {
            Some(group) => (&group.prefix, &group.options),
            None => ("", &self.outside),
        }
    }

    fn innermost(&self, module: &str) -> Option<&Group> {
        self.groups.iter().rev().find(|group| crate::base::is_below(module, group.module))
    }
}
