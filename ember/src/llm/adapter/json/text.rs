use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A text of an answer, copied only where an escape makes it another than the bytes that hold it.
///
/// serde borrows for a bare `Cow`, but not for one within an `Option`: that one it always copies.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub(in crate::llm::adapter) struct WireText<'a>(#[serde(borrow)] Cow<'a, str>);

impl WireText<'_> {
    pub(in crate::llm::adapter) fn into_owned(self) -> String {
        self.0.into_owned()
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
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = AnyText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<AnyText<'de>, E> {
        Ok(AnyText(Some(WireText(Cow::Borrowed(text)))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AnyText<'de>, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<AnyText<'de>, E> {
        Ok(AnyText(Some(WireText(Cow::Owned(text)))))
    }

    fn visit_unit<E: de::Error>(self) -> Result<AnyText<'de>, E> {
        Ok(AnyText(None))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<AnyText<'de>, E> {
        Ok(AnyText(None))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<AnyText<'de>, E> {
        Ok(AnyText(None))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<AnyText<'de>, E> {
        Ok(AnyText(None))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<AnyText<'de>, E> {
        Ok(AnyText(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AnyText<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(AnyText(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<AnyText<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(AnyText(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_escapes_make_a_copy() {
        let read = |json| super::super::read::<Option<WireText<'_>>>(json).unwrap();
        assert!(read("null").is_none());
        assert!(matches!(read("\"a b\"").unwrap().0, Cow::Borrowed("a b")));
        assert!(matches!(&read("\"a\\nb\"").unwrap().0, Cow::Owned(text) if text == "a\nb"));
    }

    #[test]
    fn any_value_is_a_text_or_none() {
        let read =
            |json| super::super::read::<AnyText<'_>>(json).unwrap().0.map(WireText::into_owned);
        for (json, text) in [("\"a\"", Some("a")), ("\"\\n\"", Some("\n")), ("\"\"", Some(""))] {
            assert_eq!(read(json).as_deref(), text);
        }
        for json in ["null", "true", "1", "-1", "0.5", "[1, [2]]", "{\"a\": {}}"] {
            assert_eq!(read(json), None);
        }
    }
}
