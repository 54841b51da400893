use crate::base::tokens::{Estimate, TokenCounter};
use tiktoken_rs::bpe_for_tokenizer;
use tiktoken_rs::tokenizer::get_tokenizer;

/// Counts tokens exactly, for models whose vocabulary is known: OpenAI's.
///
/// Other models, and requests that name none, are counted by the [`Estimate`]. A vocabulary is read
/// when it is needed for the first time, which takes a fraction of a second, and then stays in memory.
///
/// ```
/// use ember::llm::{Client, FakeProvider, Message, Tiktoken};
///
/// let client = Client::new(FakeProvider::new()).model("gpt-4o-mini").token_counter(Tiktoken);
/// // A message costs four tokens beside its text.
/// assert_eq!(client.count_tokens(&[Message::user("antidisestablishmentarianism")]), 10);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiktoken;

/// How much text is counted at once, in bytes. It bounds the time and memory that texts without a break
/// take, as well as the steps that looking for one may take; where a text is cut, a token more may be counted.
const PIECE: usize = 32 << 10;

impl Tiktoken {
    /// Tells whether a model's vocabulary is known.
    pub fn knows(model: &str) -> bool {
        get_tokenizer(bare(model)).is_some()
    }
}

impl TokenCounter for Tiktoken {
    fn count(&self, model: Option<&str>, text: &str) -> u64 {
        let tokenizer = model.and_then(|model| get_tokenizer(bare(model)));
        match tokenizer.map(bpe_for_tokenizer) {
            Some(Ok(vocabulary)) => {
                pieces(text).map(|piece| vocabulary.encode_ordinary(piece).len() as u64).sum()
            }
            _ => Estimate.count(model, text),
        }
    }
}

/// A model's name without that of the vendor before a slash.
fn bare(model: &str) -> &str {
    model.strip_prefix("openai/").unwrap_or(model)
}

/// Cuts a text into pieces.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_models_are_counted_exactly_and_others_by_estimate() {
        // The figures of the OpenAI Cookbook, "How to count tokens with tiktoken".
        let text = "お誕生日おめでとう";
        let count = |model| Tiktoken.count(model, text);
        assert_eq!((count(Some("gpt-4o")), count(Some("openai/gpt-4.1-mini"))), (8, 8));
        assert_eq!(count(Some("gpt-4-0613")), 9, "an older vocabulary");
        for other in [None, Some("claude-haiku-4-5"), Some("gpt"), Some("ft:")] {
            assert_eq!(count(other), Estimate.count(None, text), "{other:?}");
        }
        assert!(Tiktoken::knows("gpt-5-mini") && !Tiktoken::knows("gemini-2.5-flash"));
        assert_eq!(Tiktoken.count(Some("gpt-4o"), ""), 0);
    }

    #[test]
    fn a_text_without_a_break_takes_no_more_than_its_length() {
        for character in ["a", " ", "你", "\u{301}"] {
            let long = character.repeat((1 << 18) / character.len());
            assert!(Tiktoken.count(Some("gpt-4o"), &long) > 500);
        }
        let text = "aé你🎉".repeat(9_000);
        assert_eq!(pieces(&text).collect::<String>(), text);
    }
}
