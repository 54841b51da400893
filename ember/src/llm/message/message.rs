use super::call::{ToolCall, ToolResult};
use super::content::Content;
use super::part::Part;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::super::{Media, Opaque, Reasoning, Signature};
    use super::*;
    use serde_json::{Value, json};

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
    fn texts_are_joined() {
        let message = Message::new(
            Role::Assistant,
            [Part::text("a"), Part::Refusal("r".into()), Part::text("b")],
        );
        assert_eq!(message.text(), "ab");
        assert_eq!(message.refusal().as_deref(), Some("r"));
        assert_eq!(Message::user("x").refusal(), None);
    }
}
