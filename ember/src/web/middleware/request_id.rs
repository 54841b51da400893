use super::{Middleware, Next};
use crate::base::{Error, random_id};
use crate::web::extract::FromRequestParts;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::Arc;

/// Gives each request an id, by which its traces in several services are found together.
///
/// An id that the client or a proxy sends in `x-request-id` is kept if it is well formed: 1 to
/// 128 letters, digits and `-_.:+/=@`, so that it can do no harm in a log. Otherwise 128 random
/// bits are made. Handlers take it as [`RequestId`], the response carries it in the same header,
/// and so does the span of [`AccessLog`](super::AccessLog), on whichever side that stands.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::{RequestId, RequestIds};
///
/// #[get("/which")]
/// async fn which(id: RequestId) -> String {
///     id.to_string()
/// }
///
/// let app = ember::app!().middleware(RequestIds::new());
/// # app.build().unwrap();
/// ```
#[doc(alias = "RequestIDMiddleware")]
#[derive(Debug, Clone)]
pub struct RequestIds {
    header: HeaderName,
    keep: bool,
}

impl RequestIds {
    /// Ids in the header `x-request-id`.
    pub fn new() -> Self {
        Self { header: HeaderName::from_static("x-request-id"), keep: true }
    }

    /// Sets the header.
    #[must_use]
    pub fn header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self
    }

    /// Makes an id for every request, and keeps none that is sent.
    #[must_use]
    pub fn always_new(mut self) -> Self {
        self.keep = false;
        self
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for RequestIds {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        let sent = request.header(&self.header).filter(|id| self.keep && is_well_formed(id));
        let id = match sent.map(str::to_owned).map_or_else(random_id, Ok) {
            Ok(id) => RequestId(id.into()),
            Err(error) => return error.into_response(),
        };
        tracing::Span::current().record("request_id", id.as_str());
        // A well-formed id and a random one are always header values.
        let value = HeaderValue::try_from(id.as_str()).ok();
        request.extensions_mut().insert(id);
        if let Some(value) = value.clone() {
            request.headers_mut().insert(self.header.clone(), value);
        }
        let mut response = next.run(request).await;
        if let Some(value) = value {
            response.headers_mut().insert(self.header.clone(), value);
        }
        response
    }
}

fn is_well_formed(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&byte);
    (1..=128).contains(&id.len()) && id.bytes().all(allowed)
}

/// The id of a request, as [`RequestIds`] gave it.
///
/// As an argument of a handler it fails with status 500 where no such middleware runs; an
/// `Option<RequestId>` is `None` there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromRequestParts for RequestId {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let missing = || Error::internal("no `RequestIds` middleware gives requests an id");
        parts.extensions().get().cloned().ok_or_else(missing)
    }
}

impl FromRequestParts for Option<RequestId> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(parts.extensions().get().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_do_harm_are_not_well_formed() {
        for id in ["a", "0af7651916cd43dd", "a-b_c.d:e+f/g=h@i", &"x".repeat(128)] {
            assert!(is_well_formed(id), "{id}");
        }
        for id in ["", "a b", "a\nb", "a;b", "\"a\"", "ä", "<b>", &"x".repeat(129)] {
            assert!(!is_well_formed(id), "{id}");
        }
    }
}
