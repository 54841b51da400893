use super::wire::WireResponse;
use crate::llm::adapter::json::{AnyText, Later, Raw, WireText, wire};
use crate::llm::adapter::{CallIds, EventDecoder, Failure, Garbage, Piece, Repeat, cut, last};
use crate::llm::error::Error;
use crate::llm::message::{Opaque, Part, Signature};
use crate::llm::stream::ChatEvent;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Reads a streamed response.
///
/// It is over with `response.completed`, `.incomplete` or `.failed`. An item that is done holds the
/// last word on itself: what its pieces have told is only completed from it.
#[derive(Debug)]
pub struct ResponseDecoder {
    provider: String,
    ids: CallIds,
    /// The id of the response, once it has begun.
    started: Option<Option<String>>,
    items: Vec<Item>,
    /// How many calls have been told.
    calls: usize,
    refused: bool,
    finished: bool,
    garbage: Garbage,
    repeat: Repeat,
}

/// The number of an event, and what pads it so that its length does not tell that of its text.
const UNREAD: &[&str] = &["sequence_number", "obfuscation"];

/// What is known of an item of the output.
#[derive(Debug, Default)]
struct Item {
    index: u64,
    /// What of the item goes back with it, once that is known.
    mark: Option<Signature>,
    /// The parts that have been told, by their number, and whether one of them is open.
    parts: Vec<Told>,
    open: bool,
    /// The number of the call, once it is told.
    call: Option<usize>,
    /// Arguments that came before the name, or that have been told.
    arguments: String,
    done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    index: u64,
    citations: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Refusal,
    Thought,
}

wire! {
    struct Event<'a> {
        #[serde(borrow)]
        r#type: WireText<'a> = "type",
        #[serde(borrow)]
        response: Option<Later<'a, WireResponse>> = "response",
        output_index: u64 = "output_index",
        content_index: Option<u64> = "content_index" | "summary_index",
        #[serde(borrow)]
        item: Option<Later<'a, Map<String, Value>>> = "item",
        #[serde(borrow)]
        delta: Option<AnyText<'a>> = "delta",
        #[serde(borrow)]
        annotation: Option<Raw<'a>> = "annotation",
        #[serde(borrow)]
        error: Option<Raw<'a>> = "error",
        #[serde(borrow)]
        code: Option<Raw<'a>> = "code",
        #[serde(borrow)]
        message: Option<WireText<'a>> = "message",
    }
}

impl<'a> Event<'a> {
    /// The piece of text, if that is what it tells. Once a part has begun, there is nothing beside it.
    fn piece(&self) -> Option<Piece<'a>> {
        let tell = match &*self.r#type {
            "response.output_text.delta" => ChatEvent::Text,
            "response.refusal.delta" => ChatEvent::Refusal,
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                ChatEvent::Reasoning
            }
            _ => return None,
        };
        let text = self.delta.as_ref()?.0.as_ref()?.borrowed()?;
        Some(Piece { text, tell })
    }
}

impl ResponseDecoder {
    pub(super) fn new(provider: &str, ids: CallIds) -> Self {
        Self {
            provider: provider.to_owned(),
            ids,
            started: None,
            items: Vec::new(),
            calls: 0,
            refused: false,
            finished: false,
            garbage: Garbage::default(),
            repeat: Repeat::new(UNREAD),
        }
    }

    fn read(&mut self, event: Event<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let at = event.output_index;
        let part = event.content_index.unwrap_or(0);
        let response = || event.response.as_ref().map(Later::read).unwrap_or_default();
        let delta = event.delta.and_then(|delta| delta.0).unwrap_or_default();
        match &*event.r#type {
            "response.created" | "response.in_progress" | "response.queued" => {
                let response = response();
                self.start(response.id, response.model, out);
            }
            "response.output_item.added" => {
                if let Some(item) = event.item {
                    self.added(at, &item.read(), out);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.done(at, item.read(), out);
                }
            }
            "response.output_text.delta" => {
                self.piece(at, part, Kind::Text, delta.into_owned(), out)
            }
            "response.refusal.delta" => {
                self.piece(at, part, Kind::Refusal, delta.into_owned(), out)
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.piece(at, part, Kind::Thought, delta.into_owned(), out);
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = event.annotation {
                    self.piece(at, part, Kind::Text, String::new(), out);
                    self.told(at, part).citations += 1;
                    out.push_back(ChatEvent::Citation(annotation.value()));
                }
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.arguments(at, delta.into_owned(), out);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                let mut response = response();
                response.end(event.r#type.trim_start_matches("response."));
                return self.finish(response, out);
            }
            "error" => {
                // The reference has the members here, recordings have them in `error`.
                let code = event.code.map(Raw::value);
                let flat = json!({"code": code, "message": event.message.as_deref()});
                let error = event.error.map(Raw::value).filter(Value::is_object).unwrap_or(flat);
                let document = json!({"error": error});
                return Err(Failure::of(&document).into_error(&self.provider, None));
            }
            // Servers that are compatible report errors in this way.
            "" if event.error.is_some() => {
                let document = json!({"error": event.error.map(Raw::value)});
                return Err(Failure::of(&document).into_error(&self.provider, None));
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut VecDeque<ChatEvent>) {
        // Servers in front of OpenAI give a new id with every event; the last one holds.
        if (id.is_some() || model.is_some()) && self.started.is_none() {
            self.started = Some(id.clone());
            out.push_back(ChatEvent::Start { id, model });
        }
    }

    /// Tells the id again if it is another one at the end.
    fn identify(&mut self, response: &mut WireResponse, out: &mut VecDeque<ChatEvent>) {
        let (id, model) = (response.id.take(), response.model.take());
        if self.started.as_ref().is_some_and(|known| id.is_some() && *known != id) {
            self.started = None;
        }
        self.start(id, model, out);
    }

    fn item(&mut self, index: u64) -> &mut Item {
        let known = self.items.iter().position(|item| item.index == index);
        let place = known.unwrap_or_else(|| {
            self.items.push(Item { index, ..Item::default() });
            self.items.len() - 1
        });
        &mut self.items[place]
    }

    fn told(&mut self, at: u64, part: u64) -> &mut Told {
        let parts = &mut self.item(at).parts;
        let known = parts.iter().position(|told| told.index == part);
        let place = known.unwrap_or_else(|| {
            parts.push(Told { index: part, citations: 0 });
            parts.len() - 1
        });
        &mut parts[place]
    }

    /// An item begins.
    fn added(&mut self, at: u64, item: &Map<String, Value>, out: &mut VecDeque<ChatEvent>) {
        let mark = self.mark(item);
        self.item(at).mark = mark;
        self.name_call(at, item, out);
    }

    /// A piece of a part of an item.
    fn piece(
        &mut self,
        at: u64,
        part: u64,
        kind: Kind,
        text: String,
        out: &mut VecDeque<ChatEvent>,
    ) {
        let begins = !self.item(at).parts.iter().any(|told| told.index == part);
        if begins {
            let separate = kind == Kind::Thought && !self.item(at).parts.is_empty();
            match separate {
                // The parts of a summary are paragraphs of one thought.
                true => out.push_back(ChatEvent::Reasoning("\n\n".to_owned())),
                false => self.end_part(at, out),
            }
            self.told(at, part);
        }
        self.item(at).open = true;
        match kind {
            _ if text.is_empty() && !begins => {}
            Kind::Text => out.push_back(ChatEvent::Text(text)),
            Kind::Thought => out.push_back(ChatEvent::Reasoning(text)),
            Kind::Refusal => {
                self.refused = true;
                out.push_back(ChatEvent::Refusal(text));
            }
        }
    }

    fn end_part(&mut self, at: u64, out: &mut VecDeque<ChatEvent>) {
        let item = self.item(at);
        if std::mem::take(&mut item.open) {
            let signature = item.mark.clone();
            out.push_back(ChatEvent::PartEnd { signature });
        }
    }

    /// Tells a call as soon as its name is known.
    fn name_call(&mut self, at: u64, item: &Map<String, Value>, out: &mut VecDeque<ChatEvent>) {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_call = matches!(text("type"), "function_call" | "custom_tool_call");
        if !is_call || text("name").is_empty() || self.item(at).call.is_some() {
            return;
        }
        let id = self.ids.take(text("call_id"));
        let index = self.calls;
        self.calls += 1;
        let item = self.item(at);
        item.call = Some(index);
        let (signature, early) = (item.mark.clone(), item.arguments.clone());
        out.push_back(ChatEvent::ToolCallStart { index, id, name: text("name").into(), signature });
        if !early.is_empty() {
            out.push_back(ChatEvent::ToolCallDelta { index, arguments: early });
        }
    }

    fn arguments(&mut self, at: u64, arguments: String, out: &mut VecDeque<ChatEvent>) {
        let item = self.item(at);
        item.arguments.push_str(&arguments);
        if let (Some(index), false) = (item.call, arguments.is_empty()) {
            out.push_back(ChatEvent::ToolCallDelta { index, arguments });
        }
    }

    /// An item is complete: what its pieces have left out is told.
    fn done(&mut self, at: u64, item: Map<String, Value>, out: &mut VecDeque<ChatEvent>) {
        if std::mem::replace(&mut self.item(at).done, true) {
            return;
        }
        self.item(at).mark = self.mark(&item);
        let array = |name: &str| item.get(name).and_then(Value::as_array).into_iter().flatten();
        match item.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message" => {
                for (part, content) in array("content").enumerate() {
                    self.done_content(at, part as u64, content, out);
                }
                self.end_part(at, out);
            }
            "reasoning" => {
                let texts = || array("summary").chain(array("content"));
                let texts = texts().filter_map(|part| part.get("text")?.as_str());
                if self.item(at).parts.is_empty() {
                    for (part, text) in texts.enumerate() {
                        self.piece(at, part as u64, Kind::Thought, text.to_owned(), out);
                    }
                }
                // A thought that is not shown goes back all the same.
                if self.item(at).parts.is_empty() {
                    self.piece(at, 0, Kind::Thought, String::new(), out);
                }
                self.end_part(at, out);
            }
            "function_call" | "custom_tool_call" => {
                let is_new = self.item(at).call.is_none();
                let told = std::mem::take(&mut self.item(at).arguments);
                self.name_call(at, &item, out);
                let Some(index) = self.item(at).call else { return };
                let last_word = item.get("arguments").or_else(|| item.get("input"));
                let last_word = match last_word {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => told.clone(),
                    Some(value) => value.to_string(),
                };
                let rest = match last_word.strip_prefix(&told) {
                    Some(rest) if !is_new => rest.to_owned(),
                    _ if is_new => last_word,
                    _ => {
                        self.begin_anew(index, at, &item, out);
                        last_word
                    }
                };
                if !rest.is_empty() {
                    out.push_back(ChatEvent::ToolCallDelta { index, arguments: rest });
                }
            }
            _ => {
                let opaque = Opaque::new(&*self.provider, Value::Object(item));
                out.push_back(ChatEvent::Part(Part::Opaque(opaque)));
            }
        }
    }

    /// The pieces of a call were not what it is: they are void.
    fn begin_anew(
        &mut self,
        index: usize,
        at: u64,
        item: &Map<String, Value>,
        out: &mut VecDeque<ChatEvent>,
    ) {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let (id, name) = (self.ids.take(text("call_id")), text("name").to_owned());
        let signature = self.item(at).mark.clone();
        out.push_back(ChatEvent::ToolCallStart { index, id, name, signature });
    }

    fn done_content(&mut self, at: u64, part: u64, content: &Value, out: &mut VecDeque<ChatEvent>) {
        let known = self.item(at).parts.iter().any(|told| told.index == part);
        let text = |name: &str| content[name].as_str().unwrap_or_default();
        match text("type") {
            "output_text" => {
                if !known && (!text("text").is_empty() || content["annotations"][0].is_object()) {
                    self.piece(at, part, Kind::Text, text("text").to_owned(), out);
                }
                let annotations = content["annotations"].as_array().map_or(&[][..], Vec::as_slice);
                if !annotations.is_empty() {
                    let told =
                        std::mem::replace(&mut self.told(at, part).citations, annotations.len());
                    let missing = annotations.iter().skip(told).cloned();
                    out.extend(missing.map(ChatEvent::Citation));
                }
            }
            "refusal" if !known => {
                self.piece(at, part, Kind::Refusal, text("refusal").to_owned(), out)
            }
            _ => {}
        }
    }

    /// What of an item must come back with it, and has no place of its own in our vocabulary.
    fn mark(&self, item: &Map<String, Value>) -> Option<Signature> {
        const TOLD: &[&str] =
            &["role", "status", "content", "summary", "call_id", "name", "arguments", "input"];
        let is_custom = item.get("type").is_some_and(|kind| kind == "custom_tool_call");
        let members = item.iter().filter(|(name, value)| {
            !value.is_null() && !TOLD.contains(&name.as_str()) && (is_custom || *name != "type")
        });
        let members: Map<_, _> =
            members.map(|(name, value)| (name.clone(), value.clone())).collect();
        (!members.is_empty())
            .then(|| Signature::new(&*self.provider, Value::Object(members).to_string()))
    }

    /// The response has ended; it may tell what no event has told.
    pub(super) fn finish(
        &mut self,
        mut response: WireResponse,
        out: &mut VecDeque<ChatEvent>,
    ) -> Result<(), Error> {
        if response.failed() {
            return Err(response.into_error(&self.provider));
        }
        self.identify(&mut response, out);
        for (at, item) in response.output.take().unwrap_or_default().into_iter().enumerate() {
            self.done(at as u64, item, out);
        }
        out.extend(response.usage().map(ChatEvent::Usage));
        self.finished = true;
        let finish = response.reason(self.calls > 0, self.refused);
        // A call that is done has told all of itself at the end.
        let has_open_calls = self.items.iter().any(|item| item.call.is_some() && !item.done);
        let finish = self.garbage.end(&self.provider, finish, has_open_calls);
        out.push_back(ChatEvent::Finish(finish));
        Ok(())
    }
}

impl EventDecoder for ResponseDecoder {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        // OpenAI does not say so; some compatible servers do.
        if data == "[DONE]" {
            return self.end(None, out);
        }
        if self.repeat.read(data, out) {
            return Ok(());
        }
        let mut event = Event::default();
        let is_there = self.garbage.read(&self.provider, &mut event, data)?;
        self.repeat.keep(data, event.piece().filter(|_| is_there));
        if is_there { self.read(event, out) } else { Ok(()) }
    }

    fn is_complete(&self) -> bool {
        self.finished
    }

    fn end(&mut self, rest: Option<&str>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let mut event = Event::default();
        if last(&mut event, rest) {
            self.read(event, out)?;
        }
        match self.finished {
            true => Ok(()),
            false => Err(cut(&self.provider)),
        }
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
    use crate::llm::stream::Accumulator;

    fn read(events: &[Value]) -> Result<ChatResponse, Error> {
        let mut decoder = ResponseDecoder::new("test", CallIds::default());
        let mut out = VecDeque::new();
        for event in events {
            decoder.event(&event.to_string(), &mut out)?;
        }
        decoder.end(None, &mut out)?;
        let mut accumulator = Accumulator::new();
        out.iter().for_each(|event| accumulator.push(event));
        accumulator.finish()
    }

    fn created() -> Value {
        json!({"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}})
    }

    fn delta(kind: &str, at: u64, part: u64, piece: &str) -> Value {
        json!({"type": format!("response.{kind}.delta"), "output_index": at, "content_index": part, "delta": piece})
    }

    fn item(state: &str, at: u64, item: Value) -> Value {
        json!({"type": format!("response.output_item.{state}"), "output_index": at, "item": item})
    }

    fn completed(output: Value) -> Value {
        let usage = json!({"input_tokens": 3, "output_tokens": 2});
        json!({"type": "response.completed", "response": {
            "id": "r", "model": "m", "status": "completed", "output": output, "usage": usage,
        }})
    }

    fn call(arguments: &str) -> Value {
        json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": arguments})
    }

    #[test]
    fn a_stream_gives_what_the_whole_gives() {
        let thought = json!({"type": "reasoning", "id": "rs", "encrypted_content": "e", "summary": [
            {"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"},
        ]});
        let hidden =
            json!({"type": "reasoning", "id": "rs2", "encrypted_content": "e2", "summary": []});
        let annotation = json!({"type": "url_citation", "url": "https://a"});
        let message = json!({"type": "message", "id": "msg", "phase": "final", "content": [
            {"type": "output_text", "text": "Hello", "annotations": [annotation]},
            {"type": "output_text", "text": "b", "annotations": []},
        ]});
        let search = json!({"type": "web_search_call", "id": "ws"});
        let output = json!([thought, hidden, message, search, call("{\"a\":1}")]);
        let begun = json!({"type": "message", "id": "msg", "phase": "final", "content": []});
        let streamed = [
            created(),
            item("added", 0, json!({"type": "reasoning", "id": "rs", "summary": []})),
            json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "o"}),
            json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "ne"}),
            json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "two"}),
            item("done", 0, thought),
            item("added", 1, json!({"type": "reasoning", "id": "rs2", "summary": []})),
            item("done", 1, hidden),
            item("added", 2, begun),
            delta("output_text", 2, 0, "Hel"),
            delta("output_text", 2, 0, "lo"),
            json!({"type": "response.output_text.annotation.added", "output_index": 2, "content_index": 0, "annotation": annotation}),
            delta("output_text", 2, 1, "b"),
            item("done", 2, message),
            item("done", 3, search),
            item("added", 4, call("")),
            delta("function_call_arguments", 4, 0, "{\"a\""),
            delta("function_call_arguments", 4, 0, ":1}"),
            item("done", 4, call("{\"a\":1}")),
            json!({"type": "response.new"}),
        ];
        let whole = completed(output.clone());
        let body = whole["response"].to_string();
        let expected = decode("test", body.as_bytes(), CallIds::default()).unwrap();
        assert_eq!(read(&[&streamed[..], &[whole]].concat()).unwrap(), expected);
        let silent = json!({"type": "response.completed", "response": {
            "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2},
        }});
        assert_eq!(read(&[&streamed[..], &[silent]].concat()).unwrap(), expected);
        // A server that tells nothing before the end.
        assert_eq!(read(&[completed(output)]).unwrap(), expected);
        assert_eq!(expected.message.reasoning(), "one\n\ntwo");
        assert_eq!(expected.message.content.len(), 6);
    }

    #[test]
    fn the_item_has_the_last_word_on_its_arguments() {
        let end = completed(json!([]));
        for pieces in [
            vec![delta("function_call_arguments", 0, 0, "{\"a"), item("added", 0, call(""))],
            vec![item("added", 0, call("")), delta("function_call_arguments", 0, 0, "{\"a")],
            vec![item("added", 0, call("")), delta("function_call_arguments", 0, 0, "{\"b\":9}")],
            vec![delta("function_call_arguments", 0, 0, "{\"a")],
            vec![],
        ] {
            let done = [item("done", 0, call("{\"a\":1}")), end.clone()];
            let response = read(&[&pieces[..], &done].concat()).unwrap();
            let calls: Vec<_> = response.tool_calls().collect();
            assert_eq!(calls.len(), 1, "{pieces:?}");
            assert_eq!((calls[0].id.as_str(), calls[0].arguments.as_str()), ("c", "{\"a\":1}"));
        }
    }

    #[test]
    fn a_cut_call_stays_cut() {
        let details = json!({"reason": "max_output_tokens"});
        let end =
            json!({"type": "response.incomplete", "response": {"incomplete_details": details}});
        let pieces =
            [item("added", 0, call("")), delta("function_call_arguments", 0, 0, "{\"a"), end];
        let response = read(&pieces).unwrap();
        assert_eq!(response.finish.reason, FinishReason::Length);
        assert_eq!(response.message.tool_calls().next().unwrap().arguments, "{\"a");
        assert_eq!(response.tool_calls().count(), 0);
    }

    #[test]
    fn a_part_of_an_answer_is_none() {
        let text = json!([{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]);
        let ended = |kind: &str, mut response: Value| {
            response["output"] = text.clone();
            read(&[json!({"type": format!("response.{kind}"), "response": response})]).unwrap()
        };
        let details = |reason: &str| json!({"reason": reason});
        for (kind, response, reason) in [
            ("incomplete", json!({"incomplete_details": details("interrupted")}), "interrupted"),
            ("incomplete", json!({"status": "incomplete"}), "incomplete"),
            ("incomplete", json!({"status": "in_progress"}), "incomplete"),
        ] {
            let response = ended(kind, response);
            assert_eq!(response.finish, Finish::new(FinishReason::Error, reason));
        }
        // The event knows better than the response in it that it has ended.
        let whole = ended("completed", json!({"status": "in_progress"}));
        assert_eq!(whole.finish, Finish::new(FinishReason::Stop, "completed"));
    }

    #[test]
    fn a_stream_without_its_last_event_was_cut() {
        let text = delta("output_text", 0, 0, "a");
        assert_eq!(read(&[created(), text]).unwrap_err().kind(), ErrorKind::Truncated);
        let mut decoder = ResponseDecoder::new("test", CallIds::default());
        let last = completed(json!([])).to_string();
        assert!(decoder.end(Some(&last[..last.len() - 1]), &mut VecDeque::new()).is_err());
        assert!(decoder.end(Some(&last), &mut VecDeque::new()).is_ok());
    }

    #[test]
    fn errors_have_two_shapes() {
        for error in [
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": null}),
            json!({"type": "error", "error": {"type": "x", "code": "rate_limit_exceeded", "message": "m"}}),
            json!({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "m"}}}),
        ] {
            let error = read(&[created(), error]).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::RateLimit, "m"));
        }
    }

    #[test]
    fn events_are_what_serde_json_says() {
        agrees_on_recordings("openai-responses", |event| agrees::<Event<'_>>(event));
    }

    #[test]
    fn repeats_tell_what_the_whole_event_does() {
        let decoder = || ResponseDecoder::new("test", CallIds::default());
        repeats_change_nothing("openai-responses", decoder, |decoder| &mut decoder.repeat);
    }
}
