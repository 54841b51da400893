use super::calls::{Calls, FAILED, input, output, url_of};
use super::{DONE, Encode, StreamDialect, begun_anew};
use crate::base::sse::Event;
use crate::base::{Error, ErrorKind};
use crate::llm::{ChatEvent, FinishReason, Part, ToolCall, ToolResult, Usage};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// What tells a reader of the AI SDK which version of the stream this is.
pub(in crate::ai) const HEADER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-vercel-ai-ui-message-stream"), HeaderValue::from_static("v1"));

/// The UI message stream of the AI SDK, version 1.
#[derive(Default)]
pub(super) struct UiStream {
    begun: bool,
    /// The part that is open.
    open: Option<(Kind, String)>,
    /// How many parts have been opened.
    parts: usize,
    /// The reader has seen something of the present step.
    told: bool,
    calls: Calls,
    model: Option<String>,
    usage: Option<Usage>,
}

/// What arrives in pieces.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Reasoning,
}

impl Kind {
    fn part(self, what: &str) -> String {
        match self {
            Self::Text => format!("text-{what}"),
            Self::Reasoning => format!("reasoning-{what}"),
        }
    }
}

type Frames = VecDeque<Event>;

impl Encode for UiStream {
    fn event(&mut self, event: ChatEvent, frames: &mut Frames) -> Result<(), Error> {
        if !std::mem::replace(&mut self.begun, true) {
            send(frames, json!({"type": "start"}));
            send(frames, json!({"type": "start-step"}));
        }
        self.told |= StreamDialect::UiMessages.shows(&event);
        match event {
            ChatEvent::Start { model, .. } => self.model = model.or(self.model.take()),
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                self.piece(Kind::Text, &text, frames);
            }
            ChatEvent::Reasoning(text) => self.piece(Kind::Reasoning, &text, frames),
            ChatEvent::PartEnd { .. } => self.close(frames),
            ChatEvent::ToolCallStart { index, id, name, .. } => {
                self.close(frames);
                if let Some(void) = self.calls.start(index, &id, &name) {
                    fail(&void, "The call was begun anew.", frames);
                }
                let start = json!({"type": "tool-input-start", "toolCallId": id, "toolName": name});
                send(frames, start);
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                if let Some(id) = self.calls.grow(index, &arguments) {
                    let delta = json!({"type": "tool-input-delta", "toolCallId": id, "inputTextDelta": arguments});
                    send(frames, delta);
                }
            }
            ChatEvent::ToolRun(call) => {
                self.close(frames);
                if self.calls.complete(&call.id) {
                    available(&call, frames);
                }
            }
            ChatEvent::ToolResult(result) => {
                if let Some(call) = self.calls.untold(&result.call_id) {
                    available(&call, frames);
                }
                told(&result, frames);
            }
            ChatEvent::Part(part) => {
                self.close(frames);
                self.whole(part, frames);
            }
            // What the reader has seen cannot be taken back.
            ChatEvent::Reset if self.told => return Err(begun_anew()),
            ChatEvent::Usage(usage) => self.usage.get_or_insert_default().update(&usage),
            ChatEvent::StepEnd => {
                self.close(frames);
                self.calls.clear();
                self.told = false;
                send(frames, json!({"type": "finish-step"}));
                send(frames, json!({"type": "start-step"}));
            }
            ChatEvent::Finish(finish) => self.finish(&finish.reason, frames),
            _ => {}
        }
        Ok(())
    }

    fn failure(&mut self, error: &Error) -> Option<Event> {
        let part = match error.kind() {
            ErrorKind::ClientClosed => json!({"type": "abort", "reason": error.message()}),
            _ => json!({"type": "error", "errorText": error.message()}),
        };
        Some(Event::data(part.to_string()))
    }
}

impl UiStream {
    fn piece(&mut self, kind: Kind, text: &str, frames: &mut Frames) {
        if self.open.as_ref().is_none_or(|(open, _)| *open != kind) {
            self.close(frames);
            let id = self.parts.to_string();
            self.parts += 1;
            send(frames, json!({"type": kind.part("start"), "id": id}));
            self.open = Some((kind, id));
        }
        if let Some((_, id)) = &self.open {
            send(frames, json!({"type": kind.part("delta"), "id": id, "delta": text}));
        }
    }

    fn close(&mut self, frames: &mut Frames) {
        if let Some((kind, id)) = self.open.take() {
            send(frames, json!({"type": kind.part("end"), "id": id}));
        }
    }

    /// A part that arrives whole.
    fn whole(&mut self, part: Part, frames: &mut Frames) {
        match part {
            Part::Text(text) => self.piece(Kind::Text, &text.text, frames),
            Part::Refusal(text) => self.piece(Kind::Text, &text, frames),
            Part::Reasoning(reasoning) => self.piece(Kind::Reasoning, &reasoning.text, frames),
            Part::ToolCall(call) if self.calls.complete(&call.id) => available(&call, frames),
            Part::Media(media) => {
                let file =
                    json!({"type": "file", "url": url_of(&media), "mediaType": media.media_type});
                send(frames, file);
            }
            _ => {}
        }
        self.close(frames);
    }

    fn finish(&mut self, reason: &FinishReason, frames: &mut Frames) {
        self.close(frames);
        for call in self.calls.end() {
            // Calls that are not carried out here are the reader's to carry out, if they are whole.
            match reason.is_whole() {
                true => available(&call, frames),
                false => fail(&call, "The call was cut off.", frames),
            }
        }
        send(frames, json!({"type": "finish-step"}));
        let mut finish = json!({"type": "finish", "finishReason": reason_word(reason)});
        if self.model.is_some() || self.usage.is_some() {
            finish["messageMetadata"] =
                json!({"model": self.model, "usage": self.usage.as_ref().map(usage_object)});
        }
        send(frames, finish);
        frames.push_back(DONE);
    }
}

fn send(frames: &mut Frames, part: Value) {
    frames.push_back(Event::data(part.to_string()));
}

/// A call is complete.
fn available(call: &ToolCall, frames: &mut Frames) {
    match input(call) {
        Ok(input) => send(
            frames,
            json!({"type": "tool-input-available", "toolCallId": call.id, "toolName": call.name, "input": input}),
        ),
        Err(_) => fail(call, "The arguments are no JSON.", frames),
    }
}

/// A call came to nothing.
fn fail(call: &ToolCall, why: &str, frames: &mut Frames) {
    let input = input(call).unwrap_or_else(Value::String);
    send(
        frames,
        json!({"type": "tool-input-error", "toolCallId": call.id, "toolName": call.name, "input": input, "errorText": why}),
    );
}

/// A tool has answered.
fn told(result: &ToolResult, frames: &mut Frames) {
    let id = &result.call_id;
    send(
        frames,
        match result.is_error {
            true => {
                json!({"type": "tool-output-error", "toolCallId": id, "errorText": FAILED})
            }
            false => {
                json!({"type": "tool-output-available", "toolCallId": id, "output": output(result)})
            }
        },
    );
}

/// The AI SDK's word for why an answer ended.
fn reason_word(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls => "tool-calls",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content-filter",
        FinishReason::Error => "error",
        _ => "other",
    }
}

/// Tokens under the names that the AI SDK gives them.
fn usage_object(usage: &Usage) -> Value {
    let mut object = json!({
        "inputTokens": usage.total_input(),
        "outputTokens": usage.total_output(),
        "totalTokens": usage.total(),
    });
    let parts = [
        ("reasoningTokens", usage.reasoning_tokens),
        ("cachedInputTokens", usage.cache_read_tokens),
    ];
    for (name, tokens) in parts {
        if let Some(tokens) = tokens {
            object[name] = tokens.into();
        }
    }
    object
}
