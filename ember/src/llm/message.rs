use bytes::Bytes;
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Who speaks in a message.
#[doc(alias = "MessageRole")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Whoever set up the conversation.
    #[serde(alias = "developer")]
    System,
    /// The human, or whoever asks.
    User,
    /// The model.
    Assistant,
    /// The tools that the model called.
    Tool,
}

/// One message of a conversation: a role, and what it says in parts.
///
/// As JSON it is `{"role":"user","content":"Hi"}`, or with an array of parts where there is
/// more than plain text.
///
/// ```
/// use ember::llm::Message;
///
/// let message = Message::user("Hi");
/// let json = serde_json::to_string(&message)?;
/// assert_eq!(json, r#"{"role":"user","content":"Hi"}"#);
/// assert_eq!(serde_json::from_str::<Message>(&json)?, message);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
    /// Whether it ends before its speaker was done, because the reader went away. Providers are
    /// not told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

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

impl Message {
    /// A message of several parts.
    pub fn new(role: Role, content: impl IntoIterator<Item = Part>) -> Self {
        Self { role, content: content.into_iter().collect(), cut: false }
    }

    /// Instructions for the whole conversation.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, [Part::text(text)])
    }

    /// What the user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, [Part::text(text)])
    }

    /// What the model has said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, [Part::text(text)])
    }

    /// What the tools of one turn have answered.
    pub fn tool_results(results: impl IntoIterator<Item = ToolResult>) -> Self {
        Self::new(Role::Tool, results.into_iter().map(Part::ToolResult))
    }

    /// The text of all text parts, joined.
    pub fn text(&self) -> Cow<'_, str> {
        joined(self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.text.as_str()),
            _ => None,
        }))
    }

    /// The text of all reasoning parts, joined.
    pub fn reasoning(&self) -> Cow<'_, str> {
        joined(self.content.iter().filter_map(|part| match part {
            Part::Reasoning(reasoning) => Some(reasoning.text.as_str()),
            _ => None,
        }))
    }

    /// The refusal, if the model refused in so many words.
    pub fn refusal(&self) -> Option<Cow<'_, str>> {
        let refusals = || {
            self.content.iter().filter_map(|part| match part {
                Part::Refusal(text) => Some(text.as_str()),
                _ => None,
            })
        };
        refusals().next().map(|_| joined(refusals()))
    }

    /// The calls of tools, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.content.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// Joins texts; a single one is not copied.
fn joined<'a>(mut texts: impl Iterator<Item = &'a str>) -> Cow<'a, str> {
    let Some(first) = texts.next() else {
        return Cow::Borrowed("");
    };
    match texts.next() {
        None => Cow::Borrowed(first),
        Some(second) => Cow::Owned([first, second].into_iter().chain(texts).collect()),
    }
}

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

/// A provider's mark on a part: to be sent back unchanged, with that part, to that provider only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signature {
    /// The adapter that understands it.
    pub provider: String,
    /// The mark itself.
    pub value: String,
}

impl Signature {
    /// A mark of a provider.
    pub fn new(provider: impl Into<String>, value: impl Into<String>) -> Self {
        Self { provider: provider.into(), value: value.into() }
    }
}

/// An image, a recording or a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// What kind of thing it is, for example `image/png`; `image/*` where only the kind is known.
    pub media_type: String,
    /// Where its bytes are.
    #[serde(flatten)]
    pub source: MediaSource,
    /// The provider's mark on this part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl Media {
    /// An image at an address that the provider can reach.
    pub fn image_url(url: impl Into<String>) -> Self {
        Self { media_type: "image/*".into(), source: MediaSource::Url(url.into()), signature: None }
    }

    /// Bytes of a media type.
    pub fn bytes(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.into(),
            source: MediaSource::Bytes(bytes.into()),
            signature: None,
        }
    }
}

/// Where the bytes of a medium are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaSource {
    /// At an address that the provider fetches.
    Url(String),
    /// Here.
    #[serde(with = "base64_bytes")]
    Bytes(Bytes),
}

/// A call of a tool, as the model made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// What the result refers to.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments: JSON as the model wrote it, which may be wrong or cut off.
    pub arguments: String,
    /// Whether the turn ended before the call was complete. Such a call never runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The provider's mark on this part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl ToolCall {
    /// A complete call. The arguments are an object in JSON.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            truncated: false,
            signature: None,
        }
    }

    /// Parses the arguments. Nothing at all stands for an empty object.
    ///
    /// # Errors
    /// When the model wrote no JSON.
    pub fn parse(&self) -> serde_json::Result<Value> {
        match self.arguments.trim() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => serde_json::from_str(text),
        }
    }
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// Which tool.
    pub name: String,
    /// What the model reads: text, usually JSON.
    pub content: String,
    /// Whether it tells of a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

impl ToolResult {
    /// The answer to a call.
    pub fn new(call: &ToolCall, content: impl Into<String>) -> Self {
        Self {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: content.into(),
            is_error: false,
        }
    }

    /// The failure of a call, for the model to read.
    pub fn error(call: &ToolCall, content: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::new(call, content) }
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

/// Bytes as base64 text (RFC 4648 §4), which is how every provider wants them.
mod base64_bytes {
    use super::{Bytes, Deserialize, Deserializer, Serializer};
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn round_trip(message: &Message, expected: Value) {
        let json = serde_json::to_value(message).unwrap();
        assert_eq!(json, expected);
        assert_eq!(&serde_json::from_value::<Message>(json).unwrap(), message);
    }

    #[test]
    fn every_part_survives_a_round_trip() {
        let call = ToolCall::new("c1", "add", r#"{"a":1}"#);
        round_trip(
            &Message::system("Be brief."),
            json!({"role": "system", "content": "Be brief."}),
        );
        round_trip(
            &Message::new(
                Role::Assistant,
                [
                    Part::Reasoning(Reasoning {
                        text: "hm".into(),
                        signature: Some(Signature::new("x", "s")),
                    }),
                    Part::text("Let me see."),
                    Part::ToolCall(call.clone()),
                    Part::Refusal("No.".into()),
                    Part::Opaque(Opaque::new("x", json!({"k": 1}))),
                ],
            ),
            json!({"role": "assistant", "content": [
                {"type": "reasoning", "text": "hm", "signature": {"provider": "x", "value": "s"}},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_call", "id": "c1", "name": "add", "arguments": "{\"a\":1}"},
                {"type": "refusal", "refusal": "No."},
                {"type": "opaque", "provider": "x", "value": {"k": 1}},
            ]}),
        );
        round_trip(
            &Message::tool_results([ToolResult::error(&call, "no")]),
            json!({"role": "tool", "content": [
                {"type": "tool_result", "call_id": "c1", "name": "add", "content": "no", "is_error": true},
            ]}),
        );
        round_trip(
            &Message::new(Role::User, [Part::Media(Media::bytes("image/png", &b"abc"[..]))]),
            json!({"role": "user", "content": [{"type": "media", "media_type": "image/png", "bytes": "YWJj"}]}),
        );
        round_trip(
            &Message::new(Role::User, [Part::Media(Media::image_url("https://a/b"))]),
            json!({"role": "user", "content": [{"type": "media", "media_type": "image/*", "url": "https://a/b"}]}),
        );
    }

    #[test]
    fn a_copy_shares_what_is_said() {
        let message = Message::user("x");
        assert!(Arc::ptr_eq(&message.content.0, &message.clone().content.0));
    }

    #[test]
    fn texts_are_joined() {
        let message = Message::new(
            Role::Assistant,
            [Part::text("a"), Part::Refusal("r".into()), Part::text("b")],
        );
        assert_eq!(message.text(), "ab");
        assert_eq!(message.refusal().as_deref(), Some("r"));
        assert_eq!(Message::user("x").refusal(), None);
    }

    #[test]
    fn empty_arguments_are_an_empty_object() {
        assert_eq!(ToolCall::new("1", "f", " ").parse().unwrap(), json!({}));
        assert!(ToolCall::new("1", "f", "{\"a\":").parse().is_err());
    }
}
