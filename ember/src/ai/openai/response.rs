//! A whole answer, and what it shares with a streamed one.

use crate::base::{Error, ErrorKind, random_id};
use crate::llm::{
    ChatRequest, ChatResponse, Finish, FinishReason, Message, Role, ToolCall, Usage,
    estimate_tokens,
};
use serde::Serialize;
use std::collections::HashSet;
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
    pub(super) fn new(named: Named) -> Result<Self, Error> {
        let id = format!("chatcmpl-{}", random_id()?);
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

/// `chat.completion` of OpenAI's API reference.
#[derive(Debug, Serialize)]
pub(super) struct Completion {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: [Choice; 1],
    usage: WireUsage,
}

#[derive(Debug, Serialize)]
struct Choice {
    index: u64,
    message: WireMessage,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Debug, Serialize)]
struct WireMessage {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    /// As DeepSeek and vLLM have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall>,
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

impl Completion {
    /// Writes an answer. What the model has said between the calls of tools that ran here is part
    /// of it, as in a stream.
    ///
    /// # Errors
    /// When the answer is none: the provider failed, or the tools here were called too often.
    pub(super) fn of(
        mut head: Head,
        response: ChatResponse,
        hidden: &Hidden,
        asked: &ChatRequest,
    ) -> Result<Self, Error> {
        head.answered_by(response.model.as_deref());
        let turns = response.steps.iter().filter(|step| step.role == Role::Assistant);
        let turns: Vec<&Message> = turns.chain([&response.message]).collect();
        let joined = |part: fn(&Message) -> String| -> Option<String> {
            let text: String = turns.iter().map(|turn| part(turn)).collect();
            (!text.is_empty()).then_some(text)
        };
        let content = joined(|turn| turn.text().into_owned());
        let reasoning_content = joined(|turn| turn.reasoning().into_owned());
        let refusal = joined(|turn| turn.refusal().unwrap_or_default().into_owned());
        let calls = response.message.tool_calls().filter(|call| !hidden.contains(&call.name));
        let tool_calls: Vec<_> = calls.map(WireCall::of).collect();
        let finish_reason =
            finish_word(&response.finish, !tool_calls.is_empty(), refusal.is_some())?;
        let written = [&content, &reasoning_content, &refusal].into_iter().flatten();
        let calls_text = tool_calls.iter().map(|call| &call.function.arguments);
        let usage = response.usage.as_ref().map_or_else(
            || {
                WireUsage::estimated(
                    asked.estimate_tokens(),
                    written.chain(calls_text).map(|text| estimate_tokens(text)).sum(),
                )
            },
            WireUsage::of,
        );
        // A message has content, a refusal or calls; nothing at all is an empty text.
        let is_empty = refusal.is_none() && tool_calls.is_empty();
        let content = content.or_else(|| is_empty.then(String::new));
        let message =
            WireMessage { role: "assistant", content, refusal, reasoning_content, tool_calls };
        Ok(Self {
            id: head.id,
            object: "chat.completion",
            created: head.created,
            model: head.model,
            choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
            usage,
        })
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
        _ if has_calls => Ok("tool_calls"),
        _ => Ok("stop"),
    }
}

/// `usage` of OpenAI's API reference: the prompt includes what was cached, the completion the reasoning.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl WireUsage {
    pub(super) fn of(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.total_input(),
            completion_tokens: usage.total_output(),
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read_tokens.unwrap_or(0),
                cache_write_tokens: usage.cache_write_tokens,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens.unwrap_or(0),
            },
        }
    }

    /// Where the provider says nothing.
    pub(super) fn estimated(prompt: u64, completion: u64) -> Self {
        Self::of(&Usage::new(prompt, completion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for reason in [FinishReason::ToolLimit, FinishReason::Error, FinishReason::Pause] {
            assert_eq!(word(reason, false, false), None);
        }
    }
}
