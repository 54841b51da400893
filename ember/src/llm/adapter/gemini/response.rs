//! An answer that has arrived whole, and the documents that a streamed one consists of.

use super::partial::PartialArg;
use super::stream::ContentDecoder;
use crate::llm::adapter::{CallIds, EventDecoder as _};
use crate::llm::chat::{ChatResponse, Finish, FinishReason};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::stream::Accumulator;
use crate::llm::usage::{Usage, sum_of};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::VecDeque;

pub(super) fn decode(provider: &str, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
    let decode =
        |reason: &'static str| Error::new(ErrorKind::Decode, reason).with_provider(provider);
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| decode("the answer is not JSON").with_source(error))?;
    // Asked for a stream in another way, Gemini answers with an array of documents.
    let documents = match value {
        Value::Array(documents) => documents,
        document => vec![document],
    };
    let mut decoder = ContentDecoder::new(provider, ids);
    let mut events = VecDeque::new();
    let mut answers = false;
    for document in documents {
        let document: Document = serde_json::from_value(document).map_err(|error| {
            decode("the answer is not what generateContent answers").with_source(error)
        })?;
        answers |= document.answers();
        decoder.read(document, &mut events)?;
    }
    if !answers {
        return Err(decode("the answer holds no candidate"));
    }
    decoder.whole();
    decoder.end(None, &mut events)?;
    let mut accumulator = Accumulator::new();
    events.iter().for_each(|event| accumulator.push(event));
    accumulator.finish()
}

/// An answer, or a piece of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) candidates: Option<Vec<Candidate>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    pub(super) usage_metadata: Option<WireUsage>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
    pub(super) error: Option<Value>,
}

impl Document {
    fn answers(&self) -> bool {
        self.candidates.as_ref().is_some_and(|candidates| !candidates.is_empty())
            || self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some())
            || self.error.is_some()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    pub(super) index: Option<u64>,
    pub(super) content: Option<Content>,
    pub(super) finish_reason: Option<String>,
    pub(super) grounding_metadata: Option<Value>,
    pub(super) citation_metadata: Option<Value>,
    pub(super) url_context_metadata: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Content {
    /// Kept as they come: a kind of part that we do not know must go back unchanged.
    pub(super) parts: Option<Vec<Map<String, Value>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    pub(super) block_reason: Option<String>,
}

/// A call, or (from Vertex) a piece of one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCall {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) args: Option<Map<String, Value>>,
    pub(super) partial_args: Option<Vec<PartialArg>>,
    #[serde(default)]
    pub(super) will_continue: bool,
}

/// The usage as Gemini counts it: the prompt with what was cached, without what its own tools have
/// added; the candidates without the thoughts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

impl WireUsage {
    /// The usage, if there are any figures.
    pub(super) fn into_usage(self) -> Option<Usage> {
        let cached = self.cached_content_token_count;
        let input = self.prompt_token_count.map(|prompt| {
            let anew = prompt.saturating_sub(cached.unwrap_or(0));
            sum_of([Some(anew), self.tool_use_prompt_token_count])
        });
        let usage = Usage {
            input_tokens: input,
            cache_read_tokens: cached,
            cache_write_tokens: None,
            output_tokens: self.candidates_token_count,
            reasoning_tokens: self.thoughts_token_count,
            estimated: false,
        };
        (usage != Usage::default()).then_some(usage)
    }
}

/// Our word for the reason why an answer ended. Gemini says `STOP` even when it calls.
pub(super) fn finish(raw: Option<&str>, has_calls: bool) -> Finish {
    let reason = match raw.unwrap_or_default() {
        "STOP" if has_calls => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" => {
            FinishReason::ContentFilter
        }
        image if image.starts_with("IMAGE_") => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" => {
            FinishReason::Error
        }
        other => FinishReason::Other(other.to_owned()),
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::message::{
        Media, Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall,
    };
    use serde_json::json;

    fn read(body: Value) -> Result<ChatResponse, Error> {
        decode("gemini", body.to_string().as_bytes(), CallIds::default())
    }

    #[test]
    fn every_part_keeps_its_signature() {
        let mark = |value: &str| Some(Signature::new("gemini", value));
        let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s4"});
        let grounding = json!({"webSearchQueries": ["q"]});
        let response = read(json!({
            "candidates": [{"index": 0, "finishReason": "STOP", "groundingMetadata": grounding, "content": {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"text": "a", "thoughtSignature": "s1"},
                {"functionCall": {"name": "add", "args": {"b": 1, "a": 2}, "id": "g1"}, "thoughtSignature": "s2"},
                {"functionCall": {"name": "now"}, "thoughtSignature": "s3"},
                code,
                {"inlineData": {"mimeType": "image/png", "data": "YWJj"}, "thoughtSignature": "s5"},
                {"text": "", "thoughtSignature": "s6"},
            ]}}, {"index": 1, "content": {"parts": [{"text": "other"}]}}],
            "usageMetadata": {
                "promptTokenCount": 10, "cachedContentTokenCount": 4, "toolUsePromptTokenCount": 3,
                "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 25,
            },
            "modelVersion": "m", "responseId": "r",
        }))
        .unwrap();
        let signed = |id: &str, name: &str, arguments: &str, value: &str| {
            let call = ToolCall::new(id, name, arguments);
            Part::ToolCall(ToolCall { signature: mark(value), ..call })
        };
        let mut image = Media::bytes("image/png", &b"abc"[..]);
        image.signature = mark("s5");
        let mut cited = Text::default();
        cited.citations.push(json!({"groundingMetadata": grounding}));
        let content = [
            Part::Reasoning(Reasoning::new("hm")),
            Part::Text(Text { text: "a".into(), signature: mark("s1"), ..Text::default() }),
            signed("g1", "add", r#"{"b":1,"a":2}"#, "s2"),
            signed("call_1", "now", "{}", "s3"),
            Part::Opaque(Opaque::new("gemini", code)),
            Part::Media(image),
            Part::Text(Text { signature: mark("s6"), ..Text::default() }),
            Part::Text(cited),
        ];
        assert_eq!(response.message, Message::new(Role::Assistant, content));
        assert_eq!(response.finish, Finish::new(FinishReason::ToolCalls, "STOP"));
        assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("r"), Some("m")));
        let usage = response.usage.unwrap();
        assert_eq!((usage.total_input(), usage.total_output(), usage.total()), (13, 12, 25));
    }

    #[test]
    fn a_prompt_that_is_refused_is_withheld() {
        let blocked =
            json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}});
        let response = read(blocked).unwrap();
        assert_eq!(response.finish.reason, FinishReason::ContentFilter);
        assert_eq!(response.finish.raw.as_deref(), Some("PROHIBITED_CONTENT"));
        assert!(response.message.content.is_empty() && response.usage.is_none());
        let other = read(json!({"promptFeedback": {"blockReason": "NEW"}})).unwrap();
        assert_eq!(other.finish.reason, FinishReason::ContentFilter);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let error = json!([{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]);
        assert_eq!(read(error).unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(read(json!({"candidates": []})).unwrap_err().kind(), ErrorKind::Decode);
        let html = decode("gemini", b"<html>", CallIds::default());
        assert_eq!(html.unwrap_err().kind(), ErrorKind::Decode);
    }

    #[test]
    fn reasons_are_understood() {
        use FinishReason::{ContentFilter, Error, Length, Other, Stop, ToolCalls};
        for (raw, calls, reason) in [
            ("STOP", false, Stop),
            ("STOP", true, ToolCalls),
            ("MAX_TOKENS", true, Length),
            ("SAFETY", false, ContentFilter),
            ("IMAGE_RECITATION", false, ContentFilter),
            ("MALFORMED_FUNCTION_CALL", true, Error),
            ("OTHER", false, Other("OTHER".into())),
        ] {
            assert_eq!(finish(Some(raw), calls), Finish::new(reason, raw));
        }
    }
}
