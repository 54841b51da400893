use super::{Middleware, Next};
use crate::base::error::BoxError;
use crate::base::{Error, ErrorKind};
use crate::web::body::Body;
use crate::web::limits::RouteLimits;
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use tower_service::Service;

/// Decompresses the bodies of requests: `gzip`, `deflate`, `br` and `zstd`.
///
/// The limit of a body holds for its bytes before and after decompression, so that a small request
/// cannot unfold into a large one: reading beyond it fails with status 413, and no more than a few
/// kilobytes are ever decompressed ahead. A body that is damaged fails with status 400. Another
/// encoding, or several at once, is refused with status 415 and an `Accept-Encoding` that tells
/// what is understood (RFC 9110 §12.5.3).
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::Decompression;
///
/// let app = Ember::new().middleware(Decompression::new());
/// # app.build().unwrap();
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Decompression {}

impl Decompression {
    /// Understands all four encodings.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Middleware for Decompression {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let mut codings = request.headers().get_all(CONTENT_ENCODING).iter();
        let (coding, further) = (codings.next(), codings.next());
        let coding = match (coding.map(HeaderValue::as_bytes), further) {
            (None, _) => return next.run(request).await,
            (Some(name), None) => coding_of(name),
            (Some(_), Some(_)) => None,
        };
        let request = match coding {
            None => return unsupported(),
            Some(coding) => decode(request, coding).await,
        };
        next.run(request).await
    }
}

/// The name under which a coding is known here; `None` for another one.
fn coding_of(name: &[u8]) -> Option<&'static str> {
    let known = [("gzip", "gzip"), ("x-gzip", "gzip"), ("deflate", "deflate"), ("br", "br")];
    let known = known.into_iter().chain([("zstd", "zstd"), ("identity", "identity")]);
    let mut found = known.filter(|(written, _)| name.eq_ignore_ascii_case(written.as_bytes()));
    found.next().map(|(_, coding)| coding)
}

fn unsupported() -> Response {
    let message = "The request body has an encoding that is not supported.";
    let mut response = Error::new(ErrorKind::UnsupportedMediaType, message).into_response();
    let known = HeaderValue::from_static("gzip, deflate, br, zstd");
    response.headers_mut().insert(ACCEPT_ENCODING, known);
    response
}

async fn decode(request: Request, coding: &'static str) -> Request {
    let (mut parts, body) = request.into_parts();
    parts.headers_mut().remove(CONTENT_ENCODING);
    parts.headers_mut().remove(CONTENT_LENGTH);
    // A body that others have made anew has lost its limit.
    let limit = body.allowance().unwrap_or_else(|| {
        RouteLimits::of(&parts).max_body_size.unwrap_or(parts.state().max_body_size)
    });
    // What decompresses responses does it for any body.
    let mut service = tower_http::decompression::Decompression::new(Echo(coding));
    let body = match service.call(http::Request::new(body)).await {
        Ok(response) => response.into_body(),
        Err(never) => match never {},
    };
    let body = body.map_err(move |error: BoxError| -> BoxError {
        let damaged = format!("The request body is no valid {coding}.");
        Error::from_boxed_or(Error::bad_request(damaged), error).into()
    });
    Request::from_parts(parts, Body::new(body).limit(limit))
}

/// Answers with the body that it is given, as one of this encoding.
struct Echo(&'static str);

impl Service<http::Request<Body>> for Echo {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut response = Response::new(request.into_body());
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(self.0));
        ready(Ok(response))
    }
}
