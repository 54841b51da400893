use super::{RouteDescriptor, RouteItem, RouteOptions, RoutePath};
use crate::base::Location;
use crate::web::cache::CacheEngine;
use crate::web::components::Need;
use crate::web::handler::{Endpoint, Handler};
use crate::web::operation::Operation;
use http::Method;
use std::any::type_name;
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
    /// It answers to all methods, and to the path without its `{*rest}` as well.
    pub(crate) is_mount: bool,
    /// The path as it was written; the start-up check parses it.
    pub(crate) path: String,
    pub(crate) name: String,
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
            is_mount: false,
            path: path.into(),
            name: short_name(type_name::<H>()),
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

    /// The route that a macro described. A method that is no token is left out.
    pub(crate) fn of(descriptor: &RouteDescriptor) -> Self {
        let mut operation = Operation::new();
        (descriptor.describe)(&mut operation);
        let mut options = RouteOptions::default();
        (descriptor.options)(&mut options);
        Self {
            methods: descriptor.methods.iter().filter_map(|method| method.parse().ok()).collect(),
            is_mount: false,
            path: descriptor.path.to_owned(),
            name: descriptor.name.to_owned(),
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
