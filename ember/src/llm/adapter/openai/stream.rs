use super::reasoning::Kept;
use super::response::{WireMessage, WireUsage, finish, in_band};
use crate::llm::adapter::json::{Raw, WireText, some, wire};
use crate::llm::adapter::{CallIds, EventDecoder, Garbage, Piece, Repeat, cut, last};
use crate::llm::error::Error;
use crate::llm::stream::ChatEvent;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Reads a streamed chat completion.
///
/// The reason for the end comes in a chunk of its own, before the usage, so the answer is over
/// only with `[DONE]` or the last byte. A stream without a reason was cut off.
#[derive(Debug)]
pub struct ChunkDecoder {
    provider: String,
    started: bool,
    ids: CallIds,
    calls: Vec<OpenCall>,
    /// How many calls have been told: those that name a tool.
    told: usize,
    refused: bool,
    /// What of the reasoning must go back.
    kept: Kept,
    /// Whether the last that was told is reasoning.
    thinks: bool,
    /// Whether the last that was told is text.
    writes: bool,
    /// The figures so far: a later snapshot may leave out what an earlier one has told.
    usage: WireUsage,
    finish_reason: Option<String>,
    /// Whether the last chunk gave an empty text as its reason. Some servers do so at the end
    /// instead of a word, and others with every chunk.
    empty_reason: bool,
    /// Whether a chunk had no reason at all, so that an empty one says more than that.
    no_reason: bool,
    garbage: Garbage,
    repeat: Repeat,
}

/// What OpenAI and Mistral pad a chunk with, so that its length does not tell that of its text.
const UNREAD: &[&str] = &["obfuscation", "p"];

/// A call that is being put together.
#[derive(Debug)]
struct OpenCall {
    index: Option<u64>,
    /// As the server sent it, or empty.
    id: String,
    /// Arguments that came before the name; once that is known, pieces are passed on.
    early: String,
    /// The number of the call, once it is told.
    place: Option<usize>,
}

wire! {
    struct Chunk<'a> {
        #[serde(borrow)]
        id: Option<WireText<'a>> = "id",
        #[serde(borrow)]
        model: Option<WireText<'a>> = "model",
        #[serde(borrow)]
        choices: Option<SmallVec<[ChunkChoice<'a>; 1]>> = "choices",
        usage: Option<WireUsage> = "usage",
        /// Groq's place for the usage.
        x_groq: Option<Groq> = "x_groq",
        #[serde(borrow)]
        error: Option<Raw<'a>> = "error",
    }
}

wire! {
    struct ChunkChoice<'a> {
        index: Option<u64> = "index",
        #[serde(borrow)]
        delta: Option<WireMessage<'a>> = "delta",
        #[serde(borrow)]
        finish_reason: Option<WireText<'a>> = "finish_reason",
    }
}

wire! {
    struct Groq {
        usage: Option<WireUsage> = "usage",
    }
}

impl<'a> Chunk<'a> {
    /// The piece of text, if there is nothing beside it but what the first chunk tells.
    fn piece(&self) -> Option<Piece<'a>> {
        let choices = self.choices.as_deref().unwrap_or_default();
        let [ChunkChoice { index: None | Some(0), delta: Some(delta), finish_reason: None }] =
            choices
        else {
            return None;
        };
        let is_alone = self.usage.is_none() && self.x_groq.is_none() && self.error.is_none();
        delta.piece().filter(|_| is_alone)
    }
}

impl ChunkDecoder {
    pub(super) fn new(provider: &str, ids: CallIds) -> Self {
        Self {
            provider: provider.to_owned(),
            started: false,
            ids,
            calls: Vec::new(),
            told: 0,
            refused: false,
            kept: Kept::default(),
            thinks: false,
            writes: false,
            usage: WireUsage::default(),
            finish_reason: None,
            empty_reason: false,
            no_reason: false,
            garbage: Garbage::default(),
            repeat: Repeat::new(UNREAD),
        }
    }

    fn chunk(&mut self, chunk: &mut Chunk<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if let Some(error) = chunk.error {
            return Err(in_band(&self.provider, error));
        }
        self.start(chunk, out);
        for choice in chunk.choices.iter_mut().flatten() {
            // With `n` above 1 there are several; the first is the answer.
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            if let Some(delta) = &mut choice.delta {
                self.delta(delta, out);
            }
            let reason = choice.finish_reason.as_deref();
            self.empty_reason = reason == Some("");
            self.no_reason |= reason.is_none();
            if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
                self.finish_reason = Some(reason.to_owned());
            }
        }
        let of_groq = chunk.x_groq.as_ref().and_then(|groq| groq.usage.as_ref());
        if let Some(usage) = chunk.usage.as_ref().or(of_groq) {
            self.usage.update(usage);
            out.push_back(ChatEvent::Usage(self.usage.into_usage()));
        }
        Ok(())
    }

    /// Tells id and model once. Azure's first chunk has neither.
    fn start(&mut self, chunk: &mut Chunk<'_>, out: &mut VecDeque<ChatEvent>) {
        if self.started {
            return;
        }
        let (id, model) = (some(chunk.id.take()), some(chunk.model.take()));
        if id.is_some() || model.is_some() {
            self.started = true;
            out.push_back(ChatEvent::Start { id, model });
        }
    }

    /// One chunk can hold text, reasoning and pieces of several calls.
    fn delta(&mut self, delta: &mut WireMessage<'_>, out: &mut VecDeque<ChatEvent>) {
        let kept = delta.kept();
        for text in delta.take_reasoning(&kept) {
            (self.thinks, self.writes) = (true, false);
            out.push_back(ChatEvent::Reasoning(text));
        }
        kept.into_iter().for_each(|value| self.kept.keep(value, true));
        let citations = delta.take_citations();
        let says = delta.content.has_text()
            || !citations.is_empty()
            || delta.refusal.as_ref().is_some_and(|refusal| !refusal.is_empty())
            || delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
        if says {
            self.end_thoughts(out);
        }
        let texts = std::mem::take(&mut delta.content).into_texts().filter(|text| !text.is_empty());
        for text in texts {
            self.writes = true;
            out.push_back(ChatEvent::Text(text));
        }
        // They belong to a text, which may not have begun.
        if !citations.is_empty() && !std::mem::replace(&mut self.writes, true) {
            out.push_back(ChatEvent::Text(String::new()));
        }
        out.extend(citations.into_iter().map(ChatEvent::Citation));
        if let Some(refusal) = some(delta.refusal.take()) {
            (self.refused, self.writes) = (true, false);
            out.push_back(ChatEvent::Refusal(refusal));
        }
        for call in delta.tool_calls.iter().flatten() {
            let arguments = call.arguments();
            let open = self.call(call.index, call.id.as_deref().unwrap_or_default());
            let Self { calls, ids, told, writes, .. } = self;
            let open = &mut calls[open];
            // Only the first name counts.
            if open.place.is_none()
                && let Some(name) = call.name()
            {
                let (index, name) = (*told, name.to_owned());
                *told += 1;
                open.place = Some(index);
                let id = ids.take(&open.id);
                *writes = false;
                out.push_back(ChatEvent::ToolCallStart { index, id, name, signature: None });
                out.extend(piece(index, std::mem::take(&mut open.early)));
            }
            match open.place {
                Some(place) => out.extend(piece(place, arguments)),
                None => open.early.push_str(&arguments),
            }
        }
    }

    /// What follows is no reasoning: what is kept of that belongs to what was told.
    fn end_thoughts(&mut self, out: &mut VecDeque<ChatEvent>) {
        if let Some(mark) = self.kept.take_shown(&self.provider) {
            if !self.thinks {
                out.push_back(ChatEvent::Reasoning(String::new()));
            }
            out.push_back(ChatEvent::PartEnd { signature: Some(mark) });
        }
        self.thinks = false;
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
            let id = id.to_owned();
            self.calls.push(OpenCall { index, id, early: String::new(), place: None });
            self.calls.len() - 1
        })
    }

    /// The reason for the end, if one was given. An empty text is one if it stands out, or if
    /// the server says by other means that the answer is over.
    fn reason(&self, said_done: bool) -> Option<&str> {
        let empty = self.empty_reason && (self.no_reason || said_done);
        self.finish_reason.as_deref().or(empty.then_some(""))
    }

    /// Tells the end.
    fn finish(&mut self, said_done: bool, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let Some(reason) = self.reason(said_done).map(str::to_owned) else {
            return Err(cut(&self.provider));
        };
        self.end_thoughts(out);
        if let Some(mark) = self.kept.take_rest(&self.provider) {
            out.push_back(ChatEvent::Reasoning(String::new()));
            out.push_back(ChatEvent::PartEnd { signature: Some(mark) });
        }
        let has_calls = self.told > 0;
        let finish = finish(Some(&reason), has_calls, self.refused);
        let finish = self.garbage.end(&self.provider, finish, has_calls);
        out.push_back(ChatEvent::Finish(finish));
        Ok(())
    }
}

fn piece(index: usize, arguments: String) -> Option<ChatEvent> {
    (!arguments.is_empty()).then_some(ChatEvent::ToolCallDelta { index, arguments })
}

impl EventDecoder for ChunkDecoder {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if data == "[DONE]" {
            return self.finish(true, out);
        }
        if self.repeat.read(data, out) {
            return Ok(());
        }
        let mut chunk = Chunk::default();
        let is_there = self.garbage.read(&self.provider, &mut chunk, data)?;
        self.repeat.keep(data, chunk.piece().filter(|_| is_there));
        if is_there { self.chunk(&mut chunk, out) } else { Ok(()) }
    }

    fn is_complete(&self) -> bool {
        self.reason(false).is_some()
    }

    fn end(&mut self, rest: Option<&str>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let mut chunk = Chunk::default();
        if last(&mut chunk, rest) {
            self.chunk(&mut chunk, out)?;
        }
        self.finish(false, out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::response::decode;
    use super::*;
    use crate::llm::adapter::json::tests::{agrees, agrees_on_recordings};
    use crate::llm::adapter::repeat::tests::repeats_change_nothing;
    use crate::llm::chat::{ChatResponse, Finish, FinishReason};
    use crate::llm::error::ErrorKind;
    use crate::llm::message::{Part, ToolCall};
    use crate::llm::stream::Accumulator;
    use serde_json::{Value, json};

    /// Decodes chunks, and ends as a connection does that is closed after them.
    fn read(chunks: &[Value]) -> Result<ChatResponse, Error> {
        let mut decoder = ChunkDecoder::new("test", CallIds::default());
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

    /// What a stream gives, and what the same answer gives whole.
    #[track_caller]
    fn check_both(message: Value, pieces: &[Value], reason: &str) -> ChatResponse {
        let whole = json!({"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}]});
        let ids = || CallIds::new(["call_0"]);
        let whole = decode("test", whole.to_string().as_bytes(), ids()).unwrap();
        let mut decoder = ChunkDecoder::new("test", ids());
        let mut events = VecDeque::new();
        for piece in pieces.iter().cloned().map(delta).chain([end(reason)]) {
            decoder.event(&piece.to_string(), &mut events).unwrap();
        }
        decoder.end(None, &mut events).unwrap();
        let mut accumulator = Accumulator::new();
        events.iter().for_each(|event| accumulator.push(event));
        assert_eq!(accumulator.finish().unwrap(), whole);
        whole
    }

    #[test]
    fn a_stream_gives_what_the_whole_gives() {
        let text = check_both(
            json!({"content": "ab"}),
            &[json!({"content": "a"}), json!({"content": "b"})],
            "",
        );
        assert_eq!(text.finish, Finish::new(FinishReason::Stop, ""));
        let custom = json!([{"index": 0, "id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}]);
        let custom = check_both(
            json!({"tool_calls": custom}),
            &[json!({"tool_calls": custom})],
            "tool_calls",
        );
        assert_eq!(custom.tool_calls().next().unwrap().name, "run");
        let calls = json!([
            {"index": 0, "id": "c1", "type": "odd"},
            {"index": 1, "function": {"name": "now", "arguments": "{}"}},
            {"index": 2, "function": {"name": "", "arguments": ""}},
            {"index": 3, "function": {"name": "now", "arguments": {}}},
        ]);
        let invented =
            check_both(json!({"tool_calls": calls}), &[json!({"tool_calls": calls})], "");
        let ids: Vec<_> = invented.tool_calls().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["call_1", "call_2"]);
        let nobody = json!([{"index": 0, "id": "c1", "type": "odd"}]);
        let nobody = check_both(
            json!({"content": "a", "tool_calls": nobody}),
            &[json!({"content": "a", "tool_calls": nobody})],
            "stop",
        );
        assert_eq!(nobody.finish.reason, FinishReason::Stop);
        let given_up = check_both(
            json!({"content": "a"}),
            &[json!({"content": "a"})],
            "insufficient_system_resource",
        );
        assert_eq!(given_up.finish.reason, FinishReason::Error);
    }

    #[test]
    fn annotations_belong_to_the_text() {
        let source = |url: &str| json!({"type": "url_citation", "url_citation": {"url": url}});
        let call =
            json!([{"index": 0, "id": "c1", "function": {"name": "now", "arguments": "{}"}}]);
        let message = json!({
            "reasoning_content": "hm", "content": "abc", "tool_calls": call,
            "annotations": [source("1"), source("2"), source("3")],
        });
        let pieces = [
            json!({"reasoning_content": "hm"}),
            json!({"annotations": [source("1")]}),
            json!({"content": "a"}),
            json!({"content": "b", "annotations": [source("2")]}),
            json!({"content": "c"}),
            json!({"content": "", "annotations": [source("3")]}),
            json!({"tool_calls": call, "annotations": []}),
        ];
        let cited = check_both(message, &pieces, "tool_calls");
        let [Part::Reasoning(_), Part::Text(text), Part::ToolCall(_)] = &cited.message.content[..]
        else {
            panic!("{cited:?}")
        };
        assert_eq!(text.citations[2], json!({"type": "url_citation", "url": "3"}));
        let alone = check_both(
            json!({"annotations": [source("1")]}),
            &[json!({"annotations": [source("1")]})],
            "stop",
        );
        assert_eq!((alone.text().as_ref(), alone.message.content.len()), ("", 1));
    }

    #[test]
    fn arguments_that_cannot_be_read_are_never_none() {
        let call = |arguments: &str| {
            let function = format!(r#"{{"name": "send", "arguments": {arguments}}}"#);
            format!(r#"{{"tool_calls": [{{"index": 0, "id": "c1", "function": {function}}}]}}"#)
        };
        // Half of a pair, whole and between two pieces.
        for pieces in
            [&[r#""{\"to\":\"\ud83d\"}""#][..], &[r#""{\"to\":\"""#, r#""\ud83d""#, r#""\"}""#]]
        {
            let mut decoder = ChunkDecoder::new("test", CallIds::default());
            let mut events = VecDeque::new();
            for piece in pieces {
                let chunk = format!(r#"{{"choices": [{{"delta": {}}}]}}"#, call(piece));
                decoder.event(&chunk, &mut events).unwrap();
            }
            decoder.event(&end("tool_calls").to_string(), &mut events).unwrap();
            decoder.end(None, &mut events).unwrap();
            let mut accumulator = Accumulator::new();
            events.iter().for_each(|event| accumulator.push(event));
            let streamed = accumulator.finish().unwrap();
            let calls: Vec<_> = streamed.tool_calls().collect();
            assert!(calls.len() == 1 && calls[0].parse().is_err(), "{calls:?}");
        }
        let message = call(r#""{\"to\":\"\ud83d\"}""#);
        let whole =
            format!(r#"{{"choices": [{{"message": {message}, "finish_reason": "stop"}}]}}"#);
        let whole = decode("test", whole.as_bytes(), CallIds::default()).unwrap();
        let calls: Vec<_> = whole.tool_calls().collect();
        assert!(calls.len() == 1 && calls[0].parse().is_err(), "{calls:?}");
    }

    #[test]
    fn an_empty_reason_in_every_chunk_is_no_end() {
        let chunk = json!({"id": "x", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": ""}]});
        assert_eq!(read(&[chunk.clone(), chunk.clone()]).unwrap_err().kind(), ErrorKind::Truncated);
        assert_eq!(
            read(&[chunk.clone(), end("stop")]).unwrap().finish.raw.as_deref(),
            Some("stop")
        );
        let mut decoder = ChunkDecoder::new("test", CallIds::default());
        let mut events = VecDeque::new();
        decoder.event(&chunk.to_string(), &mut events).unwrap();
        decoder.event("[DONE]", &mut events).unwrap();
        assert_eq!(events.back(), Some(&ChatEvent::Finish(Finish::new(FinishReason::Stop, ""))));
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
        let mut decoder = ChunkDecoder::new("test", CallIds::default());
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
    fn events_are_what_serde_json_says() {
        agrees_on_recordings("openai-chat", |event| agrees::<Chunk<'_>>(event));
    }

    #[test]
    fn repeats_tell_what_the_whole_event_does() {
        let decoder = || ChunkDecoder::new("test", CallIds::default());
        repeats_change_nothing("openai-chat", decoder, |decoder| &mut decoder.repeat);
    }
}
