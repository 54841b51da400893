//! An answer that has arrived whole, and the documents that a streamed one consists of.

use super::stream::ContentDecoder;
use super::wire::Document;
use crate::llm::adapter::json::Raw;
use crate::llm::adapter::{CallIds, EventDecoder as _};
use crate::llm::chat::ChatResponse;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::stream::Accumulator;
use std::collections::VecDeque;

pub(super) fn decode(provider: &str, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
    let decode =
        |reason: &'static str| Error::new(ErrorKind::Decode, reason).with_provider(provider);
    let whole: Raw<'_> = serde_json::from_slice(body)
        .map_err(|error| decode("the answer is not JSON").with_source(error))?;
    // Asked for a stream in another way, Gemini answers with an array of documents.
    let documents: Result<Vec<Document<'_>>, _> = match whole.0.starts_with('[') {
        true => serde_json::from_str(whole.0),
        false => serde_json::from_str(whole.0).map(|document| vec![document]),
    };
    let documents = documents.map_err(|error| {
        decode("the answer is not what generateContent answers").with_source(error)
    })?;
    let mut decoder = ContentDecoder::new(provider, ids);
    let mut events = VecDeque::new();
    let mut answers = false;
    for document in documents {
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

#[cfg(test)]
mod tests {
    use super::super::wire::finish;
    use super::*;
    use crate::llm::chat::{Finish, FinishReason};
    use crate::llm::message::{
        Media, Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall,
    };
    use serde_json::{Value, json};

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
