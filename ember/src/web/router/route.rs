use super::{RouteDescriptor, RouteItem, RouteOptions, RoutePath};
use crate::base::{JsonSchema, Location};
use crate::web::cache::CacheEngine;
use crate::web::components::Need;
use crate::web::handler::{Endpoint, Handler};
use crate::web::operation::Operation;
use http::Method;
use std::any::type_name;
use std::borrow::Cow;
use std::fmt;

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
#[derive(Debug, Clone)]
pub struct Route {
    pub(crate) methods: Vec<Method>,
    /// The path as it was written; the start-up check parses it.
    pub(crate) path: String,
    pub(crate) name: String,
    /// The doc comment.
    pub(crate) docs: Cow<'static, str>,
    pub(crate) location: Option<Location>,
    pub(crate) endpoint: Endpoint,
    pub(crate) operation: Operation,
    pub(crate) options: RouteOptions,
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
            path: path.into(),
            name: short_name(type_name::<H>()),
            docs: Cow::Borrowed(""),
            location: None,
            endpoint: Endpoint::of(handler),
            operation,
            options: RouteOptions::default(),
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

    /// Keeps answers, so that the handler need not run again.
    #[must_use]
    pub fn cache(mut self, engine: impl CacheEngine) -> Self {
        self.options.cache(engine);
        self
    }

    /// Names the route, as a function's name names one that a macro makes.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
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

    /// Sets further options.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut RouteOptions)) -> Self {
        set(&mut self.options);
        self
    }

    /// The route that a macro described. A method that is no token is left out.
    pub(crate) fn of(descriptor: &RouteDescriptor) -> Self {
        let mut operation = Operation::new();
        (descriptor.describe)(&mut operation);
        let mut options = RouteOptions::default();
        (descriptor.options)(&mut options);
        Self {
            methods: descriptor.methods.iter().filter_map(|method| method.parse().ok()).collect(),
            path: descriptor.path.to_owned(),
            name: descriptor.name.to_owned(),
            docs: descriptor.docs.into(),
            location: Some(descriptor.location),
            endpoint: Endpoint::Plain(descriptor.handle),
            operation,
            options,
        }
    }

    /// What an option of the attribute has left, by type.
    pub(crate) fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.options.extensions.get()
    }

    /// Parses the path.
    pub(crate) fn parsed_path(&self) -> Result<RoutePath, super::RoutePathError> {
        self.path.parse()
    }

    /// The components that must be provided.
    pub(crate) fn needs(&self) -> impl Iterator<Item = Need> {
        self.operation.all_needs()
    }
}

/// The route of an annotated function: `hello {}`.
impl<R: RouteItem> From<R> for Route {
    fn from(_: R) -> Self {
        Self::of(&R::ROUTE)
    }
}

/// What a person calls the route in messages: its name and place.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "`{}` ({location})", self.name),
            None => write!(f, "`{}`", self.name),
        }
    }
}

/// The last part of a function's path.
fn short_name(path: &str) -> String {
    let last = path.rsplit("::").find(|part| *part != "{{closure}}").unwrap_or(path);
    last.to_owned()
}
