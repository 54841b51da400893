use super::exclude::Excluded;
use super::{Middleware, Next};
use crate::base::{Error, ErrorKind, Result};
use crate::web::operation::{Operation, Security};
use crate::web::principal::Principal;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type Verdict = Pin<Box<dyn Future<Output = Result<Option<Principal>>> + Send>>;
type Verify = dyn Fn(&str) -> Option<Principal> + Send + Sync;
type VerifyLater = dyn Fn(String) -> Verdict + Send + Sync;

/// Lets nobody pass without a bearer token (RFC 6750).
///
/// ```
/// use ember::prelude::*;
/// use ember::Principal;
/// use ember::web::middleware::BearerAuth;
///
/// #[get("/me")]
/// async fn me(principal: Principal) -> String {
///     principal.id
/// }
///
/// let auth = BearerAuth::new(|token| (token == "ada's").then(|| Principal::new("ada")))
///     .exclude_paths(["/healthz", "/public/*"]);
/// let app = ember::app!().middleware(auth);
/// # app.build().unwrap();
/// ```
///
/// What the token belongs to is left for extractors as a [`Principal`]. A closure that compares
/// tokens itself should do so in constant time; [`ApiKeyAuth`](super::ApiKeyAuth) does.
///
/// The answers are those of RFC 6750 §3: 401 without a token; 401 `invalid_token` with one that
/// is refused; 400 `invalid_request` where the header is malformed or sent twice; 403
/// `insufficient_scope` where the closure says [`Error::forbidden`]. Each has a challenge with the
/// realm. `Cors`, if any, goes outside of this, because browsers send no
/// token with a preflight request.
///
/// In the OpenAPI document, and on the page that shows it, the routes within need a token, unless paths are excluded
/// or the token is optional: which routes need it then is said by `security`, an option of routes and blueprints.
#[doc(alias = "BearerAuthMiddleware")]
#[derive(Clone)]
pub struct BearerAuth {
    verify: Verifier,
    realm: String,
    excluded: Excluded,
    optional: bool,
}

#[derive(Clone)]
enum Verifier {
    Sync(Arc<Verify>),
    Async(Arc<VerifyLater>),
}

impl BearerAuth {
    /// Asks a closure whom a token belongs to.
    pub fn new(verify: impl Fn(&str) -> Option<Principal> + Send + Sync + 'static) -> Self {
        Self::with(Verifier::Sync(Arc::new(verify)))
    }

    /// Asks an async closure whom a token belongs to, such as one that looks into a database.
    ///
    /// `None` refuses the token; an error is answered as it is, and [`Error::forbidden`] as a
    /// token that may not do this.
    pub fn verify_with<F, Fut>(verify: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Principal>>> + Send + 'static,
    {
        Self::with(Verifier::Async(Arc::new(move |token| Box::pin(verify(token)))))
    }

    fn with(verify: Verifier) -> Self {
        let excluded = Excluded::default();
        Self { verify, realm: "api".to_owned(), excluded, optional: false }
    }

    /// Sets the realm, which clients are told in a challenge; otherwise `api`.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Lets requests for these paths pass: exact ones, and `/prefix/*` for all below.
    #[must_use]
    pub fn exclude_paths<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.excluded.add(paths);
        self
    }

    /// Lets requests without a token pass, as nobody's. A wrong token is refused all the same.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Finds out who asks. `None` where nobody does, and need not.
    async fn authenticate(&self, request: &RequestParts) -> Result<Option<Principal>, Refusal> {
        let token = match bearer_token(request).map_err(Refusal::Malformed)? {
            Some(token) => token,
            None if self.optional => return Ok(None),
            None => return Err(Refusal::Missing),
        };
        let verdict = match &self.verify {
            Verifier::Sync(verify) => verify(token),
            Verifier::Async(verify) => match verify(token.to_owned()).await {
                Err(error) if error.kind() == ErrorKind::Forbidden => {
                    return Err(Refusal::Scope(error));
                }
                verdict => verdict.map_err(Refusal::Failed)?,
            },
        };
        verdict.map(Some).ok_or(Refusal::Invalid)
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let (code, error) = match refusal {
            Refusal::Missing => ("", Error::unauthorized("A bearer token is required.")),
            Refusal::Invalid => {
                ("invalid_token", Error::unauthorized("The bearer token is not valid."))
            }
            Refusal::Malformed(message) => ("invalid_request", Error::bad_request(message)),
            Refusal::Scope(error) => ("insufficient_scope", error),
            Refusal::Failed(error) => return error.into_response(),
        };
        let mut response = error.into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge("Bearer", &self.realm, code));
        response
    }
}

enum Refusal {
    Missing,
    Invalid,
    Malformed(&'static str),
    Scope(Error),
    Failed(Error),
}

/// The token of a request (RFC 6750 §2.1). Another scheme is no token, and none of our business.
///
/// # Errors
/// What is wrong with the header, as a sentence. Of two headers nobody can tell which one counts.
pub(crate) fn bearer_token(request: &RequestParts) -> Result<Option<&str>, &'static str> {
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("The request has more than one `Authorization` header.");
    }
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    match is_token68(token) {
        true => Ok(Some(token)),
        false => Err("The `Authorization` header holds no bearer token."),
    }
}

/// `token68` of RFC 9110 §11.2, which RFC 6750 calls `b64token`.
pub(crate) fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(allowed)
}

/// The value of a `WWW-Authenticate` header; `code` may be empty.
pub(super) fn challenge(scheme: &str, realm: &str, code: &str) -> HeaderValue {
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!("{scheme} realm=\"{realm}\"");
    if !code.is_empty() {
        text.push_str(", error=\"");
        text.push_str(code);
        text.push('"');
    }
    // A realm that cannot stand in a header is left out.
    HeaderValue::try_from(text)
        .or_else(|_| HeaderValue::try_from(scheme))
        .unwrap_or(HeaderValue::from_static("Bearer"))
}

impl Middleware for BearerAuth {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        if self.excluded.contains(request.path()) {
            return next.run(request).await;
        }
        match self.authenticate(&request).await {
            Ok(principal) => {
                if let Some(principal) = principal {
                    request.extensions_mut().insert(principal);
                }
                next.run(request).await
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn describe(&self, operation: &mut Operation) {
        // Which routes it leaves alone is not known here, so nothing is better than something wrong.
        if self.excluded.is_empty() && !self.optional {
            operation.security(Security::bearer());
        }
        operation.problems();
    }
}

impl fmt::Debug for BearerAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerAuth")
            .field("realm", &self.realm)
            .field("excluded", &self.excluded)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_other_text() {
        for token in ["a", "abc.DEF-1_2~3+4/5", "YQ=="] {
            assert!(is_token68(token), "{token}");
        }
        for token in ["", "=", "a b", "a,b", "a=b", "\"a\"", "ä"] {
            assert!(!is_token68(token), "{token}");
        }
    }

    #[test]
    fn a_realm_cannot_break_out_of_its_quotes() {
        assert_eq!(challenge("Bearer", "a\"b\\", ""), r#"Bearer realm="a\"b\\""#);
        assert_eq!(challenge("Bearer", "a\nb", "x"), "Bearer");
        assert_eq!(challenge("Bearer", "r", "x"), r#"Bearer realm="r", error="x""#);
    }
}
