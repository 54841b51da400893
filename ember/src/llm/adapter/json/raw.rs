use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// By this name [`Raw`] asks for a value as it is written.
pub(super) const RAW: &str = "ember::Raw";

/// A value as it is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::llm::adapter) struct Raw<'a>(pub(in crate::llm::adapter) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, RawVisitor).map(Self)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = &'de str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: de::Error>(self, raw: &'de str) -> Result<&'de str, E> {
        Ok(raw)
    }

    /// serde_json does not know our name, and has one of its own.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<&'de str, D::Error> {
        <&RawValue>::deserialize(value).map(RawValue::get)
    }
}

/// A value that was found right, and is read when it is wanted.
///
/// It is for what most events do not have: it is small, where the value is not, as whatever stands in an event is
/// moved several times while that is read.
#[derive(Debug)]
pub(in crate::llm::adapter) struct Later<'a, T>(Raw<'a>, PhantomData<fn() -> T>);

impl<'a, T: Deserialize<'a> + Default> Later<'a, T> {
    pub(in crate::llm::adapter) fn read(&self) -> T {
        super::read(self.0.0).unwrap_or_default()
    }
}

impl<'de: 'a, 'a, T: Deserialize<'a>> Deserialize<'de> for Later<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        super::read::<T>(raw.0).map_err(de::Error::custom)?;
        Ok(Self(raw, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{read, read_fast};
    use super::*;

    #[test]
    fn a_value_is_kept_as_it_is_written() {
        for written in ["{ \"a\": [1.0, 2e3] }", "\"a\\u00e9\"", "0.10", "null"] {
            let document = format!(" [ {written} , 7]");
            let [raw, _] = read_fast::<[Raw<'_>; 2]>(&document).unwrap();
            let [by_serde_json, _] = serde_json::from_str::<[Raw<'_>; 2]>(&document).unwrap();
            assert_eq!((raw.0, by_serde_json.0), (written, written));
        }
    }

    #[test]
    fn what_is_read_later_is_right_already() {
        let later = read::<Later<'_, Vec<u8>>>("[1, 2]").unwrap();
        assert_eq!(later.read(), [1, 2]);
        assert!(read::<Later<'_, Vec<u8>>>("[1, \"a\"]").is_err());
    }
}
