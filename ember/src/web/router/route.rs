use super::options::Settings;
use super::path::join;
use super::{RouteDescriptor, RouteItem, RouteOptions, Settled};
use crate::base::{JsonSchema, Location};
use crate::web::cache::Cache;
use crate::web::handler::{Endpoint, Handler};
use crate::web::middleware::IntoMiddleware;
use crate::web::operation::Operation;
use http::Method;
use std::any::type_name;
use std::borrow::Cow;

/// A route: methods, a path, and what answers there.
///
/// Usually a macro makes it; by hand it is this:
///
/// ```
/// use ember::prelude::*;
/// use ember::web::Route;
///
/// async fn greet(Path(name): Path<String>) -> String {
///     format!("Hello, {name}!")
/// }
///
/// let app = Ember::new().route(Route::get("/hello/{name}", greet));
/// # app.build().unwrap();
/// ```
#[derive(Debug)]
pub struct Route {
    pub(super) methods: Vec<Method>,
    /// It answers to all methods, and to the path without its `{*rest}` as well.
    pub(super) is_mount: bool,
    pub(super) path: String,
    pub(super) name: String,
    /// The doc comment.
    pub(super) docs: Cow<'static, str>,
    pub(super) location: Option<Location>,
    /// The names of arguments that take nothing from the path, as far as a macro has seen them.
    pub(super) arguments: &'static [&'static str],
    pub(super) endpoint: Endpoint,
    pub(super) operation: Operation,
    pub(super) settings: Settings,
}

macro_rules! by_method {
    ($($name:ident $method:ident;)*) => {$(
        #[doc = concat!("A route that answers to ", stringify!($method), ".")]
        pub fn $name<A, H: Handler<A>>(path: impl Into<String>, handler: H) -> Self {
            Self::new([Method::$method], path, handler)
        }
    )*};
}

impl Route {
    /// A route that answers to several methods.
    pub fn new<A, H: Handler<A>>(
        methods: impl IntoIterator<Item = Method>,
        path: impl Into<String>,
        handler: H,
    ) -> Self {
        let mut operation = Operation::new();
        H::describe(&mut operation);
        Self {
            methods: methods.into_iter().collect(),
            is_mount: false,
            path: path.into(),
            name: short_name(type_name::<H>()),
            docs: Cow::Borrowed(""),
            location: None,
            arguments: &[],
            endpoint: Endpoint::of(handler),
            operation,
            settings: Settings::default(),
        }
    }

    by_method! {
        get GET;
        post POST;
        put PUT;
        patch PATCH;
        delete DELETE;
        head HEAD;
        options OPTIONS;
    }

    /// Sets options, which replace or add to those of the blueprint around the route.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut RouteOptions) + Send + 'static) -> Self {
        self.settings.push(set);
        self
    }

    /// Names the route, for [`url_for!`](crate::url_for); otherwise it has the name of its function.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.with(|options| {
            options.name(name);
        })
    }

    /// Answers on this host only; `*.example.com` means every host below `example.com`.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        let host = host.into();
        self.with(|options| {
            options.host(host);
        })
    }

    /// Runs middleware around the handler, within that of the application.
    #[must_use]
    pub fn middleware<A>(self, middleware: impl IntoMiddleware<A>) -> Self {
        let middleware = middleware.into_middleware();
        self.with(|options| {
            options.middleware(middleware);
        })
    }

    /// Keeps answers, so that the handler need not run again.
    #[must_use]
    pub fn cache(self, cache: impl Into<Cache>) -> Self {
        let cache = cache.into();
        self.with(|options| {
            options.cache(cache);
        })
    }

    /// Says what the route does; Markdown, of which the first paragraph is the summary.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<Cow<'static, str>>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Makes the schema of a type known that the handler reads or answers.
    ///
    /// Attributes see the types of a function and ask them; a route made by hand is told.
    #[must_use]
    pub fn schema<T: JsonSchema>(mut self) -> Self {
        self.operation.schema::<T>();
        self
    }

    /// Adds to what the types tell of the route.
    #[must_use]
    pub fn describe(mut self, describe: impl FnOnce(&mut Operation)) -> Self {
        describe(&mut self.operation);
        self
    }

    /// The route that a macro described. A method that is no token is left out.
    pub(crate) fn of(descriptor: &RouteDescriptor) -> Self {
        let mut operation = Operation::new();
        (descriptor.describe)(&mut operation);
        let mut settings = Settings::default();
        settings.push(descriptor.options);
        Self {
            methods: descriptor.methods.iter().filter_map(|method| method.parse().ok()).collect(),
            is_mount: false,
            path: descriptor.path.to_owned(),
            name: descriptor.name.to_owned(),
            docs: descriptor.docs.into(),
            location: Some(descriptor.location),
            arguments: descriptor.arguments,
            endpoint: Endpoint::Plain(descriptor.handle),
            operation,
            settings,
        }
    }

    /// Puts the route below a prefix and within options.
    pub(crate) fn settle(self, prefix: &str, outer: &RouteOptions) -> Settled {
        let path = join(prefix, &self.path);
        let methods: Vec<_> = self.methods.iter().map(Method::as_str).collect();
        let place = format!("{} {path}", methods.join("|"));
        let mut options = self.settings.within(outer, place);
        Settled {
            methods: self.methods,
            is_mount: self.is_mount,
            path,
            has_given_name: options.name.is_some(),
            name: options.name.take().unwrap_or(self.name),
            docs: self.docs,
            location: self.location,
            arguments: self.arguments,
            endpoint: self.endpoint,
            operation: self.operation,
            options,
        }
    }
}

/// The route of an annotated function: `hello {}`.
impl<R: RouteItem> From<R> for Route {
    fn from(_: R) -> Self {
        Self::of(&R::ROUTE)
    }
}

/// The last part of a function's path.
fn short_name(path: &str) -> String {
    let last = path.rsplit("::").find(|part| *part != "{{closure}}").unwrap_or(path);
    last.to_owned()
}
