//! Serves HTTP; never names a model.
//!
//! A request passes through the modules below in the order of the page: its [`Body`] and
//! [`Request`], what [`extract`] takes from it, the handler, the [`response`] it makes, and
//! around them [`cache`], [`middleware`] and the router. [`Site`] puts them together, and
//! [`server`] moves the bytes.

mod body;
mod components;
pub mod operation;
mod state;
pub mod response;
mod request;
mod principal;
pub mod extract;
mod handler;
pub mod cache;
pub mod middleware;
mod router;
mod site;
pub mod openapi;
#[cfg(feature = "server")]
pub mod server;

pub use body::Body;
pub use components::{Component, Components, Need};
pub use handler::{Handler, HandlerFn, HandlerFuture};
pub(crate) use middleware::BoxMiddleware;
pub use operation::{Operation, Parameter, Security};
pub use principal::Principal;
pub use request::{Request, RequestParts};
pub use response::{Html, IntoResponse, Json, Redirect, Response, Sse};
pub use router::{
    Route, RouteDescriptor, RouteItem, RouteOptions, RoutePath, RoutePathError, TrailingSlash,
};
pub(crate) use site::SiteBuilder;
pub use site::{Answer, Site};
pub use state::{AppState, RouteEntry};
