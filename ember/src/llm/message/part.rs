use super::call::{ToolCall, ToolResult};
use super::media::Media;
use super::signature::Signature;
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text(Text),
    /// An image, a recording or a document.
    Media(Media),
    /// What the model thought before it answered.
    Reasoning(Reasoning),
    /// Why the model will not answer.
    #[serde(with = "refusal")]
    Refusal(String),
    /// The model wants a tool to run.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
    /// Something that only the provider understands it came from.
    Opaque(Opaque),
}

impl Part {
    /// A part of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), citations: Vec::new(), signature: None })
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// Text, with what the provider attached to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Text {
    /// The text.
    pub text: String,
    /// Where it was taken from, as the provider tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Value>,
    /// The provider's mark on this part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What the model thought before it answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reasoning {
    /// The thoughts, as far as the provider shows them.
    pub text: String,
    /// The provider's mark on this part, without which it does not take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl Reasoning {
    /// Thoughts without a signature.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), signature: None }
    }
}

/// Something that only the provider understands it came from; others never see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Opaque {
    /// The adapter that understands it.
    pub provider: String,
    /// The part, as the provider sent it.
    pub value: Value,
}

impl Opaque {
    /// A part of a provider, as it was sent.
    pub fn new(provider: impl Into<String>, value: Value) -> Self {
        Self { provider: provider.into(), value }
    }
}

/// A refusal needs a name for its text, as every part is an object.
mod refusal {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Refusal<T> {
        refusal: T,
    }

    pub(super) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        Refusal { refusal: text }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<String, D::Error> {
        Refusal::deserialize(deserializer).map(|Refusal { refusal }| refusal)
    }
}
