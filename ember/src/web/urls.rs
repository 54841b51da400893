use super::extract::FromRequestParts;
use super::request::RequestParts;
use super::state::{AppState, RouteEntry};
use crate::base::{Error, nearest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::{Display, Write as _};
use std::sync::Arc;

/// What may stand in a segment of a path as it is: the unreserved characters of RFC 3986 §2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes the addresses of routes from their names.
///
/// As an argument of a handler it is always there; [`url_for!`](crate::url_for) is the short way
/// to call it.
///
/// ```
/// use ember::prelude::*;
/// use ember::{Urls, url_for};
///
/// #[get("/tasks/{id}", name = "task")]
/// async fn show(id: u64) -> String {
///     format!("task {id}")
/// }
///
/// #[post("/tasks")]
/// async fn create(urls: Urls) -> ember::Result<Redirect> {
///     Ok(Redirect::to(url_for!(urls, "task", id = 7)?))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Urls(Arc<AppState>);

impl Urls {
    pub(crate) fn new(state: Arc<AppState>) -> Self {
        Self(state)
    }

    /// The path of a route, with its parameters filled in and percent-encoded.
    ///
    /// A route has the name of its function, unless `name = "…"` gives it another. What takes the
    /// rest of a path keeps its slashes.
    ///
    /// # Errors
    /// Status 500, with the reason for the log: no route, or more than one, has this name; a
    /// parameter is missing, unknown, or empty; or a part of it is `.` or `..`, which would lead elsewhere, as would
    /// two slashes at the beginning.
    pub fn url_for(
        &self,
        name: &str,
        parameters: &[(&str, &dyn Display)],
    ) -> Result<String, Error> {
        let route = self.route(name)?;
        let known = |key: &str| route.parameters.iter().any(|parameter| parameter == bare(key));
        if let Some((unknown, _)) = parameters.iter().find(|(key, _)| !known(key)) {
            return Err(Error::internal(format!(
                "the route `{name}` has no parameter `{unknown}` in its path `{}`",
                route.path
            )));
        }
        let mut url = String::with_capacity(route.path.len());
        for segment in route.path.split('/').skip(1) {
            url.push('/');
            match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                None => url.push_str(segment),
                Some(inner) => fill(&mut url, name, inner, parameters)?,
            }
        }
        if url.starts_with("//") {
            return Err(Error::internal(format!(
                "the address of the route `{name}` would begin with `//`, which is another host"
            )));
        }
        Ok(url)
    }

    fn route(&self, name: &str) -> Result<&RouteEntry, Error> {
        let mut routes = self.0.routes.iter().filter(|route| route.name == name);
        match (routes.next(), routes.next()) {
            (Some(route), None) => Ok(route),
            (Some(first), Some(second)) => Err(Error::internal(format!(
                "two routes have the name `{name}`: {} and {}; give them names with `name = \"…\"`",
                first.path, second.path
            ))),
            (None, _) => {
                let names = self.0.routes.iter().map(|route| route.name.as_str());
                let hint = nearest(names, name)
                    .map(|near| format!("; is `{near}` meant?"))
                    .unwrap_or_default();
                Err(Error::internal(format!("no route has the name `{name}`{hint}")))
            }
        }
    }
}

/// A key without what lets a keyword be one: `type` of `r#type`.
fn bare(key: &str) -> &str {
    key.strip_prefix("r#").unwrap_or(key)
}

/// Writes the value of a parameter: `id`, or `*rest`.
fn fill(
    url: &mut String,
    name: &str,
    inner: &str,
    parameters: &[(&str, &dyn Display)],
) -> Result<(), Error> {
    let (key, is_rest) = inner.strip_prefix('*').map_or((inner, false), |key| (key, true));
    let Some((_, value)) = parameters.iter().find(|(known, _)| bare(known) == key) else {
        return Err(Error::internal(format!("the route `{name}` needs its parameter `{key}`")));
    };
    let value = value.to_string();
    if value.is_empty() {
        return Err(Error::internal(format!(
            "the parameter `{key}` of the route `{name}` is empty, which would be another path"
        )));
    }
    // Clients take such segments out of an address before they send it (RFC 3986 §5.2.4).
    let leads_elsewhere = |segment: &str| matches!(segment, "." | "..");
    let mut segments = value.split('/').filter(|_| is_rest);
    if leads_elsewhere(&value) || segments.any(leads_elsewhere) {
        return Err(Error::internal(format!(
            "the parameter `{key}` of the route `{name}` is `{value}`, which would be another path"
        )));
    }
    let parts = value.split('/').map(|part| utf8_percent_encode(part, ENCODED));
    let between = if is_rest { "/" } else { "%2F" };
    for (index, part) in parts.enumerate() {
        let between = if index == 0 { "" } else { between };
        // Writing to a string cannot fail.
        let _ = write!(url, "{between}{part}");
    }
    Ok(())
}

impl FromRequestParts for Urls {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(Self(parts.state().clone()))
    }
}

/// The path of a route by its name, with its parameters: `url_for!(urls, "task", id = 7)`.
///
/// The first argument is [`Urls`](crate::Urls); see [`Urls::url_for`](crate::Urls::url_for) for
/// the errors.
#[macro_export]
macro_rules! url_for {
    ($urls:expr, $name:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $urls.url_for($name, &[$((stringify!($key), &$value as &dyn ::core::fmt::Display)),*])
    };
}
