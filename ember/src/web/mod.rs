//! Serves HTTP; never names a model.
//!
//! A request passes through the modules below in the order of the page: its [`Body`] and
//! [`Request`], what [`extract`] takes from it, the handler, the [`response`] it makes, and
//! around them [`cache`], [`middleware`] and the router. [`Site`] puts them together, and
//! [`server`] moves the bytes.

mod panics;
mod body;
mod components;
pub mod operation;
mod state;
pub mod response;
mod request;
mod principal;
pub mod extract;
mod limits;
mod temp;
mod buffered;
#[cfg(feature = "multipart")]
pub mod multipart;
#[cfg(feature = "websocket")]
mod takeover;
#[cfg(feature = "websocket")]
pub mod websocket;
pub mod cookies;
pub mod session;
mod handler;
mod reach;
mod hook;
mod catcher;
pub mod cache;
pub mod middleware;
mod router;
mod urls;
mod health;
mod site;
pub mod openapi;
#[cfg(feature = "server")]
pub mod server;

pub use body::Body;
pub use buffered::{BodyReader, BufferedBody};
pub use catcher::{CatchFuture, CatcherDescriptor, Catches};
pub(crate) use catcher::{Catcher, Catchers};
pub(crate) use components::Plan;
pub use components::{
    BuildFuture, Built, Component, ComponentDescriptor, Components, FromComponents, Need, Outcome,
    TeardownFuture,
};
pub use handler::{Handler, HandlerFn, HandlerFuture};
pub use health::Health;
pub(crate) use hook::EndpointHooks;
pub use hook::{BeforeOutcome, HookDescriptor, HookEvent, HookFuture, HookRun};
pub use limits::RouteLimits;
pub(crate) use middleware::BoxMiddleware;
pub use operation::{Operation, Parameter, Security};
pub use principal::Principal;
pub use reach::Reach;
pub use request::{OriginalUri, Request, RequestParts};
pub use response::{Html, IntoResponse, Json, Redirect, Response, Sse};
pub use router::{
    Blueprint, BlueprintDescriptor, Route, RouteDescriptor, RouteItem, RouteOptions, RoutePath,
    RoutePathError, TrailingSlash,
};
pub(crate) use router::{Groups, Settled};
pub use site::{Answer, Site};
pub(crate) use site::{Placed, SiteBuilder};
pub use state::{AppState, RouteEntry};
pub use urls::Urls;
