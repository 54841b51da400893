//! An answer that has arrived whole, and what it shares with a streamed one.
//!
//! Every member is optional and every enumeration open: compatible servers leave out and add.

use super::reasoning::{self, Kept};
use crate::llm::adapter::json::{
    Fill, Filled, Raw, Reader, Refused, WireText, read_into, some, wire,
};
use crate::llm::adapter::{CallIds, Failure, Piece, Tell};
use crate::llm::chat::{ChatResponse, Finish, FinishReason, mark_truncated};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::{Message, Part, Reasoning, Role, Text, ToolCall};
use crate::llm::stream::ChatEvent;
use crate::llm::usage::{Usage, sum_of};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

pub(super) fn decode(provider: &str, body: &[u8], mut ids: CallIds) -> Result<ChatResponse, Error> {
    let decode =
        |reason: &str| Error::new(ErrorKind::Decode, reason.to_owned()).with_provider(provider);
    let completion = read(body).map_err(|error| {
        decode("the answer is not what chat completions are").with_source(error)
    })?;
    if let Some(error) = completion.error {
        return Err(in_band(provider, error));
    }
    let choices = completion.choices.unwrap_or_default();
    // With `n` above 1 there are several; the first is the answer.
    let choice = choices.into_iter().min_by_key(|choice| choice.index.unwrap_or(0));
    let Choice { message, finish_reason, .. } =
        choice.ok_or_else(|| decode("the answer holds no choice"))?;
    let mut message = message.unwrap_or_default();
    let mut content = Vec::new();
    let mut kept = Kept::default();
    let values = message.kept();
    let reasoning = message.take_reasoning(&values).collect::<String>();
    values.into_iter().for_each(|value| kept.keep(value, false));
    if !reasoning.is_empty() || kept.is_shown() {
        let signature = kept.take_shown(provider);
        content.push(Part::Reasoning(Reasoning { text: reasoning, signature }));
    }
    let citations = message.take_citations();
    let text = message.content.into_texts().collect::<String>();
    if !text.is_empty() || !citations.is_empty() {
        content.push(Part::Text(Text { text, citations, signature: None }));
    }
    let refused = message.refusal.filter(|refusal| !refusal.is_empty());
    content.extend(refused.map(|refusal| Part::Refusal(refusal.into_owned())));
    let calls = message.tool_calls.unwrap_or_default().into_iter();
    content.extend(calls.filter_map(|call| call.into_call(&mut ids)).map(Part::ToolCall));
    // What cannot be read of the reasoning is no text, but goes back all the same.
    content.extend(
        kept.take_rest(provider)
            .map(|mark| Part::Reasoning(Reasoning { text: String::new(), signature: Some(mark) })),
    );
    let has_calls = content.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let has_refused = content.iter().any(|part| matches!(part, Part::Refusal(_)));
    let finish = finish(finish_reason.as_deref(), has_calls, has_refused);
    mark_truncated(&mut content, &finish.reason);
    let mut response = ChatResponse::new(Message::new(Role::Assistant, content), finish);
    response.id = some(completion.id);
    response.model = some(completion.model);
    response.usage = completion.usage.map(WireUsage::into_usage);
    Ok(response)
}

/// Reads the body of an answer. What is no UTF-8 is no JSON, and serde_json says where.
fn read(body: &[u8]) -> Result<Completion<'_>, serde_json::Error> {
    let mut completion = Completion::default();
    match std::str::from_utf8(body) {
        Ok(text) => read_into(&mut completion, text)?,
        Err(_) => completion = serde_json::from_slice(body)?,
    }
    Ok(completion)
}

wire! {
    struct Completion<'a> {
        #[serde(borrow)]
        id: Option<WireText<'a>> = "id",
        #[serde(borrow)]
        model: Option<WireText<'a>> = "model",
        #[serde(borrow)]
        choices: Option<SmallVec<[Choice<'a>; 1]>> = "choices",
        usage: Option<WireUsage> = "usage",
        #[serde(borrow)]
        error: Option<Raw<'a>> = "error",
    }
}

wire! {
    struct Choice<'a> {
        index: Option<u64> = "index",
        #[serde(borrow)]
        message: Option<WireMessage<'a>> = "message",
        #[serde(borrow)]
        finish_reason: Option<WireText<'a>> = "finish_reason",
    }
}

/// The one type of annotations that OpenAI's reference knows. Others that are sent (OpenRouter's `file`) are no sources.
const URL_CITATION: &str = "url_citation";

wire! {
    /// The message of an answer, or what a chunk adds to it.
    pub(super) struct WireMessage<'a> {
        #[serde(borrow)]
        pub(super) content: Content<'a> = "content",
        #[serde(borrow)]
        pub(super) refusal: Option<WireText<'a>> = "refusal",
        /// Where the text was taken from.
        #[serde(borrow)]
        annotations: Option<Raw<'a>> = "annotations",
        #[serde(borrow)]
        reasoning_content: Option<WireText<'a>> = "reasoning_content",
        #[serde(borrow)]
        reasoning: Option<WireText<'a>> = "reasoning",
        /// OpenRouter's, in which the same text stands once more.
        #[serde(borrow)]
        reasoning_details: Option<Raw<'a>> = "reasoning_details",
        /// Streamed, they come one by one.
        #[serde(borrow)]
        pub(super) tool_calls: Option<SmallVec<[WireCall<'a>; 1]>> = "tool_calls",
    }
}

impl<'a> WireMessage<'a> {
    /// The piece of one text, if there is nothing else.
    pub(super) fn piece(&self) -> Option<Piece<'a>> {
        let content = match &self.content {
            Content::Nothing => None,
            Content::Text(text) => Some(text),
            Content::Parts(_) => return None,
        };
        let texts: [(_, Tell); 4] = [
            (content, ChatEvent::Text),
            (self.refusal.as_ref(), ChatEvent::Refusal),
            (self.reasoning_content.as_ref(), ChatEvent::Reasoning),
            (self.reasoning.as_ref(), ChatEvent::Reasoning),
        ];
        let some = texts.into_iter().filter_map(|(text, tell)| Some((text?, tell)));
        let mut said = some.filter(|(text, _)| !text.is_empty());
        let (text, tell) = said.next()?;
        let calls = self.tool_calls.as_deref().unwrap_or_default();
        let others = self.reasoning_details.is_some() || self.annotations.is_some();
        let is_alone = said.next().is_none() && calls.is_empty() && !others;
        Some(Piece { text: text.borrowed()?, tell }).filter(|_| is_alone)
    }
}

impl WireMessage<'_> {
    /// DeepSeek's name for the reasoning, or vLLM's; some servers send both, with the same text.
    /// Where there is neither, details or parts of the content may tell.
    pub(super) fn take_reasoning(&mut self, kept: &[Value]) -> impl Iterator<Item = String> {
        let named = some(self.reasoning_content.take()).or_else(|| some(self.reasoning.take()));
        let details = if named.is_some() { &[] } else { kept };
        let details = details.iter().map(reasoning::text).filter(|text| !text.is_empty());
        named.into_iter().chain(details)
    }

    /// Where the text was taken from, in the form in which responses tell it: there, what this interface keeps
    /// in a member `url_citation` stands in the annotation itself.
    pub(super) fn take_citations(&mut self) -> Vec<Value> {
        let Some(Value::Array(annotations)) = self.annotations.take().map(Raw::value) else {
            return Vec::new();
        };
        let flat = annotations.into_iter().filter_map(|annotation| {
            let Value::Object(mut annotation) = annotation else { return None };
            if annotation.get("type")? != URL_CITATION {
                return None;
            }
            if let Some(Value::Object(citation)) = annotation.remove(URL_CITATION) {
                annotation.extend(citation);
            }
            Some(Value::Object(annotation))
        });
        flat.collect()
    }

    /// What must go back as it came.
    pub(super) fn kept(&self) -> Vec<Value> {
        let details = self.reasoning_details.map(Raw::value);
        let mut kept = if let Some(Value::Array(details)) = details { details } else { Vec::new() };
        kept.extend(self.content.thoughts().cloned());
        kept
    }
}

/// Text, nothing, or (from Mistral) parts of text and thoughts.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Nothing,
    Text(WireText<'a>),
    Parts(Vec<ContentPart>),
}

#[derive(Debug)]
pub(super) enum ContentPart {
    Text(String),
    /// As it came.
    Thought(Value),
}

impl Content<'_> {
    /// Tells whether there is anything to read.
    pub(super) fn has_text(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Text(text) => !text.is_empty(),
            Self::Parts(parts) => {
                parts.iter().any(|part| matches!(part, ContentPart::Text(text) if !text.is_empty()))
            }
        }
    }

    /// The texts, each of which the caller may keep as it is.
    pub(super) fn into_texts(self) -> impl Iterator<Item = String> {
        let (text, parts) = match self {
            Self::Nothing => (None, Vec::new()),
            Self::Text(text) => (Some(text.into_owned()), Vec::new()),
            Self::Parts(parts) => (None, parts),
        };
        text.into_iter().chain(parts.into_iter().filter_map(|part| match part {
            ContentPart::Text(text) => Some(text),
            ContentPart::Thought(_) => None,
        }))
    }

    fn thoughts(&self) -> impl Iterator<Item = &Value> {
        let parts = if let Self::Parts(parts) = self { &parts[..] } else { &[] };
        parts.iter().filter_map(|part| match part {
            ContentPart::Thought(value) => Some(value),
            ContentPart::Text(_) => None,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

impl<'a> Fill<'a> for Content<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Filled<()> {
        *self = match reader.is_at_text() {
            true => Self::Text(reader.text()?.into()),
            false => serde_json::from_str(reader.raw()?).map_err(|_| Refused)?,
        };
        Ok(())
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or parts")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Content<'de>, E> {
        Ok(Content::Text(Cow::Borrowed(text).into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content<'de>, E> {
        Ok(Content::Text(text.to_owned().into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content<'de>, E> {
        Ok(Content::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content<'de>, A::Error> {
        let mut content = Vec::new();
        while let Some(part) = parts.next_element::<Value>()? {
            let text = |key: &str| part.get(key).and_then(Value::as_str).map(str::to_owned);
            match part.get("type").and_then(Value::as_str) {
                Some("thinking") => content.push(ContentPart::Thought(part)),
                _ => content.extend(text("text").map(ContentPart::Text)),
            }
        }
        Ok(Content::Parts(content))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Content::Nothing)
    }
}

wire! {
    /// A call, or a piece of one.
    pub(super) struct WireCall<'a> {
        pub(super) index: Option<u64> = "index",
        #[serde(borrow)]
        pub(super) id: Option<WireText<'a>> = "id",
        #[serde(borrow)]
        function: Option<WireFunction<'a>> = "function",
        /// What a tool of the type `custom` is called with.
        #[serde(borrow)]
        custom: Option<WireFunction<'a>> = "custom",
    }
}

wire! {
    struct WireFunction<'a> {
        #[serde(borrow)]
        name: Option<WireText<'a>> = "name",
        /// A custom tool has an input, which is any text.
        #[serde(borrow)]
        arguments: Option<Raw<'a>> = "arguments" | "input",
    }
}

impl WireCall<'_> {
    fn function(&self) -> Option<&WireFunction<'_>> {
        self.function.as_ref().or(self.custom.as_ref())
    }

    /// Which tool is called. Some servers repeat the name, empty, in later pieces.
    pub(super) fn name(&self) -> Option<&str> {
        self.function()?.name.as_deref().filter(|name| !name.is_empty())
    }

    /// The arguments: text that holds JSON, or (from Ollama) the JSON itself.
    pub(super) fn arguments(&self) -> String {
        let arguments = self.function().and_then(|function| function.arguments);
        let raw = arguments.map_or("", |arguments| arguments.0);
        match raw.starts_with('"') {
            true => Raw(raw).text(),
            false if raw == "null" => String::new(),
            false => raw.to_owned(),
        }
    }

    /// The call, unless it names no tool: nobody could answer it.
    fn into_call(self, ids: &mut CallIds) -> Option<ToolCall> {
        let name = self.name()?;
        let id = ids.take(self.id.as_deref().unwrap_or_default());
        Some(ToolCall::new(id, name, self.arguments()))
    }
}

wire! {
    /// The usage as chat completions count it: the prompt includes what was cached, the completion the reasoning.
    #[derive(Clone, Copy)]
    pub(super) struct WireUsage {
        prompt_tokens: Option<u64> = "prompt_tokens",
        completion_tokens: Option<u64> = "completion_tokens",
        total_tokens: Option<u64> = "total_tokens",
        prompt_tokens_details: Option<PromptDetails> = "prompt_tokens_details",
        completion_tokens_details: Option<CompletionDetails> = "completion_tokens_details",
        /// DeepSeek's name for the cached part.
        prompt_cache_hit_tokens: Option<u64> = "prompt_cache_hit_tokens",
    }
}

wire! {
    #[derive(Clone, Copy)]
    struct PromptDetails {
        cached_tokens: Option<u64> = "cached_tokens",
        cache_write_tokens: Option<u64> = "cache_write_tokens",
    }
}

wire! {
    #[derive(Clone, Copy)]
    struct CompletionDetails {
        reasoning_tokens: Option<u64> = "reasoning_tokens",
    }
}

impl WireUsage {
    /// Takes over a later snapshot; what that leaves out stays as it was.
    pub(super) fn update(&mut self, later: &Self) {
        let keep = |known: &mut Option<u64>, later: Option<u64>| *known = later.or(*known);
        keep(&mut self.prompt_tokens, later.prompt_tokens);
        keep(&mut self.completion_tokens, later.completion_tokens);
        keep(&mut self.total_tokens, later.total_tokens);
        keep(&mut self.prompt_cache_hit_tokens, later.prompt_cache_hit_tokens);
        let prompt = self.prompt_tokens_details.get_or_insert_default();
        let of = later.prompt_tokens_details.unwrap_or_default();
        keep(&mut prompt.cached_tokens, of.cached_tokens);
        keep(&mut prompt.cache_write_tokens, of.cache_write_tokens);
        let of = later.completion_tokens_details.unwrap_or_default();
        let completion = self.completion_tokens_details.get_or_insert_default();
        keep(&mut completion.reasoning_tokens, of.reasoning_tokens);
    }

    pub(super) fn into_usage(self) -> Usage {
        let prompt = self.prompt_tokens_details.unwrap_or_default();
        let cached = prompt.cached_tokens.or(self.prompt_cache_hit_tokens);
        let written = prompt.cache_write_tokens;
        let reasoning = self.completion_tokens_details.unwrap_or_default().reasoning_tokens;
        let total = sum_of([self.prompt_tokens, self.completion_tokens, reasoning]);
        // xAI counts the reasoning beside the completion; the total tells.
        let beside = self.total_tokens == Some(total);
        let less = |whole: u64, parts: [Option<u64>; 2]| whole.saturating_sub(sum_of(parts));
        Usage {
            input_tokens: self.prompt_tokens.map(|tokens| less(tokens, [cached, written])),
            cache_read_tokens: cached,
            cache_write_tokens: written,
            output_tokens: self
                .completion_tokens
                .map(|tokens| less(tokens, [reasoning.filter(|_| !beside), None])),
            reasoning_tokens: reasoning,
            estimated: false,
        }
    }
}

/// Our word for the reason why an answer ended. Some servers say `stop`, or an empty text, though
/// calls were made.
pub(super) fn finish(raw: Option<&str>, has_calls: bool, has_refused: bool) -> Finish {
    let reason = match raw.unwrap_or_default() {
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ if raw.is_none() => FinishReason::Other(String::new()),
        "stop" | "" if has_calls => FinishReason::ToolCalls,
        "stop" | "" if has_refused => FinishReason::ContentFilter,
        "stop" | "" => FinishReason::Stop,
        "length" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        // DeepSeek's word for want of capacity, and that of vLLM and SGLang for a request that was given up.
        "error" | "insufficient_system_resource" | "abort" => FinishReason::Error,
        other => FinishReason::Other(other.to_owned()),
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}

/// An error that came with status 200.
pub(super) fn in_band(provider: &str, error: Raw<'_>) -> Error {
    Failure::of(&serde_json::json!({"error": error.value()})).into_error(provider, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::adapter::json::tests::agrees;
    use serde_json::json;

    fn read(body: Value) -> Result<ChatResponse, Error> {
        decode("test", body.to_string().as_bytes(), CallIds::default())
    }

    fn choice(message: Value, finish_reason: &str) -> Value {
        json!({"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]})
    }

    #[test]
    fn text_calls_and_usage_are_read() {
        let mut body = choice(
            json!({"role": "assistant", "content": "Let me see.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
                {"function": {"name": "now", "arguments": {}}},
            ]}),
            "stop",
        );
        body["usage"] = json!({
            "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 5},
        });
        let response = read(body).unwrap();
        assert_eq!(response.text(), "Let me see.");
        let calls: Vec<_> = response.tool_calls().cloned().collect();
        assert_eq!(
            calls,
            [ToolCall::new("c1", "add", "{\"a\":1}"), ToolCall::new("call_1", "now", "{}")]
        );
        assert_eq!(response.finish, Finish::new(FinishReason::ToolCalls, "stop"));
        let usage = response.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cache_read_tokens), (Some(40), Some(60)));
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (Some(15), Some(5)));
        assert_eq!(usage.total(), 120);
    }

    #[test]
    fn compatible_servers_may_differ() {
        let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]);
        let mistral = read(choice(json!({"content": thinking}), "model_length")).unwrap();
        assert_eq!((mistral.message.reasoning(), mistral.text()), ("hm".into(), "a".into()));
        assert_eq!(mistral.finish.reason, FinishReason::Length);
        let deepseek = read(choice(
            json!({"content": "a", "reasoning_content": "hm", "reasoning": "hm"}),
            "stop",
        ))
        .unwrap();
        assert_eq!(deepseek.message.reasoning(), "hm");
        let unknown =
            read(choice(json!({"content": null, "tool_calls": null, "extra": {}}), "because"))
                .unwrap();
        assert_eq!(unknown.finish.reason, FinishReason::Other("because".into()));
    }

    #[test]
    fn answers_are_what_serde_json_says() {
        let call = json!({"id": "c1", "function": {"name": "add", "arguments": "{\"a\": 1}"}});
        let mut whole = choice(
            json!({
                "role": "assistant", "content": "\"é\"\n", "refusal": null, "annotations": [],
                "reasoning_content": "hm", "tool_calls": [call, call],
            }),
            "stop",
        );
        whole["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
        let second = whole["choices"][0].clone();
        whole["choices"].as_array_mut().unwrap().push(second);
        let parts = json!([{"type": "text", "text": "a"}]);
        for body in [
            whole,
            choice(json!({"content": parts}), "stop"),
            choice(json!(null), "length"),
            json!({"choices": [], "usage": null}),
            json!({"choices": null}),
            json!({"error": {"message": "busy"}}),
            json!({}),
        ] {
            assert!(agrees::<Completion<'_>>(&body.to_string()), "{body}");
        }
        for body in [&br#"{"choices": [{"index": -1}]}"#[..], b"[]", b"{", b"{\"id\": \"\xff\"}"] {
            let error = decode("test", body, CallIds::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
        }
    }

    #[test]
    fn annotations_say_where_the_text_was_taken_from() {
        let cited = json!({"start_index": 0, "end_index": 1, "title": "t", "url": "https://a"});
        let mut flat = cited.clone();
        flat["type"] = "url_citation".into();
        let annotations = json!([
            {"type": "url_citation", "url_citation": cited},
            {"type": "file", "file": {"content": "long"}},
            {"type": "url_citation", "url": "https://b"},
            "odd",
        ]);
        let response =
            read(choice(json!({"content": "a", "annotations": annotations}), "stop")).unwrap();
        let [Part::Text(text)] = &response.message.content[..] else { panic!("{response:?}") };
        let other = json!({"type": "url_citation", "url": "https://b"});
        assert_eq!((text.text.as_str(), &text.citations), ("a", &vec![flat, other]));
        for odd in [json!(null), json!([]), json!({}), json!("x"), json!([null])] {
            let response =
                read(choice(json!({"content": "a", "annotations": odd}), "stop")).unwrap();
            assert_eq!(response.message.content, [Part::text("a")]);
        }
    }

    #[test]
    fn a_refusal_is_a_content_filter() {
        let response = read(choice(json!({"content": null, "refusal": "No."}), "stop")).unwrap();
        assert_eq!(response.message.refusal().as_deref(), Some("No."));
        assert_eq!(response.finish, Finish::new(FinishReason::ContentFilter, "stop"));
    }

    #[test]
    fn custom_calls_are_read_and_nameless_ones_are_none() {
        let custom =
            json!({"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}});
        let calls =
            json!([custom, {"id": "c2", "type": "odd"}, {"id": "c3", "function": {"name": ""}}]);
        let response = read(choice(json!({"tool_calls": calls}), "tool_calls")).unwrap();
        let calls: Vec<_> = response.tool_calls().cloned().collect();
        assert_eq!(calls, [ToolCall::new("c1", "run", "ls")]);
        let nobody = read(choice(json!({"tool_calls": [{"id": "c2"}]}), "stop")).unwrap();
        assert_eq!(nobody.finish.reason, FinishReason::Stop);
    }

    #[test]
    fn an_empty_reason_is_an_end() {
        let end = |message| read(choice(message, "")).unwrap().finish;
        assert_eq!(end(json!({"content": "a"})), Finish::new(FinishReason::Stop, ""));
        let call = json!({"id": "c1", "function": {"name": "add", "arguments": "{}"}});
        assert_eq!(end(json!({"tool_calls": [call]})), Finish::new(FinishReason::ToolCalls, ""));
    }

    #[test]
    fn ids_are_invented_that_the_conversation_lacks() {
        let call = json!({"function": {"name": "now", "arguments": "{}"}});
        let body = choice(json!({"tool_calls": [call, call]}), "tool_calls").to_string();
        let response = decode("test", body.as_bytes(), CallIds::new(["call_0", "call_2"])).unwrap();
        let ids: Vec<_> = response.tool_calls().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["call_3", "call_4"]);
    }

    #[test]
    fn nonsense_in_the_usage_does_not_overflow() {
        let mut body = choice(json!({"content": "a"}), "stop");
        body["usage"] = json!({
            "prompt_tokens": u64::MAX, "completion_tokens": u64::MAX, "total_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": u64::MAX, "cache_write_tokens": u64::MAX},
            "completion_tokens_details": {"reasoning_tokens": u64::MAX},
        });
        assert_eq!(read(body).unwrap().usage.unwrap().total(), u64::MAX);
    }

    #[test]
    fn an_answer_that_the_server_gave_up_is_no_answer() {
        for reason in ["error", "insufficient_system_resource", "abort"] {
            let finish = read(choice(json!({"content": "The ans"}), reason)).unwrap().finish;
            assert_eq!(finish, Finish::new(FinishReason::Error, reason));
            let error = finish.check(false).unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some(reason)));
        }
    }

    #[test]
    fn a_cut_call_never_runs() {
        let call = json!({"id": "c1", "function": {"name": "add", "arguments": "{\"a\":"}});
        let response = read(choice(json!({"tool_calls": [call]}), "length")).unwrap();
        assert_eq!(response.tool_calls().count(), 0);
        assert_eq!(response.message.tool_calls().next().unwrap().arguments, "{\"a\":");
    }

    #[test]
    fn errors_within_an_answer_are_errors() {
        let error = read(json!({"error": {"message": "busy", "code": 503}})).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Overloaded, "busy"));
        let limited = json!({"message": "try again in 2s", "code": "429"});
        let error = read(json!({"error": limited})).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::RateLimit, Some(429)));
        assert_eq!(error.retry_after().unwrap().as_secs(), 2);
        assert_eq!(read(json!({"choices": []})).unwrap_err().kind(), ErrorKind::Decode);
        assert_eq!(
            decode("test", b"<html>", CallIds::default()).unwrap_err().kind(),
            ErrorKind::Decode
        );
    }
}
