use super::RouteOptions;
use crate::base::Location;
use crate::base::registry::collected;
use crate::web::handler::HandlerFn;
use crate::web::operation::Operation;

/// What `#[get]` and its siblings leave behind: plain data and plain functions.
#[non_exhaustive]
pub struct RouteDescriptor {
    /// The name of the function.
    pub name: &'static str,
    /// The methods, in capitals.
    pub methods: &'static [&'static str],
    /// The path, as it stands in the attribute.
    pub path: &'static str,
    /// The doc comment of the function.
    pub docs: &'static str,
    /// Where the function stands.
    pub location: Location,
    pub(crate) handle: HandlerFn,
    pub(crate) describe: fn(&mut Operation),
    pub(crate) options: fn(&mut RouteOptions),
    /// The names of arguments that are not taken from the path in the attribute.
    pub(crate) arguments: &'static [&'static str],
}

/// A function that is a route: the type of the function's own name that a route attribute makes.
///
/// It lets a route be mounted by hand: `Ember::new().route(hello {})`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no route",
    note = "annotate the function with `#[get(…)]` or a sibling, or make one by hand with `Route::get(…)`"
)]
pub trait RouteItem {
    /// The route as data.
    const ROUTE: RouteDescriptor;

    /// What answers a request.
    const HANDLE: HandlerFn;

    /// Tells what the function needs and answers.
    fn describe(operation: &mut Operation);

    /// Evaluates the options of the attribute.
    fn options(options: &mut RouteOptions) {
        let _ = options;
    }
}

impl RouteDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new<R: RouteItem>(
        name: &'static str,
        methods: &'static [&'static str],
        path: &'static str,
        docs: &'static str,
        location: Location,
    ) -> Self {
        Self {
            name,
            methods,
            path,
            docs,
            location,
            handle: R::HANDLE,
            describe: R::describe,
            options: R::options,
            arguments: &[],
        }
    }

    /// Names the arguments that are not taken from the path in the attribute, nor see the whole path.
    #[doc(hidden)]
    #[must_use]
    pub const fn arguments(mut self, names: &'static [&'static str]) -> Self {
        self.arguments = names;
        self
    }
}

collected!(RouteDescriptor, "route", |entry| format!("{} {}", entry.methods.join("|"), entry.path).into(), shows name, methods, path);
