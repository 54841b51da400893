use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Deref;

/// A text of an answer, copied only where an escape makes it another than the bytes that hold it.
///
/// serde borrows for a bare `Cow`, but not for one within an `Option`: that one it always copies.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct WireText<'a>(#[serde(borrow)] Cow<'a, str>);

impl WireText<'_> {
    pub(super) fn into_owned(self) -> String {
        self.0.into_owned()
    }
}

impl Deref for WireText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_escapes_make_a_copy() {
        let read = |json| serde_json::from_str::<Option<WireText<'_>>>(json).unwrap();
        assert!(read("null").is_none());
        assert!(matches!(read("\"a b\"").unwrap().0, Cow::Borrowed("a b")));
        assert!(matches!(&read("\"a\\nb\"").unwrap().0, Cow::Owned(text) if text == "a\nb"));
    }
}
