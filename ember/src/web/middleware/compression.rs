use super::{Middleware, Next};
use crate::web::body::Body;
use crate::web::request::Request;
use crate::web::response::Response;
use http::HeaderMap;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderValue,
};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use tower_layer::Layer as _;
use tower_service::Service;

/// Compresses responses for clients that understand it: `zstd`, `br`, `gzip` or `deflate`.
///
/// Only types that gain by it are compressed: text, JSON, XML, JavaScript, WebAssembly, SVG and
/// fonts that are not compressed themselves. Never compressed are event streams, which
/// browsers and proxies are to see event by event, nor what is encoded already, parts of files (`Content-Range`), what is
/// marked `no-transform`, and bodies below 1,024 bytes.
///
/// A strong `ETag` becomes a weak one, because the bytes are not the same any more
/// (RFC 9110 §8.8.3), and `Vary: Accept-Encoding` is added to whatever could be compressed.
///
/// Do not compress pages that hold both a secret and text of an attacker's choosing: the length
/// tells how well the two agree (the BREACH attack).
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::Compression;
///
/// let app = Ember::new().middleware(Compression::new());
/// # app.build().unwrap();
/// ```
#[doc(alias = "GZipMiddleware")]
#[doc(alias = "CompressionMiddleware")]
#[derive(Debug, Clone)]
pub struct Compression {
    suitable: Suitable,
}

impl Compression {
    /// Compresses bodies of 1,024 bytes and more, and those whose length is not known.
    pub fn new() -> Self {
        Self { suitable: Suitable { min_size: 1024 } }
    }

    /// Sets from how many bytes on a body is compressed.
    #[must_use]
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.suitable.min_size = bytes;
        self
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for Compression {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let accepted: Vec<_> = request.headers().get_all(ACCEPT_ENCODING).iter().cloned().collect();
        let response = next.run(request).await;
        if response.headers().contains_key(CONTENT_ENCODING) {
            return response;
        }
        // The compressor of the layer, around a service that hands it the response.
        let mut question = http::Request::new(response);
        accepted.into_iter().for_each(|value| {
            question.headers_mut().append(ACCEPT_ENCODING, value);
        });
        let layer = CompressionLayer::new().compress_when(self.suitable);
        let mut response = match layer.layer(Hand).call(question).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        };
        if response.headers().contains_key(CONTENT_ENCODING) {
            weaken(response.headers_mut());
        }
        response
    }
}

/// Answers with the response that is the body of its request.
#[derive(Debug, Clone)]
struct Hand;

impl Service<http::Request<Response>> for Hand {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Response>) -> Self::Future {
        ready(Ok(request.into_body()))
    }
}

/// Makes a strong `ETag` weak.
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get_mut(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        *tag = weak;
    }
}

/// Tells what is worth compressing.
#[derive(Debug, Clone, Copy)]
struct Suitable {
    min_size: u64,
}

impl Predicate for Suitable {
    fn should_compress<B: http_body::Body>(&self, response: &http::Response<B>) -> bool {
        let headers = response.headers();
        let told = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let length = response.body().size_hint().exact().or(told);
        length.is_none_or(|length| length >= self.min_size)
            && headers.get(CONTENT_TYPE).is_some_and(is_compressible)
            && !forbids_transformation(headers)
    }
}

fn forbids_transformation(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',')).map(str::trim);
    directives.any(|directive| directive.eq_ignore_ascii_case("no-transform"))
}

fn is_compressible(media_type: &HeaderValue) -> bool {
    let text = media_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "text/event-stream" {
        return false;
    }
    let others = [
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "application/x-javascript",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "image/x-icon",
    ];
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || others.contains(&essence.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_gain_by_it_are_compressed() {
        let check = |text: &'static str| is_compressible(&HeaderValue::from_static(text));
        for text in [
            "text/html; charset=utf-8",
            "Application/JSON",
            "application/problem+json",
            "image/svg+xml",
        ] {
            assert!(check(text), "{text}");
        }
        for text in [
            "text/event-stream",
            "text/event-stream; charset=utf-8",
            "image/png",
            "application/zip",
            "application/octet-stream",
            "",
        ] {
            assert!(!check(text), "{text}");
        }
    }

    #[test]
    fn strong_tags_become_weak() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("\"a\""));
        weaken(&mut headers);
        weaken(&mut headers);
        assert_eq!(headers[ETAG], "W/\"a\"");
    }
}
