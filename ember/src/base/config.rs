//! Settings, read from the environment at the moment they are asked for.
//!
//! An [`Env`] keeps nothing. When it is asked depends on who asks: what a request can be given with each request,
//! retries and the circuit breaker when a client is built, who is asked, where state is kept and where to listen when the
//! application is built. A test brings its own variables as a value instead of changing the process.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The source of settings: the process's environment, or a fixed set of variables.
///
/// A variable that is empty counts as unset.
///
/// ```
/// use ember::Env;
///
/// let env = Env::of([("EMBER_PORT", "9000"), ("EMBER_WORKERS", "many")]);
/// assert_eq!(env.parse("EMBER_PORT", 8000), 9000);
/// assert_eq!(env.parse("EMBER_WORKERS", 2), 2); // invalid: the default, and a warning in the log
/// assert_eq!(env.var("EMBER_HOST"), None);
/// ```
///
#[doc = include_str!("../docs/variables.md")]
#[derive(Clone, Default)]
pub struct Env(Option<Arc<HashMap<String, String>>>);

impl Env {
    /// The environment of this process.
    pub const fn process() -> Self {
        Self(None)
    }

    /// A fixed set of variables.
    pub fn of<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(Some(Arc::new(variables.collect())))
    }

    /// Returns a variable's text, unless it is unset, empty or not UTF-8.
    pub fn var(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            None => std::env::var(name).ok(),
            Some(variables) => variables.get(name).cloned(),
        };
        value.filter(|text| !text.trim().is_empty())
    }

    /// Returns a variable's value, or the default where it is unset or does not parse.
    ///
    /// A value that does not parse is warned about, by name, in the log.
    pub fn parse<T: FromStr>(&self, name: &str, default: T) -> T {
        self.parse_if(name, |_| true).unwrap_or(default)
    }

    /// Returns a variable's value if it is set, parses, and is accepted; warns where it is set and unusable.
    pub fn parse_if<T: FromStr>(&self, name: &str, accept: impl FnOnce(&T) -> bool) -> Option<T> {
        let text = self.var(name)?;
        let value = parsed(&text, accept);
        if value.is_none() {
            tracing::warn!(variable = name, value = text, "invalid setting: the default is used");
        }
        value
    }

    /// Returns the text of a variable that is set and unusable, for those who tell of it before it is used.
    pub(crate) fn unusable<T: FromStr>(
        &self,
        name: &str,
        accept: impl FnOnce(&T) -> bool,
    ) -> Option<String> {
        self.var(name).filter(|text| parsed(text, accept).is_none())
    }
}

fn parsed<T: FromStr>(text: &str, accept: impl FnOnce(&T) -> bool) -> Option<T> {
    text.trim().parse().ok().filter(accept)
}

impl fmt::Debug for Env {
    /// Prints the names only, because the values may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Env(process)"),
            Some(variables) => f.debug_set().entries(variables.keys()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_invalid_falls_back() {
        let env = Env::of([("EMPTY", " "), ("BAD", "x"), ("GOOD", " 12 "), ("NEGATIVE", "-1")]);
        assert_eq!(env.var("EMPTY"), None);
        assert_eq!(env.parse("BAD", 7), 7);
        assert_eq!(env.parse("GOOD", 7), 12);
        assert_eq!(env.parse_if("NEGATIVE", |n: &i32| *n >= 0), None);
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", Env::of([("OPENAI_API_KEY", "sk-secret")]));
        assert!(shown.contains("OPENAI_API_KEY") && !shown.contains("sk-secret"));
    }
}
