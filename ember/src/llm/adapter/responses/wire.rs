//! What stands in answers, whole or streamed. Every member is optional and every enumeration open.

use crate::llm::adapter::Failure;
use crate::llm::chat::{Finish, FinishReason};
use crate::llm::error::Error;
use crate::llm::usage::{Usage, sum_of};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A response, as it stands in an answer or in the events that tell its state.
#[derive(Default, Deserialize)]
pub(super) struct WireResponse {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) status: Option<String>,
    incomplete_details: Option<Incomplete>,
    pub(super) output: Option<Vec<Map<String, Value>>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

impl WireResponse {
    pub(super) fn failed(&self) -> bool {
        self.error.as_ref().is_some_and(|error| !error.is_null())
            || self.status.as_deref() == Some("failed")
    }

    /// The error that the response has ended in.
    pub(super) fn into_error(self, provider: &str) -> Error {
        let error = self.error.filter(|error| !error.is_null());
        let error = error.unwrap_or_else(|| json!({"message": "the response has failed"}));
        Failure::of(&json!({"error": error})).into_error(provider, None)
    }

    /// Takes over how a stream ended, by its last event, where the response does not know that it has.
    pub(super) fn end(&mut self, status: &str) {
        if matches!(self.status.as_deref(), None | Some("queued" | "in_progress")) {
            self.status = Some(status.to_owned());
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.as_ref().map(WireUsage::usage)
    }

    /// Why the answer has ended.
    pub(super) fn reason(&self, has_calls: bool, has_refused: bool) -> Finish {
        let cut = self.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        let status = self.status.as_deref();
        let raw = cut.filter(|_| status == Some("incomplete")).or(status);
        let reason = match (status.unwrap_or_default(), raw.unwrap_or_default()) {
            // xAI says `complete`.
            ("completed" | "complete", _) if has_calls => FinishReason::ToolCalls,
            ("completed" | "complete", _) if has_refused => FinishReason::ContentFilter,
            ("completed" | "complete", _) => FinishReason::Stop,
            ("incomplete", "max_output_tokens") => FinishReason::Length,
            ("incomplete", "content_filter") => FinishReason::ContentFilter,
            // Whatever else has cut it, or it is still being written, and what has come is a part of it.
            ("incomplete" | "cancelled" | "failed" | "queued" | "in_progress", _) => {
                FinishReason::Error
            }
            (other, _) => FinishReason::Other(other.to_owned()),
        };
        Finish { reason, raw: raw.map(str::to_owned) }
    }
}

/// The usage as responses count it: the input with what was cached, the output with what was
/// thought.
#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    fn usage(&self) -> Usage {
        let input = self.input_tokens_details.as_ref();
        let cached = input.and_then(|details| details.cached_tokens);
        let written = input.and_then(|details| details.cache_write_tokens);
        let reasoning =
            self.output_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
        let less = |whole: u64, parts: [Option<u64>; 2]| whole.saturating_sub(sum_of(parts));
        Usage {
            input_tokens: self.input_tokens.map(|tokens| less(tokens, [cached, written])),
            cache_read_tokens: cached,
            cache_write_tokens: written,
            output_tokens: self.output_tokens.map(|tokens| less(tokens, [reasoning, None])),
            reasoning_tokens: reasoning,
            estimated: false,
        }
    }
}
