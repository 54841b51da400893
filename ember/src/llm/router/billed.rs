use super::model::RoutedModel;
use crate::llm::billing::Billing;
use crate::llm::catalog::Price;
use crate::llm::chat::ChatRequest;
use crate::llm::error::Error;
use crate::llm::stream::ChatEvent;
use crate::llm::tally::{Input, Tally};

/// What a model uses until it is known whether its answer is the one that is told.
///
/// If it is not, because the model fails, comes to the time limit, or nobody waits any longer, the budgets of the request
/// are told when this is dropped. Otherwise they see the answer itself.
#[derive(Default)]
pub(super) struct Billed(Option<Open>);

struct Open {
    billing: Billing,
    tally: Tally<'static>,
    price: Option<Price>,
}

impl Billed {
    /// A model that is about to be asked.
    pub(super) fn new(model: &RoutedModel, asked: &ChatRequest) -> Self {
        let billing = &asked.billing;
        if !billing.is_open() {
            return Self(None);
        }
        billing.asking(model.price);
        let tally =
            Tally::new(asked.model.clone(), Input::Tokens(billing.input().unwrap_or_default()));
        Self(Some(Open { billing: billing.clone(), tally, price: model.price }))
    }

    /// Something has arrived that nobody has seen yet.
    pub(super) fn event(&mut self, event: &ChatEvent) {
        if let Some(open) = &mut self.0 {
            open.tally.event(event);
        }
    }

    /// The model has failed before anything of its answer was seen.
    pub(super) fn failed(mut self, error: &Error) {
        if let Some(open) = &mut self.0 {
            open.tally.failed(error);
        }
    }

    /// The answer of this model is the one that is told.
    pub(super) fn answers(&mut self) {
        if let Some(open) = self.0.take() {
            open.billing.answers();
        }
    }
}

impl Drop for Billed {
    fn drop(&mut self) {
        if let Some(Open { billing, tally, price }) = self.0.take()
            && !tally.is_refused()
        {
            billing.failed(tally.usage(), price);
        }
    }
}
