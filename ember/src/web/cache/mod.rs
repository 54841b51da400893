//! Answers that are kept, so that the handler need not run again.
//!
//! A [`CacheEngine`] keeps; the rules of what may be kept stand here and hold for
//! every engine. Nothing that belongs to one caller is ever kept.

mod ttl;

pub use ttl::TtlCache;

use super::body::Body;
use super::request::{Request, Touched};
use super::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderMap, SET_COOKIE};
use http::{Method, StatusCode};
use http_body::Body as _;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Keeps answers under their address.
pub trait CacheEngine: Send + Sync + 'static {
    /// Returns what is kept under a key and has not expired.
    fn get(&self, key: &str) -> impl Future<Output = Option<CachedResponse>> + Send;

    /// Keeps an answer.
    fn put(&self, key: &str, response: CachedResponse) -> impl Future<Output = ()> + Send;

    /// Forgets what is kept under a key.
    fn invalidate(&self, key: &str) -> impl Future<Output = ()> + Send;
}

/// An answer that is kept: its bytes are shared, not copied.
#[derive(Debug, Clone)]
pub struct CachedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl CachedResponse {
    /// Returns the answer as it is sent again.
    pub fn to_response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// The largest body that is kept, in bytes.
const MAX_BODY: u64 = 1 << 20;

/// A cache engine whose type is forgotten: routes with different engines stand in one table.
#[derive(Clone)]
pub(crate) struct Cache(Arc<dyn BoxedEngine>);

impl Cache {
    pub(crate) fn new(engine: impl CacheEngine) -> Self {
        Self(Arc::new(engine))
    }

    /// Answers from the cache, or runs the handler and keeps its answer.
    pub(crate) async fn answer<F>(
        &self,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        if !may_ask(&request) {
            return run(request).await;
        }
        let key = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        if let Some(kept) = self.0.get(&key).await {
            return kept.to_response();
        }
        let response = run(request).await;
        if !may_keep(&response) {
            return response;
        }
        let (head, body) = response.into_parts();
        // The length is known and small, so this only moves bytes that are at hand.
        let Ok(body) = body.collect().await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let kept = CachedResponse {
            status: head.status,
            headers: head.headers.clone(),
            body: body.clone(),
        };
        self.0.put(&key, kept).await;
        Response::from_parts(head, body.into())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

/// Tells whether the answer to a request may come from a cache: it must not depend on who asks.
fn may_ask(request: &Request) -> bool {
    let headers = request.headers();
    matches!(*request.method(), Method::GET | Method::HEAD)
        && !headers.contains_key(AUTHORIZATION)
        && !headers.contains_key(COOKIE)
}

/// Tells whether an answer may be kept: a success, whole, small, and meant for everybody.
fn may_keep(response: &Response) -> bool {
    let headers = response.headers();
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = directives.flat_map(|value| value.split(',')).map(str::trim);
    response.status().is_success()
        && !headers.contains_key(SET_COOKIE)
        && response.extensions().get::<Touched>().is_none()
        && response.body().size_hint().exact().is_some_and(|length| length <= MAX_BODY)
        && !directives.any(|directive| matches!(directive, "no-store" | "private"))
}

/// The boxed twin of [`CacheEngine`].
trait BoxedEngine: Send + Sync {
    fn get<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<CachedResponse>> + Send + 'a>>;
    fn put<'a>(
        &'a self,
        key: &'a str,
        response: CachedResponse,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl<E: CacheEngine> BoxedEngine for E {
    fn get<'a>(
        &'a self,
        key: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<CachedResponse>> + Send + 'a>> {
        Box::pin(CacheEngine::get(self, key))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        response: CachedResponse,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(CacheEngine::put(self, key, response))
    }
}
