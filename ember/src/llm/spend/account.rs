use super::book::SHARED;
use super::limit::SpendLimit;
use super::nanos::dollars;
use crate::llm::budget::{Budget, Plan, Reservation};
use crate::llm::error::Error;
use crate::llm::usd::Usd;
use crate::store::{BoxStore, Draw};

/// What one caller may spend: see [`SpendLimit::account`].
#[derive(Debug, Clone)]
pub struct SpendAccount {
    limit: SpendLimit,
    key: String,
}

impl SpendAccount {
    /// How much the caller has spent in the present period, or all of those who share its account; through
    /// this process.
    pub fn spent(&self) -> Usd {
        self.limit.book.of(&self.key).spent
    }

    /// How much the caller may still spend in the present period, beside what is set aside for calls that
    /// are under way; if no other process spends of it, for which there is [`ask_left`](Self::ask_left).
    pub fn left(&self) -> Usd {
        let account = self.limit.book.of(&self.key);
        self.limit.book.limit.minus(account.spent + account.held)
    }

    /// As [`left`](Self::left), for the sum of all processes where the account is in a store.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn ask_left(&self) -> Result<Usd, Error> {
        let Some(shared) = self.limit.shared(&self.key) else { return Ok(self.left()) };
        let drawn = shared.ask().await.map_err(Error::of_store)?;
        Ok(dollars(drawn.left))
    }
}

impl Budget for SpendAccount {
    async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        self.limit.reserve(&self.key, plan).await
    }

    async fn check(&self) -> Result<(), Error> {
        let least = Usd::from_picos(1);
        if let Some(shared) = self.limit.shared(&self.key) {
            let drawn = shared.draw(Draw::Take(0)).await.map_err(Error::of_store)?;
            let own = || self.limit.book.of(&self.key);
            return match drawn.is_none_or(|drawn| drawn.left > 0) {
                true => Ok(()),
                false => Err(self.limit.book.refusal_shared(own(), least)),
            };
        }
        let account = self.limit.book.of(&self.key);
        let goes = account.spent + account.held + least <= self.limit.book.limit;
        if goes { Ok(()) } else { Err(self.limit.book.refusal(account, least)) }
    }

    fn identity(&self) -> Option<String> {
        Some(self.limit.identity_of(&self.key))
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.limit.keep_in(store, notes);
    }
}

impl SpendLimit {
    /// The account of one caller, such as a virtual key: a budget of its own under this limit.
    pub fn account(&self, key: impl Into<String>) -> SpendAccount {
        SpendAccount { limit: self.clone(), key: key.into() }
    }
}

/// One account for all requests of the client.
impl Budget for SpendLimit {
    async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        self.reserve(SHARED, plan).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.account(SHARED).check().await
    }

    fn identity(&self) -> Option<String> {
        Some(self.identity_of(SHARED))
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        SpendLimit::keep_in(self, store, notes);
    }
}
