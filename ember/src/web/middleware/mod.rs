//! What runs around handlers.
//!
//! A [`Middleware`] sees a request before the handler and the response after it. It is a
//! plain `async fn` on `&self`. The refused alternative is tower's `Service` as the only form:
//! `poll_ready` and its cloning infect every author, for a back-pressure that a server has in
//! its connections already.

mod next;
mod into;
mod descriptor;
mod layer;
mod request_id;
mod access_log;
mod timeout;
mod body_limit;
mod exclude;
mod bearer_auth;
mod api_key_auth;
mod client_address;
mod rate_headers;
mod token_rate_limit;
mod rate_limit;
#[cfg(feature = "cors")]
mod cors;
#[cfg(feature = "compression")]
mod compression;
#[cfg(feature = "compression")]
mod decompression;
#[cfg(feature = "files")]
mod files;

pub use access_log::AccessLog;
pub use api_key_auth::ApiKeyAuth;
pub use bearer_auth::BearerAuth;
pub(crate) use bearer_auth::{bearer_token, is_token68};
pub use body_limit::BodyLimit;
pub use client_address::TrustedProxies;
#[cfg(feature = "compression")]
pub use compression::Compression;
#[cfg(feature = "cors")]
pub use cors::Cors;
#[cfg(feature = "compression")]
pub use decompression::Decompression;
pub use descriptor::MiddlewareDescriptor;
#[cfg(feature = "files")]
pub use files::StaticFiles;
pub use into::{FnMiddleware, IntoMiddleware, ViaMiddleware};
pub use layer::{Bridge, TowerLayer};
pub(crate) use next::Terminus;
pub use next::{BoxMiddleware, Next};
pub(crate) use rate_headers::tell_limit;
pub use rate_limit::RateLimit;
pub use request_id::{RequestId, RequestIds};
pub use timeout::Timeout;
pub use token_rate_limit::TokenRateLimit;
pub(crate) use token_rate_limit::{CallTokens, RequestTokens};

use super::operation::Operation;
use super::request::Request;
use super::response::Response;
use crate::base::Finding;
use crate::store::BoxStore;
use std::future::Future;

/// Something that runs around the handlers of an application.
///
/// ```
/// use ember::prelude::*;
///
/// struct Stamp;
///
/// impl Middleware for Stamp {
///     async fn handle(&self, request: Request, next: Next) -> Response {
///         if request.headers().contains_key("x-blocked") {
///             return Error::forbidden("This client is blocked.").into_response();
///         }
///         let mut response = next.run(request).await;
///         response.headers_mut().insert("x-stamp", HeaderValue::from_static("seen"));
///         response
///     }
/// }
///
/// #[get("/")]
/// async fn index() -> &'static str {
///     "stamped"
/// }
///
/// let app = ember::app!().middleware(Stamp);
/// # app.build().unwrap();
/// ```
///
/// An error of the handler has become a response when it comes back here, so that what is
/// added to responses, such as headers, is added to errors as well.
pub trait Middleware: Send + Sync + 'static {
    /// Answers a request, usually by letting the [`Next`] one answer.
    fn handle(&self, request: Request, next: Next) -> impl Future<Output = Response> + Send;

    /// Adds to the description of the routes within what this needs, such as components.
    fn describe(&self, operation: &mut Operation) {
        let _ = operation;
    }

    /// Says at start-up what is wrong with the settings; nothing, unless it is implemented.
    ///
    /// An application whose middleware has findings does not start.
    fn check(&self, findings: &mut Vec<Finding>) {
        let _ = findings;
    }

    /// Learns at start-up in which store the application keeps what its processes share. It is not called
    /// where there is none but the memory of the process.
    ///
    /// Notes, such as what is not shared and why, are told in the log, and by the command `check`.
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        let _ = (store, notes);
    }
}
