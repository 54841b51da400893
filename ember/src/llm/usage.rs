use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

/// How many tokens a call has used, in parts that do not overlap.
///
/// A part that the provider did not report is `None`, which is not the same as zero.
/// Providers count differently (OpenAI's prompt includes what was cached, Anthropic's does
/// not); the adapters take that apart, so that sums mean the same everywhere.
#[doc(alias = "TokenUsage")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Input that was read anew.
    pub input_tokens: Option<u64>,
    /// Input that the provider had cached.
    pub cache_read_tokens: Option<u64>,
    /// Input that the provider has cached for later.
    pub cache_write_tokens: Option<u64>,
    /// Output without the reasoning, where that is counted apart.
    pub output_tokens: Option<u64>,
    /// Output that the model used for reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Whether the figures are our estimate, because the provider's never came.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// So many tokens in and out, and nothing known of their parts.
    pub fn new(input: u64, output: u64) -> Self {
        Self { input_tokens: Some(input), output_tokens: Some(output), ..Self::default() }
    }

    /// All input, cached or not.
    pub fn total_input(&self) -> u64 {
        sum_of([self.input_tokens, self.cache_read_tokens, self.cache_write_tokens])
    }

    /// All output, reasoning included.
    pub fn total_output(&self) -> u64 {
        sum_of([self.output_tokens, self.reasoning_tokens])
    }

    /// Input and output.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.total_output())
    }

    /// Takes over a later snapshot of the same call: what it reports replaces what was known.
    ///
    /// Providers report cumulatively within a call, so nothing is added.
    pub fn update(&mut self, later: &Self) {
        for (known, later) in self.parts_mut().into_iter().zip(later.parts()) {
            *known = later.or(*known);
        }
        self.estimated = later.estimated;
    }

    fn parts(&self) -> [Option<u64>; 5] {
        [
            self.input_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
        ]
    }

    fn parts_mut(&mut self) -> [&mut Option<u64>; 5] {
        [
            &mut self.input_tokens,
            &mut self.cache_read_tokens,
            &mut self.cache_write_tokens,
            &mut self.output_tokens,
            &mut self.reasoning_tokens,
        ]
    }
}

/// Adds counts that are known. A provider that reports nonsense must not stop us.
pub(crate) fn sum_of(counts: impl IntoIterator<Item = Option<u64>>) -> u64 {
    counts.into_iter().flatten().fold(0, u64::saturating_add)
}

/// The usage of two calls together.
impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        for (sum, other) in self.parts_mut().into_iter().zip(other.parts()) {
            *sum = match (*sum, other) {
                (None, None) => None,
                (known, other) => Some(sum_of([known, other])),
            };
        }
        self.estimated = self.estimated || other.estimated;
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_replace_and_calls_add_up() {
        let mut usage = Usage::new(10, 1);
        usage.update(&Usage {
            output_tokens: Some(7),
            reasoning_tokens: Some(2),
            ..Usage::default()
        });
        assert_eq!((usage.total_input(), usage.total_output(), usage.total()), (10, 9, 19));
        let both = usage + Usage::new(5, 5);
        assert_eq!((both.input_tokens, both.cache_read_tokens, both.total()), (Some(15), None, 29));
    }

    #[test]
    fn nonsense_does_not_overflow() {
        let mut usage = Usage::new(u64::MAX, u64::MAX);
        usage.cache_read_tokens = Some(u64::MAX);
        usage.reasoning_tokens = Some(1);
        usage += usage;
        assert_eq!(usage.total(), u64::MAX);
    }
}
