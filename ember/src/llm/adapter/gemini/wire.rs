//! What stands in answers, whole or streamed. Every member is optional and every enumeration open.

use super::partial::PartialArg;
use crate::llm::adapter::json::{AnyText, Fill, Filled, Raw, Reader, WireText, wire};
use crate::llm::chat::{Finish, FinishReason};
use crate::llm::usage::{Usage, sum_of};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::{Map, Value};
use smallvec::SmallVec;

wire! {
    /// An answer, or a piece of one.
    pub(super) struct Document<'a> {
        #[serde(borrow)]
        pub(super) candidates: Option<SmallVec<[Candidate<'a>; 1]>> = "candidates",
        #[serde(borrow)]
        pub(super) prompt_feedback: Option<PromptFeedback<'a>> = "promptFeedback",
        pub(super) usage_metadata: Option<WireUsage> = "usageMetadata",
        #[serde(borrow)]
        pub(super) model_version: Option<WireText<'a>> = "modelVersion",
        #[serde(borrow)]
        pub(super) response_id: Option<WireText<'a>> = "responseId",
        #[serde(borrow)]
        pub(super) error: Option<Raw<'a>> = "error",
    }
}

impl Document<'_> {
    pub(super) fn answers(&self) -> bool {
        self.candidates.as_ref().is_some_and(|candidates| !candidates.is_empty())
            || self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some())
            || self.error.is_some()
    }
}

wire! {
    pub(super) struct Candidate<'a> {
        pub(super) index: Option<u64> = "index",
        #[serde(borrow)]
        pub(super) content: Option<Content<'a>> = "content",
        #[serde(borrow)]
        pub(super) finish_reason: Option<WireText<'a>> = "finishReason",
        #[serde(borrow)]
        pub(super) grounding_metadata: Option<Raw<'a>> = "groundingMetadata",
        #[serde(borrow)]
        pub(super) citation_metadata: Option<Raw<'a>> = "citationMetadata",
        #[serde(borrow)]
        pub(super) url_context_metadata: Option<Raw<'a>> = "urlContextMetadata",
    }
}

wire! {
    pub(super) struct Content<'a> {
        #[serde(borrow)]
        pub(super) parts: Option<SmallVec<[WirePart<'a>; 1]>> = "parts",
    }
}

/// A part as it comes: one of a kind that we do not know must go back unchanged.
#[derive(Debug, Default)]
pub(super) struct WirePart<'a> {
    pub(super) raw: Raw<'a>,
    pub(super) said: Said<'a>,
}

impl<'a> Fill<'a> for WirePart<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Filled<()> {
        self.raw.fill(reader)?;
        self.said.fill(&mut Reader::new(self.raw.0))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for WirePart<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let said = serde_json::from_str(raw.0).map_err(de::Error::custom)?;
        Ok(Self { raw, said })
    }
}

/// What nearly all parts consist of. Of a value that is not what it should be, nothing is said.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) text: Option<WireText<'a>>,
    pub(super) is_thought: bool,
    pub(super) signature: Option<WireText<'a>>,
}

impl<'a> Fill<'a> for Said<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Filled<()> {
        let text = |reader: &mut Reader<'a>| {
            let mut text = AnyText::default();
            text.fill(reader).map(|()| text.0)
        };
        reader.object(|reader, name| {
            match name {
                "text" => self.text = text(reader)?,
                "thought" => self.is_thought = reader.raw()? == "true",
                "thoughtSignature" => self.signature = text(reader)?,
                _ => reader.pass()?,
            }
            Ok(())
        })
    }
}

impl<'de> Deserialize<'de> for Said<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(WireText::from(text)),
            _ => None,
        };
        let (text, signature) = (text("text"), text("thoughtSignature"));
        let is_thought = members.get("thought") == Some(&Value::Bool(true));
        Ok(Self { text, is_thought, signature })
    }
}

wire! {
    pub(super) struct PromptFeedback<'a> {
        #[serde(borrow)]
        pub(super) block_reason: Option<WireText<'a>> = "blockReason",
    }
}

/// A call, or (from Vertex) a piece of one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCall {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    /// An object; what is none goes on to whoever can say so to the model.
    pub(super) args: Option<Value>,
    pub(super) partial_args: Option<Vec<PartialArg>>,
    #[serde(default)]
    pub(super) will_continue: bool,
}

wire! {
    /// The usage as Gemini counts it: the prompt with what was cached, without what its own tools have
    /// added; the candidates without the thoughts.
    #[derive(Clone, Copy)]
    pub(super) struct WireUsage {
        prompt_token_count: Option<u64> = "promptTokenCount",
        cached_content_token_count: Option<u64> = "cachedContentTokenCount",
        tool_use_prompt_token_count: Option<u64> = "toolUsePromptTokenCount",
        candidates_token_count: Option<u64> = "candidatesTokenCount",
        thoughts_token_count: Option<u64> = "thoughtsTokenCount",
    }
}

impl WireUsage {
    /// Takes over a later snapshot; what that leaves out stays as it was.
    pub(super) fn update(&mut self, later: Self) {
        let keep = |known: &mut Option<u64>, later: Option<u64>| *known = later.or(*known);
        keep(&mut self.prompt_token_count, later.prompt_token_count);
        keep(&mut self.cached_content_token_count, later.cached_content_token_count);
        keep(&mut self.tool_use_prompt_token_count, later.tool_use_prompt_token_count);
        keep(&mut self.candidates_token_count, later.candidates_token_count);
        keep(&mut self.thoughts_token_count, later.thoughts_token_count);
    }

    /// The usage, if there are any figures.
    pub(super) fn into_usage(self) -> Option<Usage> {
        let cached = self.cached_content_token_count;
        let input = self.prompt_token_count.map(|prompt| {
            let anew = prompt.saturating_sub(cached.unwrap_or(0));
            sum_of([Some(anew), self.tool_use_prompt_token_count])
        });
        let usage = Usage {
            input_tokens: input,
            cache_read_tokens: cached,
            cache_write_tokens: None,
            output_tokens: self.candidates_token_count,
            reasoning_tokens: self.thoughts_token_count,
            estimated: false,
        };
        (usage != Usage::default()).then_some(usage)
    }
}

/// Our word for the reason why an answer ended. Gemini says `STOP` even when it calls.
pub(super) fn finish(raw: Option<&str>, has_calls: bool) -> Finish {
    let reason = match raw.unwrap_or_default() {
        "STOP" if has_calls => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" => {
            FinishReason::ContentFilter
        }
        image if image.starts_with("IMAGE_") => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" => {
            FinishReason::Error
        }
        other => FinishReason::Other(other.to_owned()),
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}
