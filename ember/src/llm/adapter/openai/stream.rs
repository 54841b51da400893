use super::response::{WireMessage, WireUsage, finish, in_band, invented_id};
use crate::llm::adapter::EventDecoder;
use crate::llm::chat::Finish;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::{Part, ToolCall};
use crate::llm::stream::ChatEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::VecDeque;

/// How many unreadable events in a row are taken for noise.
const MAX_GARBAGE: usize = 10;

/// Reads a streamed chat completion.
///
/// The reason for the end comes in a chunk of its own, before the usage, so the answer is over
/// only with `[DONE]` or the last byte. A stream without a reason was cut off.
#[derive(Debug)]
pub struct ChunkDecoder {
    provider: String,
    started: bool,
    calls: Vec<OpenCall>,
    refused: bool,
    /// The last reason that is more than an empty text, which some servers send with every chunk.
    finish_reason: Option<String>,
    garbage: usize,
}

/// A call that is being put together.
#[derive(Debug)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    /// Arguments that came before the name; once that is known, pieces are passed on.
    early: String,
    started: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Option<Vec<ChunkChoice<'a>>>,
    usage: Option<WireUsage>,
    /// Groq's place for the usage.
    x_groq: Option<Groq>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<WireMessage<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Groq {
    usage: Option<WireUsage>,
}

impl ChunkDecoder {
    pub(super) fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            started: false,
            calls: Vec::new(),
            refused: false,
            finish_reason: None,
            garbage: 0,
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if let Some(error) = chunk.error {
            return Err(in_band(&self.provider, error));
        }
        self.start(chunk.id, chunk.model, out);
        for choice in chunk.choices.unwrap_or_default() {
            // With `n` above 1 there are several; the first is the answer.
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            if let Some(delta) = choice.delta {
                self.delta(delta, out);
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish_reason = Some(reason.into_owned());
            }
        }
        let usage = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
        out.extend(usage.map(|usage| ChatEvent::Usage(usage.into_usage())));
        Ok(())
    }

    /// Tells id and model once. Azure's first chunk has neither.
    fn start(
        &mut self,
        id: Option<Cow<'_, str>>,
        model: Option<Cow<'_, str>>,
        out: &mut VecDeque<ChatEvent>,
    ) {
        if self.started {
            return;
        }
        let known =
            |name: Option<Cow<'_, str>>| name.filter(|name| !name.is_empty()).map(Cow::into_owned);
        let (id, model) = (known(id), known(model));
        if id.is_some() || model.is_some() {
            self.started = true;
            out.push_back(ChatEvent::Start { id, model });
        }
    }

    /// One chunk can hold text, reasoning and pieces of several calls.
    fn delta(&mut self, delta: WireMessage<'_>, out: &mut VecDeque<ChatEvent>) {
        let thoughts = delta.reasoning().chain(delta.content.thoughts());
        out.extend(thoughts.map(|text| ChatEvent::Reasoning(text.to_owned())));
        let texts = delta.content.texts().filter(|text| !text.is_empty());
        out.extend(texts.map(|text| ChatEvent::Text(text.to_owned())));
        if let Some(refusal) = delta.refusal.filter(|refusal| !refusal.is_empty()) {
            self.refused = true;
            out.push_back(ChatEvent::Refusal(refusal.into_owned()));
        }
        for call in delta.tool_calls.unwrap_or_default() {
            let arguments = call.function.arguments();
            let place = self.call(call.index, call.id.as_deref().unwrap_or_default());
            let open = &mut self.calls[place];
            // Some servers repeat the name, empty; only the first one counts.
            if !open.started
                && let Some(name) = call.function.name.filter(|name| !name.is_empty())
            {
                open.started = true;
                let name = name.into_owned();
                out.push_back(ChatEvent::ToolCallStart {
                    index: place,
                    id: open.id.clone(),
                    name,
                    signature: None,
                });
                let early = std::mem::take(&mut open.early);
                out.extend(piece(place, early));
            }
            if open.started {
                out.extend(piece(place, arguments));
            } else {
                open.early.push_str(&arguments);
            }
        }
    }

    /// Finds the call that a piece belongs to: by index, else by id, else the latest. Another id
    /// at a known index is another call.
    fn call(&mut self, index: Option<u64>, id: &str) -> usize {
        let same_id = |call: &OpenCall| id.is_empty() || call.id == id;
        let known = match index {
            Some(_) => self
                .calls
                .iter()
                .rposition(|call| call.index == index)
                .filter(|at| same_id(&self.calls[*at])),
            None if id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().rposition(|call| call.id == id),
        };
        known.unwrap_or_else(|| {
            let place = self.calls.len();
            let id = if id.is_empty() { invented_id(place) } else { id.to_owned() };
            self.calls.push(OpenCall { index, id, early: String::new(), started: false });
            place
        })
    }

    /// The reason for the end, in our words.
    fn finish(&self, raw: &str) -> Finish {
        let call = self.calls.first().map(|call| Part::ToolCall(ToolCall::new(&call.id, "", "")));
        let refusal = self.refused.then(|| Part::Refusal(String::new()));
        let content: Vec<_> = call.into_iter().chain(refusal).collect();
        finish(Some(raw), &content)
    }
}

fn piece(index: usize, arguments: String) -> Option<ChatEvent> {
    (!arguments.is_empty()).then_some(ChatEvent::ToolCallDelta { index, arguments })
}

impl EventDecoder for ChunkDecoder {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if data == "[DONE]" {
            return self.end(None, out);
        }
        match serde_json::from_str(data) {
            Ok(chunk) => {
                self.garbage = 0;
                self.chunk(chunk, out)
            }
            Err(error) => {
                self.garbage += 1;
                tracing::warn!(provider = self.provider, %error, "an unreadable event was skipped");
                if self.garbage < MAX_GARBAGE {
                    return Ok(());
                }
                let error =
                    Error::new(ErrorKind::Decode, "the stream is unreadable").with_source(error);
                Err(error.with_provider(&self.provider))
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.finish_reason.is_some()
    }

    fn end(&mut self, rest: Option<&str>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        // The last event may lack its blank line; half of one is not JSON.
        if let Some(Ok(chunk)) = rest.map(serde_json::from_str) {
            self.chunk(chunk, out)?;
        }
        match &self.finish_reason {
            Some(reason) => out.push_back(ChatEvent::Finish(self.finish(reason))),
            None => {
                let error = Error::new(
                    ErrorKind::Truncated,
                    "the stream ended before the answer was complete",
                );
                return Err(error.with_provider(&self.provider));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::{ChatResponse, FinishReason};
    use crate::llm::message::ToolCall;
    use crate::llm::stream::Accumulator;
    use serde_json::{Value, json};

    /// Decodes chunks, and ends as a connection does that is closed after them.
    fn read(chunks: &[Value]) -> Result<ChatResponse, Error> {
        let mut decoder = ChunkDecoder::new("test");
        let mut events = VecDeque::new();
        for chunk in chunks {
            decoder.event(&chunk.to_string(), &mut events)?;
        }
        decoder.end(None, &mut events)?;
        let mut accumulator = Accumulator::new();
        events.iter().for_each(|event| accumulator.push(event));
        accumulator.finish()
    }

    fn delta(delta: Value) -> Value {
        json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": null})
    }

    fn end(reason: &str) -> Value {
        json!({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    }

    fn call(piece: Value) -> Value {
        delta(json!({"tool_calls": [piece]}))
    }

    fn calls(chunks: &[Value]) -> Vec<ToolCall> {
        read(chunks).unwrap().tool_calls().cloned().collect()
    }

    #[test]
    fn text_and_usage_arrive_and_the_end_is_not_the_reason() {
        let usage = json!({"prompt_tokens": 7, "completion_tokens": 2});
        let response = read(&[
            json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []}),
            delta(json!({"role": "assistant", "content": ""})),
            delta(json!({"content": "Hel"})),
            delta(json!({"content": "lo"})),
            end("stop"),
            json!({"id": "x", "choices": [], "usage": usage}),
        ])
        .unwrap();
        assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("x"), Some("m")));
        assert_eq!(response.text(), "Hello");
        assert_eq!(response.finish, Finish::new(FinishReason::Stop, "stop"));
        assert_eq!(response.usage.unwrap().total(), 9);
    }

    #[test]
    fn calls_are_put_together_by_index() {
        let chunks = [
            call(json!({"index": 0, "id": "a", "function": {"name": "add", "arguments": ""}})),
            call(json!({"index": 1, "id": "b", "function": {"name": "now", "arguments": "{"}})),
            call(json!({"index": 0, "function": {"arguments": "{\"x\":"}})),
            call(json!({"index": 1, "function": {"name": "", "arguments": "}"}})),
            call(json!({"index": 0, "function": {"name": "", "arguments": "1}"}})),
            end("tool_calls"),
        ];
        assert_eq!(
            calls(&chunks),
            [ToolCall::new("a", "add", "{\"x\":1}"), ToolCall::new("b", "now", "{}")]
        );
    }

    #[test]
    fn calls_without_index_or_id_are_put_together_as_well() {
        let by_id = [
            call(json!({"id": "a", "function": {"name": "f", "arguments": "{"}})),
            call(json!({"id": "b", "function": {"name": "g", "arguments": "{}"}})),
            call(json!({"id": "a", "function": {"arguments": "}"}})),
            end("stop"),
        ];
        assert_eq!(calls(&by_id), [ToolCall::new("a", "f", "{}"), ToolCall::new("b", "g", "{}")]);
        let by_order = [
            call(json!({"function": {"name": "f", "arguments": "{"}})),
            call(json!({"function": {"arguments": "}"}})),
            end("stop"),
        ];
        assert_eq!(calls(&by_order), [ToolCall::new("call_0", "f", "{}")]);
        let same_index = [
            call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}})),
            call(json!({"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}})),
            end("stop"),
        ];
        assert_eq!(
            calls(&same_index),
            [ToolCall::new("a", "f", "{}"), ToolCall::new("b", "g", "{}")]
        );
    }

    #[test]
    fn one_chunk_can_hold_everything() {
        let whole = json!({
            "reasoning_content": "hm", "content": "a",
            "tool_calls": [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
                {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
            ],
        });
        let response = read(&[delta(whole), end("tool_calls")]).unwrap();
        assert_eq!((response.message.reasoning(), response.text()), ("hm".into(), "a".into()));
        assert_eq!(response.tool_calls().count(), 2);
    }

    #[test]
    fn a_stream_without_a_reason_was_cut() {
        assert_eq!(
            read(&[delta(json!({"content": "a"}))]).unwrap_err().kind(),
            ErrorKind::Truncated
        );
        let mut decoder = ChunkDecoder::new("test");
        let mut events = VecDeque::new();
        let last = end("stop").to_string();
        assert!(decoder.end(Some(&last[..last.len() - 1]), &mut events).is_err(), "half an event");
        assert!(decoder.end(Some(&last), &mut events).is_ok(), "an event without its blank line");
    }

    #[test]
    fn an_error_within_the_stream_ends_it() {
        let error = json!({"error": {"message": "busy", "type": "overloaded_error"}});
        assert_eq!(
            read(&[delta(json!({"content": "a"})), error]).unwrap_err().kind(),
            ErrorKind::Overloaded
        );
    }

    #[test]
    fn garbage_is_skipped_until_it_is_too_much() {
        let mut decoder = ChunkDecoder::new("test");
        let mut events = VecDeque::new();
        for _ in 0..3 {
            for _ in 1..MAX_GARBAGE {
                decoder.event("{\"choices\":", &mut events).unwrap();
            }
            decoder.event(&delta(json!({"content": "a"})).to_string(), &mut events).unwrap();
        }
        for _ in 1..MAX_GARBAGE {
            decoder.event("x", &mut events).unwrap();
        }
        assert_eq!(decoder.event("x", &mut events).unwrap_err().kind(), ErrorKind::Decode);
    }
}
