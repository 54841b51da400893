use super::Raw;
use serde::de::{self, Deserialize, Deserializer};
use std::borrow::Cow;
use std::ops::Deref;

/// A text of an answer, copied only where an escape makes it another than the bytes that hold it.
///
/// serde borrows for a bare `Cow`, but not for one within an `Option`: that one it always copies.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub(in crate::llm::adapter) struct WireText<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> WireText<'a> {
    /// The text as it stands in the answer, if that has it without escapes.
    pub(in crate::llm::adapter) fn borrowed(&self) -> Option<&'a str> {
        match self.0 {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }

    pub(in crate::llm::adapter) fn into_owned(self) -> String {
        self.0.into_owned()
    }
}

impl From<String> for WireText<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for WireText<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(text)
    }
}

impl Deref for WireText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A text that says something.
pub(in crate::llm::adapter) fn some(text: Option<WireText<'_>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(WireText::into_owned)
}

/// A text, or any other value, which is as good as none.
#[derive(Debug, Default)]
pub(in crate::llm::adapter) struct AnyText<'a>(pub(in crate::llm::adapter) Option<WireText<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for AnyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?.0;
        match raw.starts_with('"') {
            true => serde_json::from_str(raw).map(Some).map(Self).map_err(de::Error::custom),
            false => Ok(Self(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fill as _;
    use super::super::Reader;
    use super::*;

    #[test]
    fn only_escapes_make_a_copy() {
        let read = |json| {
            let mut text = None::<WireText<'_>>;
            text.fill(&mut Reader::new(json)).unwrap();
            text
        };
        assert!(read("null").is_none());
        assert!(matches!(read("\"a b\"").unwrap().0, Cow::Borrowed("a b")));
        assert!(matches!(&read("\"a\\nb\"").unwrap().0, Cow::Owned(text) if text == "a\nb"));
    }

    #[test]
    fn any_value_is_a_text_or_none() {
        for (json, text) in [
            ("\"a\"", Some("a")),
            ("\"\\n\"", Some("\n")),
            ("\"\"", Some("")),
            ("null", None),
            ("true", None),
            ("-0.5", None),
            ("[1, [2]]", None),
            ("{\"a\": {}}", None),
        ] {
            let mut read = AnyText::default();
            read.fill(&mut Reader::new(json)).unwrap();
            let by_serde = serde_json::from_str::<AnyText<'_>>(json).unwrap();
            assert_eq!((read.0.as_deref(), by_serde.0.as_deref()), (text, text));
        }
    }
}
