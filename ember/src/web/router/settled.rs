use super::{RouteOptions, RoutePath, RoutePathError};
use crate::base::Location;
use crate::web::handler::Endpoint;
use crate::web::operation::Operation;
use http::Method;
use std::borrow::Cow;
use std::fmt;

/// A route in its place: with its whole path, and the options of all blueprints around it.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) methods: Vec<Method>,
    /// It answers to all methods, and to the path without its `{*rest}` as well.
    pub(crate) is_mount: bool,
    /// The path as it was written; the start-up check parses it.
    pub(crate) path: String,
    pub(crate) name: String,
    /// The name was chosen, so it must be the only one.
    pub(crate) has_given_name: bool,
    /// The doc comment.
    pub(crate) docs: Cow<'static, str>,
    pub(crate) location: Option<Location>,
    /// The names of arguments that take nothing from the path, as far as a macro has seen them.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) endpoint: Endpoint,
    pub(crate) operation: Operation,
    pub(crate) options: RouteOptions,
}

impl Settled {
    /// What an option has left, by type.
    pub(crate) fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.options.extensions.get()
    }

    /// Parses the path.
    pub(crate) fn parsed_path(&self) -> Result<RoutePath, RoutePathError> {
        self.path.parse()
    }
}

/// What a person calls the route in messages: its name and place.
impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "`{}` ({location})", self.name),
            None => write!(f, "`{}`", self.name),
        }
    }
}
