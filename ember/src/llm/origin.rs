//! Where requests go, and what they look like before their bodies.
//!
//! What is the same for all requests of a provider is made once, with the provider.

use super::error::{Error, ErrorKind};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An address that requests are sent below, and what all of them have in common.
pub(crate) struct Origin {
    /// Without a slash at its end.
    address: String,
    headers: HeaderMap,
    /// Where the last request went, behind the address. The next one mostly goes there as well, and to parse it
    /// takes longer than to write a short request.
    last: Mutex<Option<(String, reqwest::Url)>>,
}

impl Origin {
    /// An address, and the headers of all requests that are sent below it.
    ///
    /// # Errors
    /// When the address is none of HTTP.
    pub(crate) fn new(address: &str, headers: HeaderMap) -> Result<Self, Error> {
        let address = checked_url(address)?;
        let mut all = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (USER_AGENT, EMBER)]);
        all.extend(headers);
        Ok(Self { address, headers: all, last: Mutex::default() })
    }

    /// A request with a JSON body, to a path that begins with a slash.
    ///
    /// # Errors
    /// When no address can end so.
    pub(crate) fn post(&self, path: &str, body: Vec<u8>) -> Result<Outgoing, Error> {
        let mut request = reqwest::Request::new(Method::POST, self.url(path)?);
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = Some(body.into());
        Ok(Outgoing(request))
    }

    fn url(&self, path: &str) -> Result<reqwest::Url, Error> {
        if let Some((known, url)) = &*self.last()
            && known == path
        {
            return Ok(url.clone());
        }
        let url = format!("{}{path}", self.address);
        let unusable = |error: &dyn fmt::Display| {
            Error::new(ErrorKind::Config, format!("`{url}` is not an address: {error}"))
        };
        // What would have to be escaped is refused, and not guessed at.
        url.parse::<Uri>().map_err(|error| unusable(&error))?;
        let parsed: reqwest::Url = url.parse().map_err(|error| unusable(&error))?;
        *self.last() = Some((path.to_owned(), parsed.clone()));
        Ok(parsed)
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, reqwest::Url)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers hold the key, and the address may hold a password.
        let (scheme, rest) = self.address.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (_, host) = host.rsplit_once('@').unwrap_or(("", host));
        write!(f, "{scheme}://{host}{path}")
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

const EMBER: HeaderValue = HeaderValue::from_static(concat!("ember/", env!("CARGO_PKG_VERSION")));

/// A request that is ready to be sent.
pub(crate) struct Outgoing(pub(super) reqwest::Request);

/// An address that requests can be sent to, without a slash at its end.
fn checked_url(url: &str) -> Result<String, Error> {
    let url = url.trim().trim_end_matches('/');
    let parsed = url.parse::<Uri>().ok();
    let usable = parsed.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if usable {
        return Ok(url.to_owned());
    }
    let message = format!("`{url}` is no address of a service: it must be an http or https URL");
    Err(Error::new(ErrorKind::Config, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;

    fn origin(address: &str) -> Origin {
        let mut key = HeaderValue::from_static("Bearer sk-secret");
        key.set_sensitive(true);
        Origin::new(address, HeaderMap::from_iter([(AUTHORIZATION, key)])).unwrap()
    }

    #[test]
    fn requests_go_below_the_address_by_whatever_path() {
        let origin = origin(" https://models.example/v1// ");
        for path in ["/chat/completions", "/chat/completions", "/m:go?alt=sse", "/chat/completions"]
        {
            let Outgoing(request) = origin.post(path, b"{}".to_vec()).unwrap();
            assert_eq!(request.url().as_str(), format!("https://models.example/v1{path}"));
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.body().unwrap().as_bytes(), Some(&b"{}"[..]));
            let headers = request.headers();
            assert_eq!((headers.len(), &headers[CONTENT_TYPE]), (3, &JSON));
            assert!(headers[USER_AGENT] == EMBER && headers[AUTHORIZATION] == "Bearer sk-secret");
            assert!(headers[AUTHORIZATION].is_sensitive());
        }
        assert_eq!(format!("{origin:?}"), "https://models.example/v1");
        let origin = self::origin("https://ann:secret@models.example/v1/@us");
        assert_eq!(format!("{origin:?}"), "https://models.example/v1/@us");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "models.example", "ftp://models.example", "http://", "http:///v1"] {
            let error = Origin::new(address, HeaderMap::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{address}");
        }
        let origin = origin("http://[::1]:8000");
        for path in ["/a b", "/\u{e9}\n"] {
            let error = origin.post(path, Vec::new()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        assert!(origin.post("/a", Vec::new()).is_ok());
    }
}
