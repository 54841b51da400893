use super::wire::{WireMessage, WireUsage, finish};
use crate::llm::adapter::json::{Later, Raw, WireText, some, wire};
use crate::llm::adapter::{
    CallIds, EventDecoder, Failure, Garbage, Piece, Repeat, Tell, cut, last, unreadable,
};
use crate::llm::chat::FinishReason;
use crate::llm::error::Error;
use crate::llm::message::{Opaque, Part, Signature};
use crate::llm::stream::ChatEvent;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::VecDeque;

/// Reads a streamed message.
///
/// It is over with `message_stop`; a stream without that was cut off. Figures of usage are
/// snapshots, of which the last one holds.
#[derive(Debug)]
pub struct MessageDecoder {
    provider: String,
    ids: CallIds,
    /// The id of the message, once it has begun.
    started: Option<Option<String>>,
    blocks: Vec<(u64, Block)>,
    /// How many calls have been told.
    calls: usize,
    usage: WireUsage,
    stop_reason: Option<String>,
    finished: bool,
    garbage: Garbage,
    repeat: Repeat,
}

/// A block that is being written.
#[derive(Debug)]
enum Block {
    Text {
        /// Whether any of it has been told.
        told: bool,
    },
    Thinking {
        signature: String,
    },
    /// With the input that came with the beginning, until a piece of another comes. It should be an object; one
    /// that is not goes on to whoever can say so to the model.
    Call {
        index: usize,
        input: Option<Value>,
    },
    /// With the text of its input, which arrives in pieces.
    Other {
        value: Map<String, Value>,
        input: String,
    },
}

wire! {
    struct Event<'a> {
        #[serde(borrow)]
        r#type: WireText<'a> = "type",
        #[serde(borrow)]
        message: Option<Later<'a, WireMessage>> = "message",
        index: Option<u64> = "index",
        #[serde(borrow)]
        content_block: Option<Raw<'a>> = "content_block",
        #[serde(borrow)]
        delta: Option<Delta<'a>> = "delta",
        #[serde(borrow)]
        usage: Option<Later<'a, WireUsage>> = "usage",
        #[serde(borrow)]
        error: Option<Raw<'a>> = "error",
    }
}

wire! {
    /// What is added to a block, or to the message.
    struct Delta<'a> {
        #[serde(borrow)]
        r#type: WireText<'a> = "type",
        #[serde(borrow)]
        text: Option<WireText<'a>> = "text",
        #[serde(borrow)]
        partial_json: Option<WireText<'a>> = "partial_json",
        #[serde(borrow)]
        thinking: Option<WireText<'a>> = "thinking",
        #[serde(borrow)]
        signature: Option<WireText<'a>> = "signature",
        #[serde(borrow)]
        citation: Option<Raw<'a>> = "citation",
        #[serde(borrow)]
        stop_reason: Option<WireText<'a>> = "stop_reason",
    }
}

/// The same of a block that we know nothing of.
#[derive(Deserialize)]
struct Unknown {
    delta: Map<String, Value>,
}

impl Unknown {
    /// What is added that has no name here.
    fn of(event: &str) -> serde_json::Result<Map<String, Value>> {
        const NAMED: [&str; 7] =
            ["type", "text", "partial_json", "thinking", "signature", "citation", "stop_reason"];
        let Self { mut delta } = serde_json::from_str(event)?;
        delta.retain(|name, _| !NAMED.contains(&name.as_str()));
        Ok(delta)
    }
}

impl MessageDecoder {
    pub(super) fn new(provider: &str, ids: CallIds) -> Self {
        Self {
            provider: provider.to_owned(),
            ids,
            started: None,
            blocks: Vec::new(),
            calls: 0,
            usage: WireUsage::default(),
            stop_reason: None,
            finished: false,
            garbage: Garbage::default(),
            repeat: Repeat::new(&[]),
        }
    }

    /// Tells whether a tool was called.
    pub(super) fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// The piece of text that an event adds to a block, if there is nothing beside it.
    fn piece<'a>(&self, event: &Event<'a>) -> Option<Piece<'a>> {
        let (at, delta) = (event.index?, event.delta.as_ref()?);
        let (_, block) = self.blocks.iter().find(|(known, _)| *known == at)?;
        let (text, tell): (_, Tell) = match block {
            Block::Text { .. } => (&delta.text, ChatEvent::Text),
            Block::Thinking { .. } => (&delta.thinking, ChatEvent::Reasoning),
            Block::Call { .. } | Block::Other { .. } => return None,
        };
        let text = text.as_ref()?.borrowed().filter(|text| !text.is_empty())?;
        let is_alone = &*event.r#type == "content_block_delta"
            && event.error.is_none()
            && delta.citation.is_none()
            && delta.signature.is_none();
        is_alone.then_some(Piece { text, tell })
    }

    /// Reads an event, and the text that it stands in.
    fn read(
        &mut self,
        event: Event<'_>,
        data: &str,
        out: &mut VecDeque<ChatEvent>,
    ) -> Result<(), Error> {
        if let Some(error) = event.error {
            let document = serde_json::json!({"error": error.value()});
            return Err(Failure::of(&document).into_error(&self.provider, None));
        }
        match &*event.r#type {
            "message_start" => {
                let message = event.message.map(|message| message.read());
                self.start(message.unwrap_or_default(), out);
            }
            "content_block_start" => {
                if let (Some(index), Some(block)) = (event.index, event.content_block) {
                    let block = block.read().map_err(|error| self.unreadable(error))?;
                    self.open_block(index, block, out);
                }
            }
            "content_block_delta" => {
                if let (Some(index), Some(delta)) = (event.index, event.delta) {
                    let added = self.add(index, delta, data, out);
                    added.map_err(|error| self.unreadable(error))?;
                }
            }
            "content_block_stop" => {
                if let Some(index) = event.index {
                    self.close_block(index, out);
                }
            }
            "message_delta" => {
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                self.stop_reason = reason.map(WireText::into_owned).or(self.stop_reason.take());
                self.count(event.usage.map(|usage| usage.read()), out);
            }
            "message_stop" => return self.stop(out),
            // Pings, and whatever is invented later.
            _ => {}
        }
        Ok(())
    }

    /// The message begins. Another one may begin in the middle, if Anthropic has moved on to
    /// another model: it takes the place of the first.
    fn start(&mut self, message: WireMessage, out: &mut VecDeque<ChatEvent>) {
        match &self.started {
            Some(id) if *id == message.id => return self.count(message.usage, out),
            Some(_) => {
                out.push_back(ChatEvent::Reset);
                self.blocks.clear();
                self.calls = 0;
                self.garbage = Garbage::default();
                self.stop_reason = None;
                self.usage = WireUsage::default();
            }
            None => {}
        }
        self.started = Some(message.id.clone());
        out.push_back(ChatEvent::Start { id: message.id, model: message.model });
        self.count(message.usage, out);
    }

    fn count(&mut self, usage: Option<WireUsage>, out: &mut VecDeque<ChatEvent>) {
        if let Some(usage) = usage {
            self.usage.update(usage);
            out.push_back(ChatEvent::Usage(self.usage.into_usage()));
        }
    }

    /// A block begins; it may hold text or input already.
    pub(super) fn open_block(&mut self, at: u64, block: Value, out: &mut VecDeque<ChatEvent>) {
        let Value::Object(mut block) = block else { return };
        let mut text = |name: &str| match block.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let open = match text("type").as_str() {
            "text" => {
                let text = told(text("text"));
                let mut told = text.is_some();
                out.extend(text.map(ChatEvent::Text));
                if let Some(Value::Array(citations)) = block.remove("citations") {
                    for citation in citations {
                        cite(citation, &mut told, out);
                    }
                }
                Block::Text { told }
            }
            "thinking" => {
                // A thought that is not shown has a signature all the same.
                out.push_back(ChatEvent::Reasoning(text("thinking")));
                Block::Thinking { signature: text("signature") }
            }
            "tool_use" => {
                let (id, name) = (self.ids.take(&text("id")), text("name"));
                let input = block.remove("input").filter(|input| !input.is_null() && input != "");
                // Who calls, if it is not the model itself, must be told again.
                let signature = (!block.is_empty())
                    .then(|| Signature::new(&*self.provider, Value::Object(block).to_string()));
                let index = self.calls;
                self.calls += 1;
                out.push_back(ChatEvent::ToolCallStart { index, id, name, signature });
                Block::Call { index, input }
            }
            kind => {
                let mut value = Map::new();
                value.insert("type".into(), kind.into());
                value.extend(block);
                Block::Other { value, input: String::new() }
            }
        };
        self.blocks.retain(|(known, _)| *known != at);
        self.blocks.push((at, open));
    }

    fn unreadable(&self, error: serde_json::Error) -> Error {
        unreadable(&self.provider, "a block", error)
    }

    fn add(
        &mut self,
        at: u64,
        delta: Delta<'_>,
        data: &str,
        out: &mut VecDeque<ChatEvent>,
    ) -> serde_json::Result<()> {
        let block = self.blocks.iter_mut().find(|(known, _)| *known == at);
        match block.map(|(_, block)| block) {
            Some(Block::Text { told }) => {
                let text = some(delta.text);
                *told |= text.is_some();
                out.extend(text.map(ChatEvent::Text));
                if let Some(citation) = delta.citation {
                    cite(citation.value(), told, out);
                }
            }
            Some(Block::Thinking { signature }) => {
                out.extend(some(delta.thinking).map(ChatEvent::Reasoning));
                signature.push_str(delta.signature.as_deref().unwrap_or_default());
            }
            Some(Block::Call { index, input }) => {
                if let Some(arguments) = some(delta.partial_json) {
                    *input = None;
                    out.push_back(ChatEvent::ToolCallDelta { index: *index, arguments });
                }
            }
            Some(Block::Other { value, input }) => {
                input.push_str(delta.partial_json.as_deref().unwrap_or_default());
                if &*delta.r#type != "input_json_delta" {
                    merge(value, Unknown::of(data)?);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// A block is complete.
    pub(super) fn close_block(&mut self, at: u64, out: &mut VecDeque<ChatEvent>) {
        let Some(place) = self.blocks.iter().position(|(known, _)| *known == at) else { return };
        match self.blocks.remove(place).1 {
            Block::Text { .. } => out.push_back(ChatEvent::PartEnd { signature: None }),
            Block::Thinking { signature } => {
                let mark = told(signature).map(|mark| Signature::new(&*self.provider, mark));
                out.push_back(ChatEvent::PartEnd { signature: mark });
            }
            Block::Call { index, input } => {
                // No piece of it has come, so that it is what the beginning said: mostly nothing.
                if let Some(input) = input {
                    let arguments = input.to_string();
                    out.push_back(ChatEvent::ToolCallDelta { index, arguments });
                }
            }
            Block::Other { mut value, input } => {
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    value.insert("input".into(), input);
                }
                let opaque = Opaque::new(&*self.provider, Value::Object(value));
                out.push_back(ChatEvent::Part(Part::Opaque(opaque)));
            }
        }
    }

    fn stop(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let finish = finish(self.stop_reason.as_deref(), self.has_calls());
        // At the limit of tokens no end of the block arrives, and the call stays cut; anywhere
        // else it is a fault, and must not run either.
        let open_call = self.blocks.iter().any(|(_, block)| matches!(block, Block::Call { .. }));
        if open_call && matches!(finish.reason, FinishReason::Stop | FinishReason::ToolCalls) {
            return Err(cut(&self.provider));
        }
        self.finished = true;
        let finish = self.garbage.end(&self.provider, finish, self.has_calls());
        out.push_back(ChatEvent::Finish(finish));
        Ok(())
    }
}

/// Tells a source. It may come before the text that it is one of, which then begins here.
fn cite(citation: Value, told: &mut bool, out: &mut VecDeque<ChatEvent>) {
    if !std::mem::replace(told, true) {
        out.push_back(ChatEvent::Text(String::new()));
    }
    out.push_back(ChatEvent::Citation(citation));
}

fn told(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Adds to a block that we know nothing of: texts grow, everything else is set.
fn merge(value: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (name, piece) in delta {
        match (value.get_mut(&name), piece) {
            (Some(Value::String(known)), Value::String(piece)) => known.push_str(&piece),
            (_, piece) => drop(value.insert(name, piece)),
        }
    }
}

impl EventDecoder for MessageDecoder {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if self.repeat.read(data, out) {
            return Ok(());
        }
        let mut event = Event::default();
        let is_there = self.garbage.read(&self.provider, &mut event, data)?;
        self.repeat.keep(data, self.piece(&event).filter(|_| is_there));
        if is_there { self.read(event, data, out) } else { Ok(()) }
    }

    fn is_complete(&self) -> bool {
        // Nothing but the event itself says that nothing is missing.
        self.finished
    }

    fn end(&mut self, rest: Option<&str>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let mut event = Event::default();
        if last(&mut event, rest) {
            self.read(event, rest.unwrap_or_default(), out)?;
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
    use crate::llm::chat::ChatResponse;
    use crate::llm::error::ErrorKind;
    use crate::llm::message::ToolCall;
    use crate::llm::stream::Accumulator;
    use serde_json::json;

    fn read(events: &[Value]) -> Result<ChatResponse, Error> {
        let mut decoder = MessageDecoder::new("anthropic", CallIds::default());
        let mut out = VecDeque::new();
        for event in events {
            decoder.event(&event.to_string(), &mut out)?;
        }
        if !matches!(out.back(), Some(ChatEvent::Finish(_))) {
            decoder.end(None, &mut out)?;
        }
        let mut accumulator = Accumulator::new();
        out.iter().for_each(|event| accumulator.push(event));
        accumulator.finish()
    }

    fn start(id: &str) -> Value {
        let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 1});
        json!({"type": "message_start", "message": {"id": id, "model": "m", "content": [], "usage": usage}})
    }

    fn open(index: u64, block: Value) -> Value {
        json!({"type": "content_block_start", "index": index, "content_block": block})
    }

    fn delta(index: u64, kind: &str, name: &str, piece: Value) -> Value {
        json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}})
    }

    fn close(index: u64) -> Value {
        json!({"type": "content_block_stop", "index": index})
    }

    fn end(reason: &str) -> [Value; 2] {
        [
            json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ]
    }

    fn text(index: u64, piece: &str) -> [Value; 3] {
        let block = json!({"type": "text", "text": ""});
        [open(index, block), delta(index, "text_delta", "text", piece.into()), close(index)]
    }

    #[test]
    fn a_stream_gives_what_the_whole_gives() {
        let citation = json!({"type": "page_location", "cited_text": "x"});
        let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
        let search =
            json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}});
        let found = json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []});
        let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "add", "input": {}});
        let input =
            |index, piece: &str| delta(index, "input_json_delta", "partial_json", piece.into());
        let mut events = vec![
            start("msg_1"),
            open(0, thinking),
            json!({"type": "ping"}),
            delta(0, "thinking_delta", "thinking", "h".into()),
            delta(0, "thinking_delta", "thinking", "m".into()),
            delta(0, "signature_delta", "signature", "sig".into()),
            close(0),
            open(1, search),
            input(1, ""),
            input(1, "{\"q\":"),
            input(1, "1}"),
            close(1),
            open(2, found.clone()),
            close(2),
            open(3, json!({"type": "text", "text": ""})),
            delta(3, "text_delta", "text", "a".into()),
            delta(3, "citations_delta", "citation", citation.clone()),
            delta(3, "new_delta", "new", 1.into()),
            close(3),
        ];
        events.extend(text(4, "b"));
        events.extend([open(5, call("t1")), input(5, ""), input(5, "{\"a\":1}"), close(5)]);
        events.extend([open(6, call("t2")), input(6, ""), close(6)]);
        events.push(json!({"type": "new_event"}));
        events.extend(end("tool_use"));
        let whole = json!({
            "id": "msg_1", "model": "m", "stop_reason": "tool_use",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"q": 1}},
                found,
                {"type": "text", "text": "a", "citations": [citation]},
                {"type": "text", "text": "b"},
                {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "t2", "name": "add", "input": {}},
            ],
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 9},
        });
        let whole = decode("anthropic", whole.to_string().as_bytes(), CallIds::default()).unwrap();
        assert_eq!(read(&events).unwrap(), whole);
        assert_eq!(whole.message.content.len(), 7);
    }

    #[test]
    fn a_call_at_the_limit_stays_cut() {
        let call = json!({"type": "tool_use", "id": "t1", "name": "add", "input": {}});
        let piece = delta(0, "input_json_delta", "partial_json", "{\"a\":".into());
        let begun = [start("m"), open(0, call), piece];
        let cut = read(&[&begun[..], &end("max_tokens")].concat()).unwrap();
        assert_eq!(cut.tool_calls().count(), 0);
        assert_eq!(cut.message.tool_calls().next().unwrap().arguments, "{\"a\":");
        let broken = read(&[&begun[..], &end("tool_use")].concat());
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::Truncated);
    }

    #[test]
    fn another_message_takes_the_place_of_the_first() {
        let call = json!({"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}});
        let events = [
            &[start("a")][..],
            &text(0, "lost"),
            &[open(1, call), start("a"), start("b")],
            &text(0, "kept"),
            &end("end_turn"),
        ];
        let response = read(&events.concat()).unwrap();
        assert_eq!((response.text(), response.id.as_deref()), ("kept".into(), Some("b")));
        assert_eq!(response.finish.reason, FinishReason::Stop);
    }

    #[test]
    fn a_stream_without_its_last_event_was_cut() {
        let [delta, stop] = end("end_turn");
        let events = [&[start("a")][..], &text(0, "x"), &[delta]].concat();
        assert_eq!(read(&events).unwrap_err().kind(), ErrorKind::Truncated);
        let mut decoder = MessageDecoder::new("anthropic", CallIds::default());
        let stop = stop.to_string();
        assert!(decoder.end(Some(&stop[..stop.len() - 1]), &mut VecDeque::new()).is_err());
        assert!(decoder.end(Some(&stop), &mut VecDeque::new()).is_ok());
    }

    #[test]
    fn an_error_within_the_stream_ends_it() {
        let error =
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
        let error = read(&[start("a"), error]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Overloaded, "busy"));
    }

    #[test]
    fn input_that_comes_with_the_beginning_counts() {
        let call = json!({"type": "tool_use", "id": "", "name": "add", "input": {"a": 1}});
        let events = [&[start("a"), open(0, call), close(0)][..], &end("tool_use")].concat();
        let calls: Vec<_> = read(&events).unwrap().tool_calls().cloned().collect();
        assert_eq!(calls, [ToolCall::new("call_0", "add", "{\"a\":1}")]);
    }

    #[test]
    fn what_cannot_be_read_is_never_nothing() {
        let block = r#"{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": "\ud83d"}}"#;
        let whole = format!(r#"{{"content": [{block}], "stop_reason": "tool_use"}}"#);
        let whole = decode("test", whole.as_bytes(), CallIds::default());
        assert_eq!(whole.unwrap_err().kind(), ErrorKind::Decode);
        let open =
            format!(r#"{{"type": "content_block_start", "index": 0, "content_block": {block}}}"#);
        let mut decoder = MessageDecoder::new("test", CallIds::default());
        let streamed = decoder.event(&open, &mut VecDeque::new());
        assert_eq!(streamed.unwrap_err().kind(), ErrorKind::Decode);
        let mut decoder = MessageDecoder::new("test", CallIds::default());
        let found = super::tests::open(0, json!({"type": "new_result"})).to_string();
        assert!(decoder.event(&found, &mut VecDeque::new()).is_ok());
        let piece = r#"{"type": "content_block_delta", "index": 0, "delta": {"new": "\ud83d"}}"#;
        let streamed = decoder.event(piece, &mut VecDeque::new());
        assert_eq!(streamed.unwrap_err().kind(), ErrorKind::Decode);
    }

    #[test]
    fn input_of_another_shape_is_told_as_it_is() {
        for (input, arguments) in
            [(json!("{}"), "\"{}\""), (json!([1]), "[1]"), (json!(""), ""), (json!(null), "")]
        {
            let call = json!({"type": "tool_use", "id": "t1", "name": "add", "input": input});
            let whole = json!({"content": [call], "stop_reason": "tool_use"}).to_string();
            let whole = decode("anthropic", whole.as_bytes(), CallIds::default()).unwrap();
            let events = [&[open(0, call), close(0)][..], &end("tool_use")].concat();
            let streamed = read(&events).unwrap();
            assert_eq!(streamed.message, whole.message);
            let calls: Vec<_> = whole.tool_calls().cloned().collect();
            assert_eq!(calls, [ToolCall::new("t1", "add", arguments)]);
        }
    }

    #[test]
    fn events_are_what_serde_json_says() {
        agrees_on_recordings("anthropic-messages", |event| agrees::<Event<'_>>(event));
    }

    #[test]
    fn repeats_tell_what_the_whole_event_does() {
        let decoder = || MessageDecoder::new("test", CallIds::default());
        repeats_change_nothing("anthropic-messages", decoder, |decoder| &mut decoder.repeat);
    }
}
