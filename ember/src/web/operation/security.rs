use serde_json::{Value, json};
use std::borrow::Cow;

/// A way in which a request proves who makes it.
///
/// It describes; what enforces it is middleware.
///
/// ```
/// use ember::web::Security;
///
/// let key = Security::api_key_header("x-api-key").named("partner");
/// assert_eq!(key.name(), "partner");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Security {
    name: Cow<'static, str>,
    scheme: Value,
    scopes: Vec<Cow<'static, str>>,
}

impl Security {
    /// A token in the header `Authorization: Bearer …` (RFC 6750).
    pub fn bearer() -> Self {
        Self::new("bearer", json!({"type": "http", "scheme": "bearer"}))
    }

    /// A name and a password in the header `Authorization: Basic …` (RFC 7617).
    pub fn basic() -> Self {
        Self::new("basic", json!({"type": "http", "scheme": "basic"}))
    }

    /// A key in a header.
    pub fn api_key_header(header: &str) -> Self {
        Self::new("apiKey", json!({"type": "apiKey", "in": "header", "name": header}))
    }

    /// A key in the query.
    pub fn api_key_query(parameter: &str) -> Self {
        Self::new("apiKey", json!({"type": "apiKey", "in": "query", "name": parameter}))
    }

    /// A cookie.
    pub fn cookie(cookie: &str) -> Self {
        Self::new("cookie", json!({"type": "apiKey", "in": "cookie", "name": cookie}))
    }

    /// A security scheme object of OpenAPI under a name, for a way that has no constructor here.
    pub fn new(name: impl Into<Cow<'static, str>>, scheme: Value) -> Self {
        Self { name: name.into(), scheme, scopes: Vec::new() }
    }

    /// Names it otherwise, so that two of a kind can be told apart.
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Says which scopes are needed.
    #[must_use]
    pub fn scopes(
        mut self,
        scopes: impl IntoIterator<Item = impl Into<Cow<'static, str>>>,
    ) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The name under which the document has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn scheme(&self) -> &Value {
        &self.scheme
    }

    pub(crate) fn all_scopes(&self) -> &[Cow<'static, str>] {
        &self.scopes
    }
}
