use crate::llm::catalog::Price;
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;

/// What a request has used so far, all rounds of tools together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// The tokens.
    pub usage: Usage,
    /// What they cost, as far as prices are known.
    pub cost: Usd,
    /// Those of the tokens that no price is known for.
    pub unpriced: Usage,
}

impl Spent {
    /// With what one more answer has used.
    pub(super) fn and(mut self, usage: Usage, price: Option<Price>) -> Self {
        self.usage += usage;
        match price.and_then(|price| price.cost(&usage)) {
            Some(cost) => self.cost += cost,
            None => self.unpriced += usage,
        }
        self
    }
}
