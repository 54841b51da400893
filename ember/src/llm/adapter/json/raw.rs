use super::{Fill, Filled, Reader, Refused};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// A value as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::llm::adapter) struct Raw<'a>(pub(in crate::llm::adapter) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

impl Raw<'_> {
    /// The text that it is, without its escapes.
    ///
    /// Half of a surrogate pair can be written (RFC 8259, 8.2), and stands for no character. A text with one is
    /// given as it is written, with its quotes: whoever takes it for JSON finds out what is wrong with it.
    pub(in crate::llm::adapter) fn text(self) -> String {
        match Reader::new(self.0).text() {
            Ok(text) => text.into_owned(),
            Err(Refused) => self.0.to_owned(),
        }
    }

    /// The value, to be kept. One that cannot be read is the text that it is written as.
    pub(in crate::llm::adapter) fn value(self) -> Value {
        self.read().unwrap_or_else(|_| Value::from(self.0))
    }

    /// The value, where that it is there is not enough.
    ///
    /// # Errors
    /// When it holds what can be written and not be read: half of a surrogate pair, a number that is too large.
    pub(in crate::llm::adapter) fn read<T: DeserializeOwned>(self) -> serde_json::Result<T> {
        serde_json::from_str(self.0)
    }
}

/// A value that was found right, and is read by serde when it is wanted: what only a few events have.
pub(in crate::llm::adapter) struct Later<'a, T>(Raw<'a>, PhantomData<fn() -> T>);

impl<T> fmt::Debug for Later<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Default for Later<'_, T> {
    fn default() -> Self {
        Self(Raw::default(), PhantomData)
    }
}

impl<'a, T: Deserialize<'a> + Default> Later<'a, T> {
    pub(in crate::llm::adapter) fn read(&self) -> T {
        serde_json::from_str(self.0.0).unwrap_or_default()
    }
}

impl<'de: 'a, 'a, T: Deserialize<'a>> Deserialize<'de> for Later<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        serde_json::from_str::<T>(raw.0).map_err(de::Error::custom)?;
        Ok(Self(raw, PhantomData))
    }
}

impl<'a, T: Deserialize<'a>> Fill<'a> for Later<'a, T> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Filled<()> {
        self.0.fill(reader)?;
        serde_json::from_str::<T>(self.0.0).map(drop).map_err(|_| Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        for (json, text) in [
            (r#""a\n\ud83d\ude00""#, "a\n😀"),
            (r#""a\ud83d""#, r#""a\ud83d""#),
            (r#""\ude00a""#, r#""\ude00a""#),
        ] {
            let raw = serde_json::from_str::<Raw<'_>>(json).unwrap();
            assert_eq!((raw.text().as_str(), raw.value()), (text, Value::from(text)));
            assert_eq!(raw.read::<Value>().is_ok(), text != json);
        }
        assert_eq!(Raw("[1e999]").value(), Value::from("[1e999]"));
    }

    #[test]
    fn what_is_read_later_is_right_already() {
        let later = serde_json::from_str::<Later<'_, Vec<u8>>>("[1, 2]").unwrap();
        assert_eq!(later.read(), [1, 2]);
        assert!(serde_json::from_str::<Later<'_, Vec<u8>>>("[1, \"a\"]").is_err());
        let mut later = Later::<Vec<u8>>::default();
        assert!(later.fill(&mut Reader::new(" [3]")).is_ok());
        assert_eq!(later.read(), [3]);
        assert!(later.fill(&mut Reader::new("[300]")).is_err());
    }
}
