//! What a client must read in a recording, and how an outcome differs from that.

use super::Format;
use ember::llm::{ChatResponse, Error, Usage};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Debug;

#[derive(Clone, Deserialize)]
pub(super) struct Expected {
    text: String,
    reasoning: String,
    refusal: Option<String>,
    tool_calls: Vec<ExpectedCall>,
    finish_reason: Option<String>,
    usage: Option<ExpectedUsage>,
    model: Option<String>,
    id: Option<String>,
    error: Option<ExpectedError>,
    /// What the reader of the recordings has seen and not read.
    #[serde(default)]
    pub(super) other: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct ExpectedCall {
    id: Option<String>,
    name: Option<String>,
    arguments: Option<Value>,
    arguments_raw: Option<String>,
}

#[derive(Clone, Deserialize)]
struct ExpectedUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(alias = "cache_read_input_tokens")]
    cached_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Clone, Deserialize)]
struct ExpectedError {
    message: Option<String>,
    code: Option<Value>,
    r#type: Option<String>,
}

/// What differs between an outcome and what a client must read in the recording.
#[derive(Default)]
pub(super) struct Differences(Vec<String>);

impl Differences {
    fn check<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.0.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    pub(super) fn of(
        format: Format,
        outcome: &Result<ChatResponse, Error>,
        expected: &Expected,
    ) -> Vec<String> {
        let mut differences = Self::default();
        match (outcome, &expected.error) {
            (Ok(response), None) => differences.response(format, response, expected),
            (Err(error), Some(expected)) => differences.error(error, expected),
            (Ok(_), Some(_)) => differences.0.push("an answer instead of an error".to_owned()),
            (Err(error), None) => differences.0.push(format!("{error:?} instead of an answer")),
        }
        differences.0
    }

    fn error(&mut self, error: &Error, expected: &ExpectedError) {
        let code = expected.code.as_ref().and_then(|code| match code {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        });
        self.check("message", error.message(), expected.message.as_deref().unwrap_or_default());
        self.check("code", error.code(), code.as_deref().or(expected.r#type.as_deref()));
    }

    fn response(&mut self, format: Format, response: &ChatResponse, expected: &Expected) {
        let message = &response.message;
        self.check("text", &*response.text(), &expected.text);
        // The reader of the recordings does not look into Mistral's thinking parts.
        if !expected.reasoning.is_empty() {
            self.check("reasoning", &*message.reasoning(), &expected.reasoning);
        }
        self.check("refusal", message.refusal().as_deref(), expected.refusal.as_deref());
        let reason = expected.finish_reason.as_deref();
        let reason = reason.map(|reason| reason.strip_prefix("incomplete:").unwrap_or(reason));
        self.check("finish", response.finish.raw.as_deref(), reason);
        self.check("model", &response.model, &expected.model);
        self.check("id", &response.id, &expected.id);
        self.check("number of calls", message.tool_calls().count(), expected.tool_calls.len());
        for (call, expected) in message.tool_calls().zip(&expected.tool_calls) {
            // Gemini gives no ids; ours are invented.
            let id = expected.id.as_deref().unwrap_or(&call.id);
            self.check("id of call", call.id.as_str(), id);
            self.check("name", Some(&call.name), expected.name.as_ref());
            let arguments = call.parse().ok().filter(Value::is_object);
            self.check("arguments", &arguments, &expected.arguments);
            if let Some(raw) = &expected.arguments_raw {
                self.check("raw arguments", &call.arguments, raw);
            }
        }
        self.check("usage", response.usage.is_some(), expected.usage.is_some());
        if let (Some(usage), Some(expected)) = (&response.usage, &expected.usage) {
            self.check("cached", usage.cache_read_tokens, expected.cached_input_tokens);
            match format {
                Format::Anthropic => {
                    self.check("input", usage.input_tokens, expected.input_tokens);
                    let written = expected.cache_creation_input_tokens;
                    self.check("written to the cache", usage.cache_write_tokens, written);
                    let output = expected.output_tokens.map(|_| usage.total_output());
                    self.check("output", output, expected.output_tokens);
                }
                Format::Gemini => self.gemini_usage(usage, expected),
                _ => self.openai_usage(usage, expected),
            }
        }
    }

    /// What tools of Gemini's own have read stands beside the prompt, and in the total.
    fn gemini_usage(&mut self, usage: &Usage, expected: &ExpectedUsage) {
        let counted = usage.total_input() >= expected.input_tokens.unwrap_or_default();
        self.check("input", counted, true);
        self.check("output", usage.output_tokens, expected.output_tokens);
        self.check("reasoning tokens", usage.reasoning_tokens, expected.reasoning_tokens);
        self.check("total", Some(usage.total()), expected.total_tokens);
    }

    fn openai_usage(&mut self, usage: &Usage, expected: &ExpectedUsage) {
        self.check("input", Some(usage.total_input()), expected.input_tokens);
        self.check("reasoning tokens", usage.reasoning_tokens, expected.reasoning_tokens);
        // xAI counts the reasoning beside the completion, and the recording as it came.
        let completion = if usage.total() == expected.total_tokens.unwrap_or_default()
            && expected.output_tokens < Some(usage.total_output())
        {
            usage.output_tokens
        } else {
            Some(usage.total_output())
        };
        self.check("output", completion, expected.output_tokens);
    }
}
