use super::components::Components;
use super::operation::{Notes, Operation};
use crate::base::Location;
use http::{Extensions, Method};
use std::borrow::Cow;
use std::sync::Arc;

/// What requests may know of their application: its components and its routes.
///
/// Made once at start-up, shared by all requests, and never changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AppState {
    /// The values that handlers find by type.
    pub components: Components,
    /// The routes, in the order in which they are listed.
    pub routes: Arc<[RouteEntry]>,
    /// How many bytes the body of a request may have, where its route says nothing else.
    pub max_body_size: u64,
}

impl AppState {
    /// How many bytes the body of a request may have unless somebody says otherwise.
    pub const DEFAULT_MAX_BODY_SIZE: u64 = 2 << 20;
}

impl Default for AppState {
    fn default() -> Self {
        let (components, routes) = Default::default();
        Self { components, routes, max_body_size: Self::DEFAULT_MAX_BODY_SIZE }
    }
}

/// What is known of one route beside its handler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RouteEntry {
    /// The methods it answers to.
    pub methods: Vec<Method>,
    /// Its path with the prefixes of its blueprints, as they were written.
    pub path: String,
    /// The hosts that it answers on; none for all.
    pub hosts: Vec<String>,
    /// The names of the path's parameters, in order.
    pub parameters: Vec<String>,
    /// The name that was given to it, or that of its function.
    pub name: String,
    /// Where it stands, if a macro made it.
    pub location: Option<Location>,
    /// Its doc comment.
    pub docs: Cow<'static, str>,
    /// What it reads and answers, as far as its types tell.
    pub operation: Operation,
    /// What its options say about it.
    pub notes: Notes,
    /// What the options of its attribute left for extractors and middleware, by type.
    pub extensions: Extensions,
}
