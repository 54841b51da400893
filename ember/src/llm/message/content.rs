use super::part::{Part, Text};
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The parts of a message.
///
/// They never change, and copies share them: a conversation is copied for every turn, and its
/// texts are not. It reads like a slice.
#[derive(Clone, Default, PartialEq)]
pub struct Content(Arc<[Part]>);

impl Deref for Content {
    type Target = [Part];

    fn deref(&self) -> &[Part] {
        &self.0
    }
}

impl FromIterator<Part> for Content {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        Self(parts.into_iter().collect())
    }
}

impl From<Vec<Part>> for Content {
    fn from(parts: Vec<Part>) -> Self {
        Self(parts.into())
    }
}

impl<'a> IntoIterator for &'a Content {
    type Item = &'a Part;
    type IntoIter = std::slice::Iter<'a, Part>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<const N: usize> PartialEq<[Part; N]> for Content {
    fn eq(&self, other: &[Part; N]) -> bool {
        *self.0 == other[..]
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &**self {
            [Part::Text(Text { text, citations, signature: None })] if citations.is_empty() => {
                serializer.serialize_str(text)
            }
            parts => parts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Parts(Vec<Part>),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Text(text) => [Part::text(text)].into_iter().collect(),
            Either::Parts(parts) => parts.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_what_is_said() {
        let content = Content::from_iter([Part::text("x")]);
        assert!(Arc::ptr_eq(&content.0, &content.clone().0));
    }
}
