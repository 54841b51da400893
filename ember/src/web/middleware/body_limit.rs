use super::{Middleware, Next};
use crate::base::Error;
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use http_body::Body as _;

/// Bounds the bodies of requests, below the limit that the server has anyway.
///
/// A body whose announced length is too large is refused with status 413 before the handler runs;
/// one that turns out too large fails when it is read, with the same status. The strictest limit
/// on the way holds, so this cannot raise another.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::BodyLimit;
///
/// let app = Ember::new().middleware(BodyLimit::new(64 * 1024));
/// # app.build().unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit {
    bytes: u64,
}

impl BodyLimit {
    /// Lets a body have so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { bytes }
    }
}

impl Middleware for BodyLimit {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        if body.size_hint().lower() > self.bytes {
            let message = "The request body is larger than this address accepts.";
            return Error::payload_too_large(message).into_response();
        }
        next.run(Request::from_parts(parts, body.limit(self.bytes))).await
    }
}
