use super::cookie::Cookie;
use crate::base::Error;
use crate::web::extract::FromRequestParts;
use crate::web::operation::Operation;
use crate::web::request::RequestParts;
use crate::web::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The cookies of a request, and those that its response will set.
///
/// What is set goes out with whatever response the handler makes, an error included. All
/// extractors of a request share one set of cookies.
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
    /// What is set, with the header that does it.
    changes: Vec<(Cookie, http::HeaderValue)>,
}

impl Cookies {
    /// Reads the cookies of a request. Nothing that is set on them reaches a response.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(Arc::new(Mutex::new(Jar { received: parse(headers), changes: Vec::new() })))
    }

    /// The cookies that all extractors of a request share.
    pub(crate) fn shared(parts: &mut RequestParts) -> Self {
        let known = parts.extensions().get::<Shared>().cloned();
        let mut shared =
            known.unwrap_or_else(|| Shared { cookies: Self::of(parts.headers()), goes_out: false });
        if !shared.goes_out && parts.has_response() {
            shared.goes_out = true;
            let cookies = shared.cookies.clone();
            parts.on_response(move |response| cookies.put_into(response));
        }
        let cookies = shared.cookies.clone();
        parts.extensions_mut().insert(shared);
        cookies
    }

    /// Returns the value of a cookie: what was set on this request, or what the client sent.
    ///
    /// Of several that the client sent under one name it is the first.
    pub fn get(&self, name: &str) -> Option<String> {
        let jar = self.jar();
        if let Some((cookie, _)) = jar.changes.iter().rfind(|(cookie, _)| cookie.name() == name) {
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
        jar.changes.retain(|(earlier, _)| !cookie.replaces(earlier));
        jar.changes.push((cookie, header));
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
        for (_, header) in self.jar().changes.drain(..) {
            response.headers_mut().append(SET_COOKIE, header);
        }
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands in the extensions of a request whose cookies were asked for.
#[derive(Clone)]
struct Shared {
    cookies: Cookies,
    /// The response will have what is set.
    goes_out: bool,
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
