use super::partial::PartialArgs;
use super::wire::{Candidate, Document, FunctionCall, Said, WirePart, WireUsage, finish};
use crate::llm::adapter::json::{Raw, WireText, some};
use crate::llm::adapter::{CallIds, EventDecoder, Failure, Garbage, cut, last, unreadable};
use crate::llm::chat::{Finish, FinishReason};
use crate::llm::error::Error;
use crate::llm::message::{Media, Opaque, Part, Signature};
use crate::llm::stream::ChatEvent;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Error as _;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Reads a streamed answer of Gemini.
///
/// There is no last event: the answer is over when the bytes end, and complete if a document has
/// told why.
#[derive(Debug)]
pub struct ContentDecoder {
    provider: String,
    ids: CallIds,
    started: bool,
    /// The kind of part to which the next text belongs.
    open: Option<Kind>,
    /// How many calls have been told.
    calls: usize,
    /// The call whose arguments arrive value by value, and its number.
    partial: Option<(usize, PartialArgs)>,
    /// What was said of sources, which is told at the end, when the last word on it is known.
    sources: Map<String, Value>,
    /// The figures so far: a later snapshot may leave out what an earlier one has told.
    usage: WireUsage,
    finish: Option<Finish>,
    finish_reason: Option<String>,
    garbage: Garbage,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Thought,
}

impl ContentDecoder {
    pub(super) fn new(provider: &str, ids: CallIds) -> Self {
        Self {
            provider: provider.to_owned(),
            ids,
            started: false,
            open: None,
            calls: 0,
            partial: None,
            sources: Map::new(),
            usage: WireUsage::default(),
            finish: None,
            finish_reason: None,
            garbage: Garbage::default(),
        }
    }

    /// The answer is known to have arrived whole, whatever it says of its end.
    pub(super) fn whole(&mut self) {
        if self.finish_reason.is_none() && self.finish.is_none() {
            self.finish = Some(finish(None, false));
        }
    }

    pub(super) fn read(
        &mut self,
        document: Document<'_>,
        out: &mut VecDeque<ChatEvent>,
    ) -> Result<(), Error> {
        if let Some(error) = document.error {
            let document = json!({"error": error.value()});
            return Err(Failure::of(&document).into_error(&self.provider, None));
        }
        let known = document.response_id.is_some() || document.model_version.is_some();
        if known && !std::mem::replace(&mut self.started, true) {
            let own = |text: Option<WireText<'_>>| text.map(WireText::into_owned);
            let (id, model) = (own(document.response_id), own(document.model_version));
            out.push_back(ChatEvent::Start { id, model });
        }
        if let Some(reason) = document.prompt_feedback.and_then(|feedback| feedback.block_reason) {
            self.finish = Some(Finish::new(FinishReason::ContentFilter, &*reason));
        }
        // With `candidateCount` above 1 there are several; the first is the answer.
        let candidates = document.candidates.unwrap_or_default().into_iter();
        for candidate in candidates.filter(|candidate| candidate.index.unwrap_or(0) == 0) {
            self.candidate(candidate, out)?;
        }
        if let Some(usage) = document.usage_metadata {
            self.usage.update(usage);
            out.extend(self.usage.into_usage().map(ChatEvent::Usage));
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        candidate: Candidate<'_>,
        out: &mut VecDeque<ChatEvent>,
    ) -> Result<(), Error> {
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.unwrap_or_default() {
            let told = self.part(part, out);
            told.map_err(|error| unreadable(&self.provider, "a part", error))?;
        }
        for (name, value) in [
            ("groundingMetadata", candidate.grounding_metadata),
            ("citationMetadata", candidate.citation_metadata),
            ("urlContextMetadata", candidate.url_context_metadata),
        ] {
            let told = value.map(Raw::value);
            let told = told.filter(|value| value.as_object().is_none_or(|value| !value.is_empty()));
            self.sources.extend(told.map(|value| (name.to_owned(), value)));
        }
        if let Some(reason) = some(candidate.finish_reason) {
            self.finish_reason = Some(reason);
        }
        Ok(())
    }

    fn part(
        &mut self,
        part: WirePart<'_>,
        out: &mut VecDeque<ChatEvent>,
    ) -> serde_json::Result<()> {
        let Said { text, is_thought, signature } = part.said;
        let signature = signature.map(|mark| Signature::new(&*self.provider, mark.into_owned()));
        if let Some(text) = text {
            let kind = if is_thought { Kind::Thought } else { Kind::Text };
            self.text(kind, text.into_owned(), signature, out);
            return Ok(());
        }
        let mut part: Map<String, Value> = part.raw.read()?;
        if let Some(call) = part.remove("functionCall") {
            let call: Option<FunctionCall> = serde_json::from_value(call)?;
            return self.call(call.unwrap_or_default(), signature, out);
        }
        self.close(out);
        let media = part.get("inlineData").and_then(|data| {
            let bytes = BASE64_STANDARD.decode(data.get("data")?.as_str()?).ok()?;
            let mut media = Media::bytes(data.get("mimeType")?.as_str()?, bytes);
            media.signature = signature;
            Some(Part::Media(media))
        });
        let opaque = || Part::Opaque(Opaque::new(&*self.provider, Value::Object(part.clone())));
        out.push_back(ChatEvent::Part(media.unwrap_or_else(opaque)));
        Ok(())
    }

    /// Texts of one kind that follow each other belong together, unless one of them is signed:
    /// a signature belongs to the part it came with, even if that is empty.
    fn text(
        &mut self,
        kind: Kind,
        text: String,
        signature: Option<Signature>,
        out: &mut VecDeque<ChatEvent>,
    ) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        if self.open != Some(kind) || signature.is_some() {
            self.close(out);
        }
        out.push_back(match kind {
            Kind::Text => ChatEvent::Text(text),
            Kind::Thought => ChatEvent::Reasoning(text),
        });
        self.open = Some(kind);
        if signature.is_some() {
            out.push_back(ChatEvent::PartEnd { signature });
            self.open = None;
        }
    }

    fn close(&mut self, out: &mut VecDeque<ChatEvent>) {
        if self.open.take().is_some() {
            out.push_back(ChatEvent::PartEnd { signature: None });
        }
    }

    /// Calls arrive whole, or (from Vertex, if asked for) value by value: then one with a name
    /// opens, and an empty one closes, which is sometimes missing.
    fn call(
        &mut self,
        call: FunctionCall,
        signature: Option<Signature>,
        out: &mut VecDeque<ChatEvent>,
    ) -> serde_json::Result<()> {
        if let Some(name) = call.name.filter(|name| !name.is_empty()) {
            self.close(out);
            self.close_partial(out);
            let index = self.calls;
            self.calls += 1;
            let id = self.ids.take(call.id.as_deref().unwrap_or_default());
            out.push_back(ChatEvent::ToolCallStart { index, id, name, signature });
            if call.will_continue || call.partial_args.is_some() {
                self.partial = Some((index, PartialArgs::default()));
            } else {
                let arguments = call.args.map_or_else(|| "{}".to_owned(), |args| args.to_string());
                out.push_back(ChatEvent::ToolCallDelta { index, arguments });
            }
        }
        if let Some((_, partial)) = &mut self.partial {
            for arg in call.partial_args.into_iter().flatten() {
                if !partial.put(arg) {
                    return Err(serde_json::Error::custom("a value has no place in the arguments"));
                }
            }
            if !call.will_continue {
                self.close_partial(out);
            }
        }
        Ok(())
    }

    fn close_partial(&mut self, out: &mut VecDeque<ChatEvent>) {
        if let Some((index, partial)) = self.partial.take() {
            let arguments = partial.into_json();
            out.push_back(ChatEvent::ToolCallDelta { index, arguments });
        }
    }
}

impl EventDecoder for ContentDecoder {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        // Gemini does not say so; servers in front of it may.
        if data == "[DONE]" {
            return self.end(None, out);
        }
        let mut document = Document::default();
        match self.garbage.read(&self.provider, &mut document, data)? {
            true => self.read(document, out),
            false => Ok(()),
        }
    }

    fn is_complete(&self) -> bool {
        self.finish.is_some() || self.finish_reason.is_some()
    }

    fn end(&mut self, rest: Option<&str>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let mut document = Document::default();
        if last(&mut document, rest) {
            self.read(document, out)?;
        }
        self.close_partial(out);
        if !self.sources.is_empty() {
            // Sources belong to a text; where none is open, to an empty one.
            if self.open != Some(Kind::Text) {
                self.close(out);
                out.push_back(ChatEvent::Text(String::new()));
            }
            let sources = std::mem::take(&mut self.sources).into_iter();
            out.extend(sources.map(|(name, value)| ChatEvent::Citation(json!({name: value}))));
        }
        let told = self.finish_reason.as_deref().map(|raw| finish(Some(raw), self.calls > 0));
        let finish = told.or(self.finish.take()).ok_or_else(|| cut(&self.provider))?;
        let finish = self.garbage.end(&self.provider, finish, self.calls > 0);
        out.push_back(ChatEvent::Finish(finish));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::response::decode;
    use super::*;
    use crate::llm::adapter::json::tests::{agrees, agrees_on_recordings};
    use crate::llm::chat::ChatResponse;
    use crate::llm::error::ErrorKind;
    use crate::llm::message::ToolCall;
    use crate::llm::stream::Accumulator;

    fn read(documents: &[Value]) -> Result<ChatResponse, Error> {
        let mut decoder = ContentDecoder::new("gemini", CallIds::default());
        let mut out = VecDeque::new();
        for document in documents {
            decoder.event(&document.to_string(), &mut out)?;
        }
        decoder.end(None, &mut out)?;
        let mut accumulator = Accumulator::new();
        out.iter().for_each(|event| accumulator.push(event));
        accumulator.finish()
    }

    fn parts(parts: Value) -> Value {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}}], "responseId": "r", "modelVersion": "m"})
    }

    fn end(reason: &str) -> Value {
        json!({"candidates": [{"finishReason": reason}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}})
    }

    #[test]
    fn a_stream_gives_what_the_whole_gives() {
        let grounding = json!({"webSearchQueries": ["q"]});
        let mut last = end("STOP");
        last["candidates"][0]["groundingMetadata"] = grounding.clone();
        let streamed = read(&[
            parts(json!([{"text": "h", "thought": true}])),
            parts(json!([{"text": "m", "thought": true}, {"text": "Hel"}])),
            json!({"usageMetadata": {"promptTokenCount": 3}}),
            parts(json!([{"text": "lo"}])),
            parts(json!([{"text": ""}, {"text": "", "thoughtSignature": "s1"}])),
            parts(json!([
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"},
                {"functionCall": {"name": "g"}},
            ])),
            parts(json!([{"text": "b"}])),
            last,
        ]);
        let whole = json!({
            "candidates": [{"finishReason": "STOP", "groundingMetadata": grounding, "content": {"parts": [
                {"text": "hm", "thought": true},
                {"text": "Hello"},
                {"text": "", "thoughtSignature": "s1"},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"},
                {"functionCall": {"name": "g"}},
                {"text": "b"},
            ]}}],
            "responseId": "r", "modelVersion": "m",
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
        });
        let whole = decode("gemini", whole.to_string().as_bytes(), CallIds::default()).unwrap();
        assert_eq!(streamed.unwrap(), whole);
        assert_eq!(whole.message.content.len(), 6);
    }

    #[test]
    fn arguments_can_arrive_value_by_value() {
        let piece = |call: Value| parts(json!([{"functionCall": call}]));
        let value = |path: &str, value: u64, more: bool| {
            let args = json!([{"jsonPath": path, "numberValue": value}]);
            piece(json!({"partialArgs": args, "willContinue": more}))
        };
        let open = |name: &str| piece(json!({"name": name, "willContinue": true}));
        let documents = [
            open("f"),
            value("$.a", 1, true),
            value("$.b", 2, true),
            piece(json!({})),
            open("g"),
            value("$.c", 3, false),
            open("h"),
            value("$.d", 4, true),
            end("STOP"),
        ];
        let calls: Vec<_> = read(&documents).unwrap().tool_calls().cloned().collect();
        let expected = [
            ToolCall::new("call_0", "f", "{\"a\":1,\"b\":2}"),
            ToolCall::new("call_1", "g", "{\"c\":3}"),
            ToolCall::new("call_2", "h", "{\"d\":4}"),
        ];
        assert_eq!(calls, expected);
    }

    #[test]
    fn a_value_without_a_place_is_an_error() {
        let value = |path: &str| {
            let args = json!([{"jsonPath": path, "numberValue": 1}]);
            parts(json!([{"functionCall": {"name": "f", "partialArgs": args}}]))
        };
        assert_eq!(read(&[value("$.a"), end("STOP")]).unwrap().tool_calls().count(), 1);
        for path in ["a", "$.a[1]", &format!("${}", ".a".repeat(1_000_000))] {
            assert_eq!(read(&[value(path)]).unwrap_err().kind(), ErrorKind::Decode);
        }
    }

    #[test]
    fn a_call_of_another_shape_is_never_nothing() {
        let both = |part: &str| {
            let parts = format!(r#""content": {{"parts": [{part}]}}"#);
            let document = format!(r#"{{"candidates": [{{{parts}, "finishReason": "STOP"}}]}}"#);
            let mut decoder = ContentDecoder::new("gemini", CallIds::default());
            let streamed = decoder.event(&document, &mut VecDeque::new());
            let whole = decode("gemini", document.as_bytes(), CallIds::default());
            (streamed.map_err(|error| error.kind()), whole.map_err(|error| error.kind()))
        };
        for call in [r#""f""#, r#"{"name": 7}"#, r#"{"name": "f", "partialArgs": 7}"#] {
            let (streamed, whole) = both(&format!(r#"{{"functionCall": {call}}}"#));
            assert_eq!(streamed, Err(ErrorKind::Decode), "{call}");
            assert_eq!(whole, Err(ErrorKind::Decode), "{call}");
        }
        let (streamed, whole) = both(r#"{"functionCall": {"name": "f", "args": {"a": 1e999}}}"#);
        assert_eq!((streamed, whole), (Err(ErrorKind::Decode), Err(ErrorKind::Decode)));
        // What it is called with is for the tool to judge.
        for (args, arguments) in [("\"{}\"", "\"{}\""), ("[1]", "[1]"), ("null", "{}")] {
            let (_, whole) =
                both(&format!(r#"{{"functionCall": {{"name": "f", "args": {args}}}}}"#));
            let calls: Vec<_> = whole.unwrap().tool_calls().cloned().collect();
            assert_eq!(calls, [ToolCall::new("call_0", "f", arguments)]);
        }
    }

    #[test]
    fn a_stream_without_a_reason_was_cut() {
        let text = parts(json!([{"text": "a"}]));
        assert_eq!(read(&[text]).unwrap_err().kind(), ErrorKind::Truncated);
        let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
        assert_eq!(read(&[blocked]).unwrap().finish.reason, FinishReason::ContentFilter);
        let mut decoder = ContentDecoder::new("gemini", CallIds::default());
        let last = end("STOP").to_string();
        assert!(decoder.end(Some(&last[..last.len() - 1]), &mut VecDeque::new()).is_err());
        assert!(decoder.end(Some(&last), &mut VecDeque::new()).is_ok());
    }

    #[test]
    fn an_error_within_the_stream_ends_it() {
        let error =
            json!({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}});
        let outcome = read(&[parts(json!([{"text": "a"}])), error]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::RateLimit);
    }

    #[test]
    fn events_are_what_serde_json_says() {
        agrees_on_recordings("gemini-generate", |event| agrees::<Document<'_>>(event));
    }
}
