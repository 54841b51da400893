use crate::llm::catalog::Price;
use crate::llm::chat::ChatRequest;
use crate::llm::layer::{Asked, CostConfig};
use std::fmt;

/// A request that is about to be sent, with what is known of its costs.
#[non_exhaustive]
pub struct Plan<'a> {
    /// The request, which a budget may bound.
    pub request: &'a mut ChatRequest,
    /// How many tokens the model has to read, as the client counts them.
    pub prompt_tokens: u64,
    provider: &'a str,
    model: Option<&'a str>,
    prices: &'a CostConfig,
    /// The bound of the answer, if it says nothing of how long one is expected to be.
    precaution: Option<u64>,
}

impl<'a> Plan<'a> {
    pub(in crate::llm) fn new(
        request: &'a mut ChatRequest,
        prompt_tokens: u64,
        provider: &'a str,
        model: Option<&'a str>,
        prices: &'a CostConfig,
    ) -> Self {
        Self { request, prompt_tokens, provider, model, prices, precaution: None }
    }

    /// The provider that is asked.
    pub fn provider(&self) -> &str {
        self.provider
    }

    /// The model that is asked, as far as it is known before it answers.
    pub fn model(&self) -> Option<&str> {
        self.request.model.as_deref().or(self.model)
    }

    /// What the model costs, if that is known. Where a [`ModelRouter`](crate::llm::ModelRouter) may ask several, it is
    /// what the dearest of them costs, and unknown if it is of one.
    pub fn price(&self) -> Option<Price> {
        self.prices.highest_price(self.asked())
    }

    /// Which models may answer.
    fn asked(&self) -> Asked<'_> {
        Asked {
            provider: self.provider,
            named: self.model(),
            allowed: self.request.allowed_models.as_deref(),
        }
    }

    /// As [`price`](Self::price), with models left out whose price is unknown.
    pub(in crate::llm) fn known_price(&self) -> Option<Price> {
        self.prices.highest_known_price(self.asked())
    }

    /// A model that may answer and has no known price, if there is one.
    pub fn unpriced_model(&self) -> Option<&str> {
        self.prices.without_price(self.asked())
    }

    /// Bounds the answer to what can be paid for, which says nothing of how long it is expected to be.
    pub(in crate::llm) fn bound_answer(&mut self, tokens: u64) {
        if self.request.max_tokens == self.precaution {
            self.precaution = Some(tokens);
        }
        self.request.max_tokens = Some(tokens);
    }

    /// How many tokens an answer is expected to have at most, if anybody has said so: a bound that a limit in
    /// money has put in for an answer of unknown length is none.
    pub fn expected_answer_tokens(&self) -> Option<u64> {
        self.request.max_tokens.filter(|_| self.request.max_tokens != self.precaution)
    }

    /// How many tokens an answer can have at most: what the request says, and no more than
    /// is known of the model, or of the models that may answer.
    pub fn max_answer_tokens(&self) -> Option<u64> {
        let longest = self.prices.longest_answer(self.asked());
        let asked = self.request.max_tokens;
        longest.map_or(asked, |longest| Some(asked.map_or(longest, |asked| asked.min(longest))))
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("prompt_tokens", &self.prompt_tokens)
            .field("provider", &self.provider)
            .field("model", &self.model())
            .finish_non_exhaustive()
    }
}
