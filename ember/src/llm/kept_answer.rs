//! An answer as it is kept outside of the process.

use super::chat::{ChatResponse, Dropped, Finish};
use super::message::Message;
use super::usage::Usage;
use serde::{Deserialize, Serialize};

/// The version of the form. What has another one is not read.
const VERSION: u32 = 1;

const OTHER_VERSION: &str = "it is of another version";

/// An answer as JSON, from which it can be given again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptAnswer {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    message: Message,
    finish: Finish,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Message>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<(String, String)>,
}

impl KeptAnswer {
    /// The bytes of an answer; `None` if it holds what cannot be said in JSON.
    pub(super) fn write(answer: &ChatResponse) -> Option<Vec<u8>> {
        serde_json::to_vec(&Self::from(answer)).ok()
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes, without what is in them.
    pub(super) fn read(bytes: &[u8]) -> Result<ChatResponse, &'static str> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let versioned: Versioned =
            serde_json::from_slice(bytes).map_err(|_| "it is not of this form")?;
        if versioned.version != VERSION {
            return Err(OTHER_VERSION);
        }
        let answer: Self = serde_json::from_slice(bytes).map_err(|_| "it is not of this form")?;
        answer.into_answer()
    }

    /// The answer.
    ///
    /// # Errors
    /// When it is of another version.
    pub(super) fn into_answer(self) -> Result<ChatResponse, &'static str> {
        let Self { version, id, model, message, finish, usage, steps, dropped } = self;
        if version != VERSION {
            return Err(OTHER_VERSION);
        }
        let dropped = dropped.into_iter().map(|(what, why)| Dropped::new(what, why)).collect();
        let plain = ChatResponse::new(message, finish);
        Ok(ChatResponse { id, model, usage, steps, dropped, ..plain })
    }
}

impl From<&ChatResponse> for KeptAnswer {
    fn from(answer: &ChatResponse) -> Self {
        // Every field is named, so that none that is added later is forgotten. One that is given from a
        // cache is never kept again.
        let ChatResponse { id, model, message, finish, usage, steps, dropped, cached: _ } = answer;
        let dropped = dropped.iter().map(|dropped| (dropped.what.clone(), dropped.why.clone()));
        Self {
            version: VERSION,
            id: id.clone(),
            model: model.clone(),
            message: message.clone(),
            finish: finish.clone(),
            usage: *usage,
            steps: steps.clone(),
            dropped: dropped.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::FinishReason;
    use crate::llm::message::{Media, Part, Reasoning, Role, Signature, ToolCall};

    #[test]
    fn an_answer_comes_back_as_it_was_and_nothing_else_is_read() {
        let signature = Some(Signature::new("anthropic", "c2ln"));
        let reasoning = Reasoning { signature, ..Reasoning::new("so") };
        let content = [
            Part::Reasoning(reasoning),
            Part::text("Grüße \u{1f980}"),
            Part::ToolCall(ToolCall::new("1", "f", "{\"a\": 1}")),
            Part::Media(Media::image_url("https://example.com/a.png")),
        ];
        let message = Message::new(Role::Assistant, content);
        let answer = ChatResponse {
            id: Some("id".into()),
            model: Some("m".into()),
            usage: Some(Usage::new(7, 8)),
            steps: vec![Message::user("x")],
            dropped: vec![Dropped::new("seed", "unknown")],
            ..ChatResponse::new(message, Finish::new(FinishReason::Stop, "end_turn"))
        };
        let bytes = KeptAnswer::write(&answer).unwrap();
        assert_eq!(KeptAnswer::read(&bytes).unwrap(), answer);
        for end in 0..bytes.len() {
            assert!(KeptAnswer::read(&bytes[..end]).is_err());
        }
        let newer = String::from_utf8(bytes).unwrap().replace("\"version\":1", "\"version\":2");
        assert_eq!(KeptAnswer::read(newer.as_bytes()), Err("it is of another version"));
        assert!(KeptAnswer::read(b"\xff").is_err());
    }
}
