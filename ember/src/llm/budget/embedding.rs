use super::budget::BoxBudget;
use super::plan::Plan;
use super::reservation::Reservation;
use super::spent::Spent;
use crate::llm::catalog::Price;
use crate::llm::chat::ChatRequest;
use crate::llm::error::Error;
use crate::llm::layer::CostConfig;
use crate::llm::usage::Usage;
use std::ops::ControlFlow;

/// What is set aside for texts that are embedded.
pub(crate) struct ReservedEmbedding {
    reservations: Vec<Box<dyn Reservation>>,
    price: Option<Price>,
}

impl ReservedEmbedding {
    /// Sets aside what texts of so many tokens are expected to use.
    ///
    /// # Errors
    /// When a budget has not so much left.
    pub(in crate::llm) async fn of(
        budgets: &[BoxBudget],
        prices: &CostConfig,
        provider: &str,
        model: &str,
        tokens: u64,
    ) -> Result<Self, Error> {
        // No token is written.
        let mut request = ChatRequest::default().model(model).max_tokens(0_u64);
        // Another model of a router would embed nothing.
        request.allowed_models = Some([model.to_owned()].into());
        let mut plan = Plan::new(&mut request, tokens, provider, Some(model), prices);
        let reservations = BoxBudget::reserve_all(budgets, &mut plan).await?;
        Ok(Self { price: plan.price(), reservations })
    }

    /// So many tokens were used so far; the last word counts.
    ///
    /// # Errors
    /// When that is more than a budget has left. It is settled all the same.
    pub(crate) fn used(&mut self, tokens: u64) -> Result<(), Error> {
        let usage = Usage::new(tokens, 0);
        let cost = self.price.and_then(|price| price.cost(&usage));
        let unpriced = if cost.is_some() { Usage::default() } else { usage };
        let spent = Spent { usage, cost: cost.unwrap_or_default(), unpriced };
        let mut outcome = Ok(());
        for reservation in &mut self.reservations {
            if let ControlFlow::Break(error) = reservation.used(&spent) {
                outcome = Err(error);
            }
        }
        outcome
    }
}
