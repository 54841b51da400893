//! A whole answer, and what it shares with a streamed one.

use crate::base::json_text::write_json_text;
use crate::base::{Error, ErrorKind, random_id};
use crate::llm::{
    ChatRequest, ChatResponse, Finish, FinishReason, Message, Role, ToolCall, Usage,
    estimate_tokens,
};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What every answer, and every chunk of one, begins with.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    /// In seconds since 1970.
    pub(super) created: u64,
    /// The model that answers, as far as it is known.
    pub(super) model: String,
    /// The name stands, whoever the provider says has answered.
    is_fixed: bool,
}

/// What the model is called in an answer.
#[derive(Debug, Clone)]
pub(super) enum Named {
    /// So, whatever is behind it.
    Fixed(String),
    /// As the provider says, or else so, as far as it is known.
    Likely(Option<String>),
}

impl Head {
    /// That of an answer whose id has these digits, or others where there are none.
    pub(super) fn new(named: Named, digits: Option<&str>) -> Result<Self, Error> {
        let id = match digits {
            Some(digits) => ["chatcmpl-", digits].concat(),
            None => ["chatcmpl-", &random_id()?].concat(),
        };
        let (model, is_fixed) = match named {
            Named::Fixed(name) => (name, true),
            Named::Likely(name) => (name.unwrap_or_default(), false),
        };
        Ok(Self { id, created: now(), model, is_fixed })
    }

    /// The provider says which model answers.
    pub(super) fn answered_by(&mut self, model: Option<&str>) {
        if let Some(model) = model.filter(|model| !self.is_fixed && !model.is_empty()) {
            model.clone_into(&mut self.model);
        }
    }
}

/// The time, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Which calls of tools the caller gets to see.
///
/// Where tools run here, the caller knows nothing of them, and sees the calls of those alone that it
/// has declared: one of a name that nobody knows is answered here, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(Option<Arc<HashSet<String>>>);

impl Hidden {
    /// Shows calls of these tools; of any, where none runs here.
    pub(super) fn of<'a>(declared: impl Iterator<Item = &'a str>, runs_here: bool) -> Self {
        Self(runs_here.then(|| Arc::new(declared.map(str::to_owned).collect())))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|declared| !declared.contains(name))
    }
}

impl Head {
    /// The beginning of an object, up to its choices, as OpenAI's API reference has it, with room for what follows.
    pub(super) fn begin(&self, object: &'static str, room: usize) -> String {
        let Self { id, created, model, .. } = self;
        let mut json = String::with_capacity(id.len() + model.len() + BEGINNING_LENGTH + room);
        json.push_str(r#"{"id":"#);
        write_json_text(id, &mut json);
        json.push_str(r#","object":"#);
        write_json_text(object, &mut json);
        // Writing to a string cannot fail.
        let _ = write!(json, r#","created":{created},"model":"#);
        write_json_text(model, &mut json);
        json.push_str(r#","choices":"#);
        json
    }
}

/// How many bytes a beginning has beside the id and the model, and a little more.
const BEGINNING_LENGTH: usize = 128;

/// `chat.completion` of OpenAI's API reference.
#[derive(Debug)]
pub(super) struct Completion<'a> {
    head: Head,
    content: Option<Cow<'a, str>>,
    refusal: Option<Cow<'a, str>>,
    /// As DeepSeek and vLLM have it.
    reasoning_content: Option<Cow<'a, str>>,
    tool_calls: Vec<WireCall>,
    finish_reason: &'static str,
    usage: WireUsage,
}

#[derive(Debug, Serialize)]
struct WireCall {
    id: String,
    r#type: &'static str,
    function: WireFunction,
}

#[derive(Debug, Serialize)]
struct WireFunction {
    name: String,
    arguments: String,
}

impl<'a> Completion<'a> {
    /// Reads an answer. What the model has said between the calls of tools that ran here is part
    /// of it, as in a stream.
    ///
    /// # Errors
    /// When the answer is none: the provider failed, or the tools here were called too often.
    pub(super) fn of(
        mut head: Head,
        response: &'a ChatResponse,
        hidden: &Hidden,
        asked: &ChatRequest,
    ) -> Result<Self, Error> {
        head.answered_by(response.model.as_deref());
        let turns = || {
            let before = response.steps.iter().filter(|step| step.role == Role::Assistant);
            before.chain([&response.message])
        };
        // Mostly there is one, whose text is not copied.
        let joined = |part: fn(&'a Message) -> Cow<'a, str>| {
            let mut texts = turns().map(part).filter(|text| !text.is_empty());
            let mut all = texts.next()?;
            texts.for_each(|text| all.to_mut().push_str(&text));
            Some(all)
        };
        let content = joined(Message::text);
        let reasoning_content = joined(Message::reasoning);
        let refusal = joined(|turn| turn.refusal().unwrap_or_default());
        let calls = response.message.tool_calls().filter(|call| !hidden.contains(&call.name));
        let tool_calls: Vec<_> = calls.map(WireCall::of).collect();
        let finish_reason =
            finish_word(&response.finish, !tool_calls.is_empty(), refusal.is_some())?;
        let written = [&content, &reasoning_content, &refusal].into_iter().flatten();
        let written = written.map(|text| &**text);
        let calls_text = tool_calls.iter().map(|call| call.function.arguments.as_str());
        let usage = response.usage.as_ref().map_or_else(
            || {
                WireUsage::estimated(
                    asked.estimate_tokens(),
                    written.chain(calls_text).map(estimate_tokens).sum(),
                )
            },
            WireUsage::of,
        );
        // A message has content, a refusal or calls; nothing at all is an empty text.
        let is_empty = refusal.is_none() && tool_calls.is_empty();
        let content = content.or_else(|| is_empty.then(Cow::default));
        Ok(Self { head, content, refusal, reasoning_content, tool_calls, finish_reason, usage })
    }

    /// Writes it. Most of an answer is one text, and the rest hardly more than names, so that it is put together
    /// from its pieces.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        let room = self.content.as_deref().map_or(0, str::len) + REST_LENGTH;
        let mut json = self.head.begin("chat.completion", room);
        json.push_str(r#"[{"index":0,"message":{"role":"assistant","content":"#);
        write_text(self.content.as_deref(), &mut json);
        json.push_str(r#","refusal":"#);
        write_text(self.refusal.as_deref(), &mut json);
        if let Some(reasoning) = &self.reasoning_content {
            json.push_str(r#","reasoning_content":"#);
            write_json_text(reasoning, &mut json);
        }
        if !self.tool_calls.is_empty() {
            json.push_str(r#","tool_calls":"#);
            json.push_str(&serde_json::to_string(&self.tool_calls)?);
        }
        json.push_str(r#"},"logprobs":null,"finish_reason":"#);
        write_json_text(self.finish_reason, &mut json);
        json.push_str(r#"}],"usage":"#);
        self.usage.write(&mut json);
        json.push('}');
        Ok(json)
    }
}

/// How many bytes an answer has beside its beginning and its text, mostly, and a little more.
const REST_LENGTH: usize = 512;

/// A text, or `null`.
fn write_text(text: Option<&str>, json: &mut String) {
    match text {
        Some(text) => write_json_text(text, json),
        None => json.push_str("null"),
    }
}

impl WireCall {
    fn of(call: &ToolCall) -> Self {
        // Clients parse the text, and an empty one is no JSON.
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let function = WireFunction { name: call.name.clone(), arguments: arguments.to_owned() };
        Self { id: call.id.clone(), r#type: "function", function }
    }
}

/// OpenAI's word for an end.
///
/// # Errors
/// When it is the end of no answer; it must not look like one.
pub(super) fn finish_word(
    finish: &Finish,
    has_calls: bool,
    is_refusal: bool,
) -> Result<&'static str, Error> {
    let failed = |message: &'static str| Err(Error::new(ErrorKind::BadGateway, message));
    match finish.reason {
        FinishReason::Length => Ok("length"),
        // A refusal is what the model says, and its end is like any other.
        FinishReason::ContentFilter if !is_refusal => Ok("content_filter"),
        FinishReason::ToolLimit => failed("The model called tools too often."),
        FinishReason::Error => failed("The model did not finish its answer."),
        FinishReason::Pause => failed("The model made a pause, and did not finish its answer."),
        FinishReason::Other(_) if has_calls => {
            failed("The model ended its answer for a reason that is not known here.")
        }
        _ if has_calls => Ok("tool_calls"),
        _ => Ok("stop"),
    }
}

/// `usage` of OpenAI's API reference: the prompt includes what was cached, the completion the reasoning.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireUsage {
    prompt: u64,
    completion: u64,
    total: u64,
    cached: u64,
    cache_write: Option<u64>,
    reasoning: u64,
}

impl WireUsage {
    pub(super) fn of(usage: &Usage) -> Self {
        Self {
            prompt: usage.total_input(),
            completion: usage.total_output(),
            total: usage.total(),
            cached: usage.cache_read_tokens.unwrap_or(0),
            cache_write: usage.cache_write_tokens,
            reasoning: usage.reasoning_tokens.unwrap_or(0),
        }
    }

    /// Writes it behind what there is.
    pub(super) fn write(&self, json: &mut String) {
        let Self { prompt, completion, total, cached, cache_write, reasoning } = self;
        // Writing to a string cannot fail.
        let _ = write!(
            json,
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached}"#,
        );
        if let Some(written) = cache_write {
            let _ = write!(json, r#","cache_write_tokens":{written}"#);
        }
        let _ =
            write!(json, r#"}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}"#);
    }

    /// Where the provider says nothing.
    pub(super) fn estimated(prompt: u64, completion: u64) -> Self {
        Self::of(&Usage::new(prompt, completion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Part, Reasoning};
    use serde_json::{Value, json};

    #[test]
    fn an_answer_is_written_as_openai_writes_it() {
        let head = Head { id: "chatcmpl-1".into(), created: 7, model: "m".into(), is_fixed: false };
        let written = |content: Vec<Part>| -> Value {
            let mut response =
                ChatResponse::new(Message::new(Role::Assistant, content), FinishReason::Stop);
            response.usage = Some(Usage::new(3, 4));
            let (hidden, asked) = (Hidden::default(), ChatRequest::from("Hi"));
            let completion = Completion::of(head.clone(), &response, &hidden, &asked).unwrap();
            let json = completion.to_json().unwrap();
            serde_json::from_str(&json).unwrap()
        };
        let expected = |message: Value, finish_reason: &str| {
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
                "choices": [{
                    "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason,
                }],
                "usage": {
                    "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
                    "prompt_tokens_details": {"cached_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0},
                },
            })
        };
        let text = "\"a\"\n\u{1} é";
        let message = json!({"role": "assistant", "content": text, "refusal": null});
        assert_eq!(written(vec![text.into()]), expected(message, "stop"));
        let message = json!({"role": "assistant", "content": "", "refusal": null});
        assert_eq!(written(Vec::new()), expected(message, "stop"));
        let all = vec![
            Part::Reasoning(Reasoning::new("hm\t")),
            Part::Refusal("No\\".into()),
            Part::ToolCall(ToolCall::new("c1", "now", " ")),
        ];
        let call =
            json!({"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}});
        let message = json!({
            "role": "assistant", "content": null, "refusal": "No\\", "reasoning_content": "hm\t",
            "tool_calls": [call],
        });
        assert_eq!(written(all), expected(message, "tool_calls"));
    }

    #[test]
    fn ends_have_openais_words() {
        let word =
            |reason: FinishReason, calls, refusal| finish_word(&reason.into(), calls, refusal).ok();
        assert_eq!(word(FinishReason::Stop, false, false), Some("stop"));
        assert_eq!(word(FinishReason::Stop, true, false), Some("tool_calls"));
        assert_eq!(word(FinishReason::Other("x".into()), false, false), Some("stop"));
        assert_eq!(word(FinishReason::Length, true, false), Some("length"));
        assert_eq!(word(FinishReason::ContentFilter, false, false), Some("content_filter"));
        assert_eq!(word(FinishReason::ContentFilter, false, true), Some("stop"));
        assert_eq!(
            word(FinishReason::Other("x".into()), true, false),
            None,
            "its calls may be cut"
        );
        for reason in [FinishReason::ToolLimit, FinishReason::Error, FinishReason::Pause] {
            assert_eq!(word(reason, false, false), None);
        }
    }
}
