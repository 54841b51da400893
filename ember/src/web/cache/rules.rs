use crate::web::principal::Principal;
use crate::web::request::{OriginalUri, RequestParts, Touched};
use crate::web::response::Response;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, HeaderMap, HeaderName, RANGE, SET_COOKIE, VARY,
};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Body as _;
use std::fmt;
use std::sync::Arc;

/// The largest body that is kept, in bytes.
const MAX_BODY: u64 = 1 << 20;

type KeyFn = dyn Fn(&RequestParts) -> Option<String> + Send + Sync;

/// Under which key an answer is kept, and by which headers it differs.
///
/// Without a key of its own an answer is kept under its path and query, for each host apart, and
/// for each prefix under which the application is [mounted](crate::web::Route::mount). A request
/// with `Authorization`, `Cookie` or a [`Principal`] is never answered from the cache. One with a
/// body never is, whatever the key.
#[derive(Clone, Default)]
pub struct CacheRules {
    key: Option<Arc<KeyFn>>,
    vary: Vec<HeaderName>,
    max_size: Option<u64>,
}

impl CacheRules {
    /// The rules when nothing is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps answers under a key of their own, or not at all where it is `None`.
    ///
    /// Answers to authenticated callers are then kept as well: the key must say whose they are. The answers of two
    /// routes stay apart, whatever their keys; forgetting a key forgets it on each of them.
    #[must_use]
    pub fn key(
        mut self,
        key: impl Fn(&RequestParts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Arc::new(key));
        self
    }

    /// Keeps an answer for each value of these request headers.
    #[must_use]
    pub fn vary(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.vary.extend(headers);
        self
    }

    /// Sets how large an answer may be to be kept, in bytes with its headers. No more than 1 MiB of
    /// body is kept in any case.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Tells whether the engine has room for an answer of this size.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.max_size.is_none_or(|most| bytes <= most)
    }

    /// The key of a request; `None` if its answer must not come from the cache.
    ///
    /// What was chosen comes first, then a line for each thing by which answers differ, so that all
    /// variants of a key begin alike.
    pub(super) fn key_of(&self, parts: &RequestParts) -> Option<String> {
        if !may_ask(parts.head()) {
            return None;
        }
        let mut key = match &self.key {
            Some(key) => {
                let mut key = key(parts)?;
                // Several routes may have the cache, or ones in the same store.
                key.push('\n');
                key.push_str(parts.pattern().unwrap_or_default());
                key
            }
            None if belongs_to_somebody(parts.head()) => return None,
            None => parts.uri().path_and_query().map(ToString::to_string)?,
        };
        key.push('\n');
        key.push_str(host(parts.head()));
        // A line in any case: clients write the lines behind it.
        key.push('\n');
        key.push_str(OriginalUri::prefix(parts.head()));
        for name in &self.vary {
            for value in parts.headers().get_all(name) {
                key.push('\n');
                key.push_str(&String::from_utf8_lossy(value.as_bytes()));
            }
            key.push('\n');
        }
        Some(key)
    }

    /// Tells whether an answer may be kept: a success, whole, small, and not for one caller only.
    pub(super) fn may_keep(&self, response: &Response) -> bool {
        let headers = response.headers();
        response.status().is_success()
            && response.status() != StatusCode::PARTIAL_CONTENT
            && !headers.contains_key(SET_COOKIE)
            && response.extensions().get::<Touched>().is_none()
            && response.body().size_hint().exact().is_some_and(|length| length <= MAX_BODY)
            && !forbids(headers)
            && self.varies_as_said(headers)
    }

    /// An answer that differs by a header which is no part of the key would be given to the wrong caller.
    fn varies_as_said(&self, headers: &HeaderMap) -> bool {
        list(headers, VARY)
            .all(|name| self.vary.iter().any(|known| name.eq_ignore_ascii_case(known.as_str())))
    }
}

impl fmt::Debug for CacheRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheRules")
            .field("own_key", &self.key.is_some())
            .field("vary", &self.vary)
            .field("max_size", &self.max_size)
            .finish()
    }
}

/// Tells whether a request can be answered by a whole answer that was given before.
pub(super) fn may_ask(head: &Parts) -> bool {
    matches!(head.method, Method::GET | Method::HEAD) && !head.headers.contains_key(RANGE)
}

/// Tells whether the answer may depend on who asks.
pub(super) fn belongs_to_somebody(head: &Parts) -> bool {
    let headers = &head.headers;
    headers.contains_key(AUTHORIZATION)
        || headers.contains_key(COOKIE)
        || head.extensions.get::<Principal>().is_some()
}

/// The host of a request whose answer is whole and the same for everybody; `None` for any other.
///
/// It is [`may_ask`], [`belongs_to_somebody`] and [`host`] by one look at each header, which takes less than
/// to look four of them up.
pub(super) fn host_for_everybody(head: &Parts) -> Option<&str> {
    if !matches!(head.method, Method::GET | Method::HEAD)
        || head.extensions.get::<Principal>().is_some()
    {
        return None;
    }
    let mut host = None;
    for (name, value) in &head.headers {
        match *name {
            RANGE | AUTHORIZATION | COOKIE => return None,
            HOST if host.is_none() => host = Some(value),
            _ => {}
        }
    }
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let header = || host.and_then(|host| host.to_str().ok());
    Some(authority.or_else(header).unwrap_or_default())
}

/// The host that a request is for, as it was sent.
pub(super) fn host(head: &Parts) -> &str {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let header = || head.headers.get(HOST).and_then(|host| host.to_str().ok());
    authority.or_else(header).unwrap_or_default()
}

/// Tells whether the answer itself says that it must not be used again (RFC 9111 §5.2.2).
fn forbids(headers: &HeaderMap) -> bool {
    list(headers, CACHE_CONTROL).any(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let is = |known: &str| name.trim().eq_ignore_ascii_case(known);
        let is_zero = value.trim().trim_matches('"') == "0";
        is("no-store")
            || is("no-cache")
            || is("private")
            || ((is("max-age") || is("s-maxage")) && is_zero)
    })
}

/// The entries of a header that is a list.
fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::response::IntoResponse as _;

    #[track_caller]
    fn kept(headers: &[(&'static str, &'static str)], expected: bool) {
        let rules = CacheRules::new().vary([http::header::ACCEPT_LANGUAGE]);
        let mut response = "answer".into_response();
        for (name, value) in headers {
            response.headers_mut().append(*name, http::HeaderValue::from_static(value));
        }
        assert_eq!(rules.may_keep(&response), expected, "{headers:?}");
    }

    #[test]
    fn one_look_at_the_headers_tells_the_same() {
        let lines = [
            ("host", "x.example"),
            ("host", "y.example"),
            ("accept", "*/*"),
            ("range", "bytes=0-1"),
            ("cookie", "a=b"),
            ("authorization", "Bearer a"),
        ];
        for method in [Method::GET, Method::HEAD, Method::POST] {
            for target in ["/a", "http://z.example/a"] {
                for chosen in 0..1_u32 << lines.len() {
                    let mut request = http::Request::builder().method(method.clone()).uri(target);
                    for (at, (name, value)) in lines.into_iter().enumerate() {
                        if chosen & (1 << at) != 0 {
                            request = request.header(name, value);
                        }
                    }
                    let (head, ()) = request.body(()).unwrap().into_parts();
                    let asks = may_ask(&head) && !belongs_to_somebody(&head);
                    let expected = asks.then(|| host(&head));
                    assert_eq!(host_for_everybody(&head), expected, "{head:?}");
                }
            }
        }
        let (mut head, ()) = http::Request::new(()).into_parts();
        assert_eq!(host_for_everybody(&head), Some(""));
        head.extensions.insert(Principal::new("somebody"));
        assert_eq!(host_for_everybody(&head), None);
    }

    #[test]
    fn answers_say_themselves_whether_they_may_be_kept() {
        kept(&[], true);
        kept(&[("cache-control", "public, max-age=60")], true);
        kept(&[("cache-control", "public, Max-Age=0")], false);
        kept(&[("cache-control", "No-Store")], false);
        kept(&[("cache-control", "no-cache")], false);
        kept(&[("cache-control", "private=\"x-secret\"")], false);
        kept(&[("set-cookie", "a=b")], false);
        kept(&[("vary", "Accept-Language")], true);
        kept(&[("vary", "accept-language, origin")], false);
        kept(&[("vary", "*")], false);
    }
}
