use crate::base::Error;
use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// What a value cannot hold as it is (RFC 6265 §4.1.1, `cookie-octet`), and the sign of encoding.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// How many bytes of name and value browsers keep (RFC 6265 §6.1); they drop a larger cookie silently.
const MAX_SIZE: usize = 4096;

/// A cookie that a client is to keep: `HttpOnly; Secure; SameSite=Lax; Path=/` unless said otherwise.
///
/// A value may be any text: what cannot stand in a header is percent-encoded, and decoded when it
/// comes back. Without [`Cookie::max_age`] the browser forgets the cookie when it is closed.
///
/// ```
/// use ember::base::clock::secs;
/// use ember::web::cookies::Cookie;
///
/// let theme = Cookie::new("theme", "dark").max_age(secs(86_400)).visible_to_scripts();
/// assert_eq!(theme.to_string(), "theme=dark; Path=/; Max-Age=86400; Secure; SameSite=Lax");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    value: String,
    path: String,
    domain: Option<String>,
    max_age: Option<Duration>,
    http_only: bool,
    secure: bool,
    same_site: SameSite,
}

/// With which requests from other sites a cookie is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With those that lead the browser here, such as a link.
    #[default]
    Lax,
    /// With all; browsers want `Secure` with it.
    None,
}

impl Cookie {
    /// A cookie for every path of this host.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: "/".to_owned(),
            domain: None,
            max_age: None,
            http_only: true,
            secure: true,
            same_site: SameSite::Lax,
        }
    }

    /// Sends it with requests for this path and those below only.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sends it to this domain and to those below it; otherwise to this host alone.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets how long the client keeps it, in whole seconds.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets with which requests from other sites it is sent.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sends it over unencrypted connections as well: leaves out `Secure`.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Lets scripts of the page read it: leaves out `HttpOnly`.
    #[must_use]
    pub fn visible_to_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Tells whether the client forgets it after a time.
    pub(crate) fn has_age(&self) -> bool {
        self.max_age.is_some()
    }

    /// Replaces the value.
    pub(crate) fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// The same cookie as one that the client is to forget.
    pub(crate) fn removed(mut self) -> Self {
        self.value.clear();
        self.max_age = Some(Duration::ZERO);
        self
    }

    /// Tells whether one takes the place of the other (RFC 6265 §5.3).
    pub(super) fn replaces(&self, other: &Self) -> bool {
        (&self.name, &self.path, &self.domain) == (&other.name, &other.path, &other.domain)
    }

    /// Writes the value of `Set-Cookie`.
    ///
    /// # Errors
    /// A 500 that says what browsers would refuse.
    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        let fault = |what: &str| Error::internal(format!("the cookie `{}` {what}", self.name));
        let is_attribute =
            |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';');
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(fault("has a name that cannot stand in a header"));
        }
        if !is_attribute(&self.path) || !self.domain.iter().all(|domain| is_attribute(domain)) {
            return Err(fault("has a path or domain that cannot stand in a header"));
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(fault("is for all sites, which browsers allow only with `Secure`"));
        }
        let is_bound = self.secure && self.domain.is_none() && self.path == "/";
        if (self.name.starts_with("__Host-") && !is_bound)
            || (self.name.starts_with("__Secure-") && !self.secure)
        {
            return Err(fault("lacks what the prefix of its name promises"));
        }
        let encoded = utf8_percent_encode(&self.value, ENCODED).map(str::len).sum::<usize>();
        if self.name.len() + encoded > MAX_SIZE {
            return Err(fault("has more than 4,096 bytes"));
        }
        let mut value = HeaderValue::try_from(self.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An empty cookie of this name, as [`Cookies::remove`](super::Cookies::remove) takes it.
impl From<&str> for Cookie {
    fn from(name: &str) -> Self {
        Self::new(name, "")
    }
}

/// As it stands in `Set-Cookie`.
impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, utf8_percent_encode(&self.value, ENCODED))?;
        write!(f, "; Path={}", self.path)?;
        if let Some(domain) = &self.domain {
            write!(f, "; Domain={domain}")?;
        }
        if let Some(age) = self.max_age {
            write!(f, "; Max-Age={}", age.as_secs())?;
        }
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        if self.secure {
            f.write_str("; Secure")?;
        }
        write!(f, "; SameSite={:?}", self.same_site)
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut attributes = String::new();
        write!(attributes, "{}", self.clone().with_value("…"))?;
        f.debug_tuple("Cookie").field(&attributes.replace("%E2%80%A6", "…")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cookie: Cookie) -> Result<String, String> {
        let header = cookie.header().map_err(|error| error.to_string())?;
        Ok(header.to_str().unwrap().to_owned())
    }

    #[test]
    fn is_safe_by_default_and_encodes_its_value() {
        let cookie = Cookie::new("note", "a; b=\"ü\" 100%\r\n");
        assert_eq!(
            header(cookie).unwrap(),
            "note=a%3B%20b=%22%C3%BC%22%20100%25%0D%0A; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        let cookie = Cookie::new("a", "1").path("/app").domain("example.org").insecure();
        assert_eq!(
            header(cookie.same_site(SameSite::Strict)).unwrap(),
            "a=1; Path=/app; Domain=example.org; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn refuses_what_browsers_would_not_keep() {
        for cookie in [
            Cookie::new("", "1"),
            Cookie::new("a b", "1"),
            Cookie::new("a=b", "1"),
            Cookie::new("a\r\nset-cookie: x", "1"),
            Cookie::new("a", "1").path("/; Domain=evil.org"),
            Cookie::new("a", "1").domain("x\r\n"),
            Cookie::new("a", "1").insecure().same_site(SameSite::None),
            Cookie::new("__Host-a", "1").path("/app"),
            Cookie::new("__Host-a", "1").domain("example.org"),
            Cookie::new("__Secure-a", "1").insecure(),
            Cookie::new("a", "x".repeat(4096)),
            Cookie::new("a", " ".repeat(2000)),
        ] {
            assert!(header(cookie.clone()).is_err(), "{cookie:?}");
        }
        assert!(header(Cookie::new("__Host-a", "x".repeat(4000))).is_ok());
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", Cookie::new("token", "hush"));
        assert!(shown.contains("token=…; Path=/") && !shown.contains("hush"), "{shown}");
    }
}
