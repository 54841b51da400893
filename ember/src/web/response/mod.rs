//! What a handler may return.
//!
//! Anything that is [`IntoResponse`]: text, bytes, [`Json`], [`Html`], [`Redirect`], a
//! stream of events, a status, tuples that put a status and headers before a body, and a
//! `Result` of these. This module renders; it knows nothing of requests.

mod into_response;
mod html;
mod json;
mod redirect;
mod sse;
mod error;

pub(crate) use error::ErrorSpan;
pub use error::ResponseError;
pub use html::Html;
pub use into_response::{IntoResponse, IntoResponseParts};
pub use json::Json;
pub use redirect::Redirect;
pub(crate) use sse::Ending;
pub use sse::Sse;

/// A response of the `http` crate with a [`Body`](super::Body).
pub type Response<B = super::body::Body> = http::Response<B>;
