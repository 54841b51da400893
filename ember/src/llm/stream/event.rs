use crate::llm::chat::{Cached, Dropped, Finish};
use crate::llm::message::{Part, Signature, ToolCall, ToolResult};
use crate::llm::usage::Usage;
use serde_json::Value;

/// One step of an answer that arrives bit by bit.
///
/// Text, reasoning and refusals arrive as pieces; pieces of one kind that follow each other
/// belong to one part, until [`PartEnd`](ChatEvent::PartEnd) closes it.
#[doc(alias = "LLMStreamChunk")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// The provider has begun to answer. It may come again, with what holds from then on.
    Start {
        /// Its id of the answer.
        id: Option<String>,
        /// The model, in its words.
        model: Option<String>,
    },
    /// The answer is an earlier one that was kept; no model is asked.
    Cached(Cached),
    /// A piece of text.
    Text(String),
    /// A piece of reasoning.
    Reasoning(String),
    /// A piece of a refusal.
    Refusal(String),
    /// Where the open part of text was taken from, as the provider tells it.
    Citation(Value),
    /// The open part ends.
    PartEnd {
        /// The provider's mark on it.
        signature: Option<Signature>,
    },
    /// A call begins; one that has begun before under its index is void.
    ToolCallStart {
        /// Which call of the answer.
        index: usize,
        /// What the result will refer to.
        id: String,
        /// Which tool.
        name: String,
        /// The provider's mark on the call.
        signature: Option<Signature>,
    },
    /// A piece of a call's arguments.
    ToolCallDelta {
        /// Which call of the answer.
        index: usize,
        /// The piece, which is no JSON by itself.
        arguments: String,
    },
    /// A part that arrives whole.
    Part(Part),
    /// What this turn has told so far is void: the provider has begun it anew.
    Reset,
    /// The tokens that this answer has used so far: a snapshot, not a difference.
    Usage(Usage),
    /// What the provider could not be told.
    Dropped(Dropped),
    /// A turn has ended in calls, and this one, which is complete, is being carried out. Its result follows.
    ToolRun(ToolCall),
    /// A tool has answered. The model goes on with that.
    ToolResult(ToolResult),
    /// A turn has ended in calls, whose results have been told; another turn begins.
    StepEnd,
    /// The answer has ended. Nothing follows.
    Finish(Finish),
}
