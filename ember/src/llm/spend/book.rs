use super::period::Period;
use crate::base::Clock;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::usd::Usd;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// The account of all together, and of those for whom there is no room.
pub(super) const SHARED: &str = "";

/// How long to wait for money that is set aside and may come back.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// How long to wait at most where nobody knows what other processes have set aside.
pub(super) const OTHERS: Duration = Duration::from_secs(60);

/// What this process has spent and set aside of a limit. Clones are the same book.
#[derive(Clone)]
pub(super) struct Book {
    pub(super) limit: Usd,
    pub(super) period: Period,
    pub(super) max_accounts: usize,
    pub(super) clock: Clock,
    pub(super) accounts: Arc<Mutex<Accounts>>,
}

#[derive(Default)]
pub(super) struct Accounts {
    /// When the period began, in seconds since 1970.
    pub(super) began: u64,
    pub(super) by_key: HashMap<String, Account>,
}

/// What somebody has spent in this period, and what is set aside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Account {
    pub(super) spent: Usd,
    pub(super) held: Usd,
}

impl Accounts {
    /// The account that a caller is on.
    pub(super) fn key_of<'a>(&self, key: &'a str, max_accounts: usize) -> &'a str {
        match self.by_key.contains_key(key) || self.by_key.len() < max_accounts {
            true => key,
            false => SHARED,
        }
    }

    pub(super) fn of(&self, key: &str, max_accounts: usize) -> Account {
        self.by_key.get(self.key_of(key, max_accounts)).copied().unwrap_or_default()
    }
}

impl Account {
    pub(super) fn is_empty(&self) -> bool {
        self.spent == Usd::ZERO && self.held == Usd::ZERO
    }
}

impl Book {
    /// The accounts of the present period.
    pub(super) fn lock(&self) -> MutexGuard<'_, Accounts> {
        let (began, _) = self.period.around(seconds(&self.clock));
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that steps back does not give the money back.
        if began > accounts.began {
            accounts.began = began;
            // What is still under way is billed when it ends, and belongs to the period it ends in.
            accounts.by_key.retain(|_, account| {
                account.spent = Usd::ZERO;
                account.held != Usd::ZERO
            });
        }
        accounts
    }

    /// Why a call is refused.
    pub(super) fn refusal(&self, account: Account, wanted: Usd) -> Error {
        let message = "The budget is used up for now.";
        // What is only set aside may come back at any moment.
        let soon = account.spent + wanted <= self.limit && account.held != Usd::ZERO;
        let error = Error::new(ErrorKind::BudgetExceeded, message)
            .with_public_message(message)
            .with_retry_after(if soon { SOON } else { self.until_next() });
        tracing::debug!(spent = %account.spent, held = %account.held, limit = %self.limit, %wanted, "a budget is used up");
        error
    }

    /// As [`Book::refusal`], for an account in a store, by what this process has of it.
    pub(super) fn refusal_shared(&self, own: Account, wanted: Usd) -> Error {
        // What others have set aside may come back as well, and nobody knows how much it is.
        let spent = if own.held == Usd::ZERO { self.limit } else { Usd::ZERO };
        let refusal = self.refusal(Account { spent, held: own.held }, wanted.min(self.limit));
        let wait = refusal.retry_after().map_or(SOON, |wait| wait.min(OTHERS));
        refusal.with_retry_after(wait)
    }

    /// What a caller has of it.
    pub(super) fn of(&self, key: &str) -> Account {
        self.lock().of(key, self.max_accounts)
    }

    /// How long it is until the present period ends.
    pub(super) fn until_next(&self) -> Duration {
        let now = seconds(&self.clock);
        let (_, ends) = self.period.around(now);
        Duration::from_secs(ends.saturating_sub(now).max(1))
    }
}

/// Seconds since 1970.
pub(super) fn seconds(clock: &Clock) -> u64 {
    clock.date().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
