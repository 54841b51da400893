use crate::llm::catalog::Price;
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;

/// The shortest answer that is worth a call, and that every provider lets be asked for.
const SHORT_ANSWER: u64 = 16;

/// What a call may cost.
#[derive(Clone)]
pub(super) struct Quote {
    pub(super) price: Option<Price>,
    /// The length of the prompt, in tokens.
    pub(super) prompt: u64,
    /// The longest answer that is asked for, in tokens.
    pub(super) longest: u64,
}

impl Quote {
    /// What it costs with an answer of so many tokens; nothing, where no price is known.
    pub(super) fn cost(&self, output: u64) -> Usd {
        let usage = Usage::new(self.prompt, output);
        self.price.and_then(|price| price.cost(&usage)).unwrap_or_default()
    }

    /// What is to be set aside of so much, and what the answer is bounded to if that is less than the
    /// longest.
    ///
    /// # Errors
    /// What the shortest answer that is worth a call costs, if that is more.
    pub(super) fn within(&self, left: Usd) -> Result<(Usd, Option<u64>), Usd> {
        let wanted = self.cost(self.longest);
        if wanted <= left {
            return Ok((wanted, None));
        }
        let least = self.cost(SHORT_ANSWER.min(self.longest));
        if least > left {
            return Err(least);
        }
        let each = self.cost(1).minus(self.cost(0)).picos().max(1);
        let affordable = left.minus(self.cost(0)).picos() / each;
        let affordable = u64::try_from(affordable).unwrap_or(u64::MAX).min(self.longest);
        Ok((self.cost(affordable), Some(affordable)))
    }
}
