use super::bearer_auth::challenge;
use super::exclude::Excluded;
use super::{Middleware, Next};
use crate::base::{Error, Finding};
use crate::web::operation::{Operation, Security};
use crate::web::principal::Principal;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{IntoResponse, Response};
use http::HeaderName;
use http::header::WWW_AUTHENTICATE;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// Lets nobody pass without a key that is known.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::ApiKeyAuth;
///
/// let auth = ApiKeyAuth::new().key("billing", "kB…long and random…").key("reports", "tQ…another…");
/// let app = Ember::new().middleware(auth);
/// # app.build().unwrap();
/// ```
///
/// The key is expected in the header `x-api-key`, and its name becomes the id of the
/// [`Principal`]. Keys are kept and compared as SHA-256 digests, each time all of them and in
/// constant time, so that neither their bytes nor their length nor their order can be measured.
///
/// A missing and a wrong key are both answered with status 401.
#[doc(alias = "APIKeyMiddleware")]
#[derive(Clone)]
pub struct ApiKeyAuth {
    keys: Vec<(String, [u8; 32])>,
    place: Place,
    excluded: Excluded,
    optional: bool,
    has_empty_key: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Header(HeaderName),
    Query(String),
}

impl ApiKeyAuth {
    /// Expects keys in the header `x-api-key`, and knows none yet.
    pub fn new() -> Self {
        Self {
            keys: Vec::new(),
            place: Place::Header(HeaderName::from_static("x-api-key")),
            excluded: Excluded::default(),
            optional: false,
            has_empty_key: false,
        }
    }

    /// Adds a key and the name of whom it belongs to. Somebody may have several.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>, key: impl AsRef<str>) -> Self {
        let key = key.as_ref();
        self.has_empty_key |= key.is_empty();
        self.keys.push((name.into(), digest(key)));
        self
    }

    /// Expects keys in this header.
    #[must_use]
    pub fn header(mut self, name: HeaderName) -> Self {
        self.place = Place::Header(name);
        self
    }

    /// Expects keys in this parameter of the query.
    ///
    /// Addresses end up in logs and histories, so a header is the better place.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.place = Place::Query(name.into());
        self
    }

    /// Lets requests for these paths pass: exact ones, and `/prefix/*` for all below.
    #[must_use]
    pub fn exclude_paths<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.excluded.add(paths);
        self
    }

    /// Lets requests without a key pass, as nobody's. A wrong key is refused all the same.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Finds whom a key belongs to, in a time that does not depend on it.
    fn find(&self, key: &[u8]) -> Option<&str> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (index, (_, known)) in (0_u64..).zip(&self.keys) {
            let same = digest.ct_eq(known);
            place.conditional_assign(&index, same);
            found |= same;
        }
        let (name, _) = self.keys.get(usize::try_from(place).ok()?)?;
        bool::from(found).then_some(name)
    }

    fn authenticate(&self, request: &RequestParts) -> Result<Option<Principal>, Error> {
        let sent = match &self.place {
            Place::Header(name) => {
                only(request.headers().get_all(name).iter().map(|value| value.as_bytes().to_vec()))
            }
            Place::Query(name) => {
                let query = form_urlencoded::parse(request.query().unwrap_or_default().as_bytes());
                only(
                    query
                        .filter(|(key, _)| key == name)
                        .map(|(_, value)| value.into_owned().into_bytes()),
                )
            }
        };
        match sent {
            Sent::Nothing if self.optional => Ok(None),
            Sent::Nothing => Err(Error::unauthorized("An API key is required.")),
            Sent::Several => Err(Error::bad_request("The request has more than one API key.")),
            Sent::Key(key) => match self.find(&key) {
                Some(name) => Ok(Some(Principal::new(name))),
                None => Err(Error::unauthorized("The API key is not valid.")),
            },
        }
    }
}

enum Sent {
    Nothing,
    Key(Vec<u8>),
    Several,
}

fn only(mut keys: impl Iterator<Item = Vec<u8>>) -> Sent {
    match (keys.next(), keys.next()) {
        (None, _) => Sent::Nothing,
        (Some(key), None) => Sent::Key(key),
        (Some(_), Some(_)) => Sent::Several,
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

impl Default for ApiKeyAuth {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for ApiKeyAuth {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        if self.excluded.contains(request.path()) {
            return next.run(request).await;
        }
        match self.authenticate(&request) {
            Ok(principal) => {
                if let Some(principal) = principal {
                    request.extensions_mut().insert(principal);
                }
                next.run(request).await
            }
            Err(error) => {
                let mut response = error.into_response();
                if let Some(value) = response.headers_mut().get_mut(WWW_AUTHENTICATE) {
                    *value = challenge("ApiKey", "api", "");
                }
                response
            }
        }
    }

    fn check(&self, findings: &mut Vec<Finding>) {
        if self.keys.is_empty() {
            let text =
                "`ApiKeyAuth` knows no key, so nobody could pass; add one with `.key(name, key)`";
            findings.push(Finding::new(text));
        }
        if self.has_empty_key {
            findings.push(Finding::new(
                "`ApiKeyAuth` was given an empty key, which anybody could guess",
            ));
        }
    }

    fn describe(&self, operation: &mut Operation) {
        // Which routes it leaves alone is not known here, so nothing is better than something wrong.
        if self.excluded.is_empty() && !self.optional {
            operation.security(match &self.place {
                Place::Header(name) => Security::api_key_header(name.as_str()),
                Place::Query(name) => Security::api_key_query(name),
            });
        }
        operation.problems();
    }
}

/// Names, and no keys.
impl fmt::Debug for ApiKeyAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyAuth")
            .field("names", &self.keys.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("place", &self.place)
            .field("excluded", &self.excluded)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_and_never_shown() {
        let auth = ApiKeyAuth::new().key("a", "first-key").key("b", "second-key");
        assert_eq!(auth.find(b"first-key"), Some("a"));
        assert_eq!(auth.find(b"second-key"), Some("b"));
        for key in ["", "first-ke", "first-key ", "third-key"] {
            assert_eq!(auth.find(key.as_bytes()), None, "{key}");
        }
        let shown = format!("{auth:?}");
        assert!(shown.contains("\"a\"") && !shown.contains("first") && !shown.contains("second"));
    }
}
