use super::message::{Message, Part};

/// Estimates how many tokens a text has: one for every four bytes, rounded up.
///
/// The rule of thumb that providers give for English (OpenAI, "What are tokens and how to count
/// them?"); other languages have more tokens by the byte, but also more bytes by the character.
pub fn estimate_tokens(text: &str) -> u64 {
    tokens_of_bytes(text.len())
}

/// The same estimate for a text of so many bytes.
pub(super) fn tokens_of_bytes(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// What a message costs beside its text: its role, and the marks around it.
const PER_MESSAGE: u64 = 4;

/// What an image costs, about (OpenAI's "low detail").
const PER_MEDIUM: u64 = 85;

impl Message {
    /// Estimates how many tokens the message has.
    pub fn estimate_tokens(&self) -> u64 {
        let parts = self.content.iter().map(|part| match part {
            Part::Text(text) => estimate_tokens(&text.text),
            Part::Reasoning(reasoning) => estimate_tokens(&reasoning.text),
            Part::Refusal(text) => estimate_tokens(text),
            Part::ToolCall(call) => estimate_tokens(&call.name) + estimate_tokens(&call.arguments),
            Part::ToolResult(result) => estimate_tokens(&result.content),
            Part::Media(_) => PER_MEDIUM,
            Part::Opaque(opaque) => estimate_tokens(&opaque.value.to_string()),
        });
        PER_MESSAGE + parts.sum::<u64>()
    }
}
