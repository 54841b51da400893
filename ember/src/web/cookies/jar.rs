use super::cookie::Cookie;
use crate::base::Error;
use crate::web::extract::FromRequestParts;
use crate::web::operation::Operation;
use crate::web::request::{Lasting, RequestParts, ResponseFuture};
use crate::web::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The cookies of a request, and those that its response will set.
///
/// What is set goes out with whatever response the handler makes, an error included. All
/// extractors of a request share one set of cookies: those of middleware, which may set them
/// before the handler runs and when it has answered, of hooks, of the handler and of catchers.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cookies::{Cookie, Cookies};
///
/// #[get("/visits")]
/// async fn visits(cookies: Cookies) -> ember::Result<String> {
///     let visits = cookies.get("visits").and_then(|text| text.parse().ok()).unwrap_or(0) + 1;
///     cookies.set(Cookie::new("visits", visits.to_string()))?;
///     Ok(format!("visit {visits}"))
/// }
/// ```
#[derive(Clone)]
pub struct Cookies(Arc<Mutex<Jar>>);

#[derive(Default)]
struct Jar {
    /// As they came, in order.
    received: Vec<(String, String)>,
    changes: Vec<Change>,
}

/// A cookie that is set.
struct Change {
    cookie: Cookie,
    /// What sets it.
    header: HeaderValue,
    /// The header stands on a response.
    is_sent: bool,
    /// The header that stands there, where it is to be replaced.
    outdated: Option<HeaderValue>,
}

impl Cookies {
    /// Reads the cookies of a request. Nothing that is set on them reaches a response.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(Arc::new(Mutex::new(Jar { received: parse(headers), changes: Vec::new() })))
    }

    /// The cookies that all extractors of a request share.
    pub(crate) fn shared(parts: &mut RequestParts) -> Self {
        let cookies = parts.shared().map_or_else(|| Self::of(parts.headers()), Self);
        parts.share(&cookies.0);
        cookies
    }

    /// Returns the value of a cookie: what was set on this request, or what the client sent.
    ///
    /// Of several that the client sent under one name it is the first.
    pub fn get(&self, name: &str) -> Option<String> {
        let jar = self.jar();
        let mut changes = jar.changes.iter().map(|change| &change.cookie);
        if let Some(cookie) = changes.rfind(|cookie| cookie.name() == name) {
            return Some(cookie.value().to_owned()).filter(|_| !is_removed(cookie));
        }
        jar.received.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// The names of the cookies that the client sent.
    pub fn names(&self) -> Vec<String> {
        self.jar().received.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Has the client keep a cookie.
    ///
    /// # Errors
    /// A 500 when browsers would not keep it: its name, path or domain cannot stand in a header,
    /// it is larger than 4,096 bytes, or its attributes contradict each other.
    pub fn set(&self, cookie: Cookie) -> Result<(), Error> {
        let header = cookie.header()?;
        let mut jar = self.jar();
        let replaced = jar.changes.extract_if(.., |change| cookie.replaces(&change.cookie)).last();
        let outdated = replaced.and_then(|change| match change.is_sent {
            true => Some(change.header),
            false => change.outdated,
        });
        jar.changes.push(Change { cookie, header, is_sent: false, outdated });
        Ok(())
    }

    /// Has the client forget a cookie: a name, or a [`Cookie`] with the path and the domain with
    /// which it was set.
    ///
    /// # Errors
    /// As [`Cookies::set`].
    pub fn remove(&self, cookie: impl Into<Cookie>) -> Result<(), Error> {
        self.set(cookie.into().removed())
    }

    fn put_into(&self, response: &mut Response) {
        for change in self.jar().changes.iter_mut().filter(|change| !change.is_sent) {
            let outdated = change.outdated.take();
            set_cookie(response.headers_mut(), change.header.clone(), outdated.as_ref());
            change.is_sent = true;
        }
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a cookie on a response: in place of the header that was put there for it before, as there is one for each
/// name (RFC 6265 §4.1.1).
pub(crate) fn set_cookie(
    headers: &mut HeaderMap,
    header: HeaderValue,
    outdated: Option<&HeaderValue>,
) {
    let all = || headers.get_all(SET_COOKIE).iter();
    if outdated.is_some_and(|outdated| all().any(|known| known == outdated)) {
        let others: Vec<_> = all().filter(|known| Some(*known) != outdated).cloned().collect();
        headers.remove(SET_COOKIE);
        headers.extend(others.into_iter().map(|other| (SET_COOKIE, other)));
    }
    headers.append(SET_COOKIE, header);
}

impl Lasting for Mutex<Jar> {
    fn put_on(self: Arc<Self>, mut response: Response) -> ResponseFuture {
        Cookies(self).put_into(&mut response);
        Box::pin(std::future::ready(response))
    }
}

impl FromRequestParts for Cookies {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(Self::shared(parts))
    }

    fn describe(operation: &mut Operation) {
        operation.touches_response();
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cookies").field(&self.names()).finish()
    }
}

fn is_removed(cookie: &Cookie) -> bool {
    *cookie == cookie.clone().removed()
}

/// Reads the `Cookie` headers, of which HTTP/2 may send several (RFC 9113 §8.2.3).
fn parse(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = values.flat_map(|value| value.split(|byte| *byte == b';'));
    // Browsers send UTF-8. What is no text may be of another application of the host, and spoils no other cookie.
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), decode(value.trim()))).collect()
}

/// Undoes the encoding of a value; one that others wrote differently is taken as it is.
fn decode(value: &str) -> String {
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = unquoted.unwrap_or(value);
    percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(headers: &[&str]) -> Cookies {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(COOKIE, header.parse().unwrap());
        }
        Cookies::of(&map)
    }

    fn set_cookies(cookies: &Cookies) -> Vec<String> {
        let mut response = Response::default();
        cookies.put_into(&mut response);
        let headers = response.headers().get_all(SET_COOKIE).iter();
        headers.map(|header| header.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn reads_every_spelling() {
        let cookies = cookies(&["a=1; b=\"two\";c=x%20y=z; a=2;;nonsense; d=", "e=100%; f=%ff"]);
        let get = |name| cookies.get(name);
        assert_eq!(get("a").as_deref(), Some("1"), "the first of a name");
        assert_eq!(get("b").as_deref(), Some("two"));
        assert_eq!(get("c").as_deref(), Some("x y=z"));
        assert_eq!(get("d").as_deref(), Some(""));
        assert_eq!(get("e").as_deref(), Some("100%"));
        assert_eq!(get("f").as_deref(), Some("%ff"));
        assert_eq!(get("nonsense"), None);
    }

    #[test]
    fn what_is_no_text_spoils_no_other_cookie() {
        let mut headers = HeaderMap::new();
        let sent = b"a=1; name=Jos\xc3\xa9; old=Jos\xe9; b=2";
        headers.insert(COOKIE, HeaderValue::from_bytes(sent).unwrap());
        let cookies = Cookies::of(&headers);
        assert_eq!(cookies.names(), ["a", "name", "b"]);
        assert_eq!(cookies.get("name").as_deref(), Some("José"));
        assert_eq!(cookies.get("b").as_deref(), Some("2"));
    }

    #[test]
    fn what_is_set_is_seen_and_sent_once() {
        let cookies = cookies(&["a=1; b=2"]);
        cookies.set(Cookie::new("a", "3")).unwrap();
        cookies.set(Cookie::new("a", "4")).unwrap();
        cookies.remove("b").unwrap();
        assert_eq!((cookies.get("a").as_deref(), cookies.get("b")), (Some("4"), None));
        let sent = set_cookies(&cookies);
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert!(sent[0].starts_with("a=4; Path=/;"));
        assert!(sent[1].starts_with("b=; Path=/; Max-Age=0;"));
        assert_eq!(cookies.get("a").as_deref(), Some("4"), "it is still set");
        assert!(set_cookies(&cookies).is_empty());
    }

    #[test]
    fn what_is_set_again_replaces_what_was_sent() {
        let cookies = cookies(&[]);
        let mut response = Response::default();
        for (name, value) in [("a", "1"), ("b", "1")] {
            cookies.set(Cookie::new(name, value)).unwrap();
        }
        cookies.put_into(&mut response);
        cookies.set(Cookie::new("a", "2")).unwrap();
        cookies.set(Cookie::new("a", "3")).unwrap();
        cookies.put_into(&mut response);
        let headers = response.headers().get_all(SET_COOKIE).iter();
        let pairs: Vec<_> = headers.map(|header| &header.to_str().unwrap()[..3]).collect();
        assert_eq!(pairs, ["b=1", "a=3"]);
    }

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", " ;,\\\"%", "naïve ☃", "%41", "a=b&c"] {
            let cookie = Cookie::new("x", text).to_string();
            let pair = cookie.split(';').next().unwrap();
            assert_eq!(cookies(&[pair]).get("x").as_deref(), Some(text));
        }
    }
}
