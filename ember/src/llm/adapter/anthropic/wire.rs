//! What stands in answers, whole or streamed. Every member is optional and every enumeration open.

use crate::llm::chat::{Finish, FinishReason};
use crate::llm::usage::Usage;
use serde::Deserialize;
use serde_json::Value;

/// A message, or the beginning of one.
#[derive(Default, Deserialize)]
pub(super) struct WireMessage {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) content: Option<Vec<Value>>,
    pub(super) stop_reason: Option<String>,
    pub(super) usage: Option<WireUsage>,
}

/// The usage as messages count it: the input without what was cached, the output with what was
/// thought.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Takes over a later snapshot; what that leaves out stays as it was.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens =
            later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        let thinking = |usage: &Self| usage.output_tokens_details?.thinking_tokens;
        let thinking_tokens = thinking(&later).or(thinking(self));
        self.output_tokens_details = Some(OutputDetails { thinking_tokens });
    }

    pub(super) fn into_usage(self) -> Usage {
        let thinking = self.output_tokens_details.and_then(|details| details.thinking_tokens);
        Usage {
            input_tokens: self.input_tokens,
            cache_read_tokens: self.cache_read_input_tokens,
            cache_write_tokens: self.cache_creation_input_tokens,
            output_tokens: self
                .output_tokens
                .map(|tokens| tokens.saturating_sub(thinking.unwrap_or(0))),
            reasoning_tokens: thinking,
            estimated: false,
        }
    }
}

/// Our word for the reason why an answer ended.
pub(super) fn finish(raw: Option<&str>, has_calls: bool) -> Finish {
    let reason = match raw.unwrap_or_default() {
        "tool_use" => FinishReason::ToolCalls,
        "end_turn" | "stop_sequence" if has_calls => FinishReason::ToolCalls,
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "refusal" => FinishReason::ContentFilter,
        "pause_turn" | "compaction" => FinishReason::Pause,
        other => FinishReason::Other(other.to_owned()),
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}
