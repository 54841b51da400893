use super::book::Book;
use super::nanos::nanos;
use super::quote::Quote;
use crate::llm::budget::{Reservation, Spent};
use crate::llm::error::Error;
use crate::llm::usd::Usd;
use crate::store::SharedHold;
use std::ops::ControlFlow;

/// Money that is set aside for a call.
pub(super) struct Held {
    pub(super) book: Book,
    pub(super) key: String,
    pub(super) quote: Quote,
    pub(super) held: Usd,
    pub(super) billed: Usd,
    /// What is set aside of an account in a store.
    pub(super) shared: Option<SharedHold>,
}

impl Reservation for Held {
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
        let billed = spent.cost;
        self.billed = billed;
        if let Some(shared) = &mut self.shared {
            shared.used(nanos(billed));
        }
        let more = billed.minus(self.held);
        if more == Usd::ZERO {
            return ControlFlow::Continue(());
        }
        let mut accounts = self.book.lock();
        let account = accounts.by_key.entry(self.key.clone()).or_default();
        let refusal = match &self.shared {
            None => {
                let goes = account.spent + account.held + more <= self.book.limit;
                (!goes).then(|| self.book.refusal(*account, more))
            }
            Some(shared) => {
                let goes = shared.left().is_none_or(|left| left >= 0);
                (!goes).then(|| self.book.refusal_shared(*account, more))
            }
        };
        // It has been used in any case: nobody else is to be given it.
        account.held += more;
        self.held = billed;
        refusal.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }

    fn bounded(&mut self, tokens: u64) {
        let wanted = self.quote.cost(tokens.min(self.quote.longest)).max(self.billed);
        let less = self.held.minus(wanted);
        if less == Usd::ZERO {
            return;
        }
        if let Some(shared) = &mut self.shared {
            shared.give_back(nanos(self.held) - nanos(wanted));
        }
        let mut accounts = self.book.lock();
        let account = accounts.by_key.entry(self.key.clone()).or_default();
        account.held = account.held.minus(less);
        self.held = wanted;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut accounts = self.book.lock();
        let key = std::mem::take(&mut self.key);
        let account = accounts.by_key.entry(key.clone()).or_default();
        account.held = account.held.minus(self.held);
        account.spent += self.billed;
        // Whoever has spent nothing leaves the place to another.
        if account.is_empty() {
            accounts.by_key.remove(&key);
        }
    }
}
