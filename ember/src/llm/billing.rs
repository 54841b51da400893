use super::catalog::Price;
use super::usage::Usage;
use super::usd::Usd;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What passes between the budgets of a request and the models that it is asked of, beside the request and
/// its answer.
///
/// A request carries it down. A router that moves on from a model which has failed tells by it what that one has
/// used, because no answer says so. It is no part of what is asked: two requests are equal whatever it holds.
#[derive(Clone, Default)]
pub(super) struct Billing {
    /// Where there is a budget. Shared by all clones.
    book: Option<Arc<Mutex<Book>>>,
    /// Whether a router is above, which tells of what is below it.
    inside: bool,
    /// What the caller has asked for, where a budget has bounded the answer.
    asked: Option<Option<u64>>,
}

/// What is known of the present round.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Book {
    /// The tokens of the prompt, as the client counts them.
    pub(super) input: u64,
    /// The router's way, if there is one.
    pub(super) route: Option<Route>,
    /// What models have used that have failed in vain.
    pub(super) failed: Failed,
}

/// Where the call of a router is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Route {
    /// What the model costs that is asked now.
    pub(super) price: Option<Price>,
    /// Whether the answer of that model is the one that is told.
    pub(super) answers: bool,
}

/// What was used in vain.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failed {
    pub(super) usage: Usage,
    pub(super) cost: Usd,
    pub(super) unpriced: Usage,
}

impl Billing {
    /// For a request that budgets are told of.
    pub(super) fn open() -> Self {
        Self { book: Some(Arc::default()), ..Self::default() }
    }

    /// Tells whether a budget wants to know what failed models have used.
    pub(super) fn is_open(&self) -> bool {
        self.book.is_some() && !self.inside
    }

    /// A budget has bounded an answer of which the caller has asked for so much.
    pub(super) fn bounded(&mut self, asked: Option<u64>) {
        self.asked.get_or_insert(asked);
    }

    /// How long an answer the caller has asked for, where a budget has bounded it.
    pub(super) fn asked(&self) -> Option<Option<u64>> {
        self.asked
    }

    /// The same as a model below a router gets it.
    pub(super) fn inside(&self) -> Self {
        Self { inside: true, ..self.clone() }
    }

    /// A round begins, whose prompt has so many tokens.
    pub(super) fn begin(&self, input: u64) {
        self.change(|book| *book = Book { input, ..Book::default() });
    }

    /// The tokens of the prompt, as the client has counted them.
    pub(super) fn input(&self) -> Option<u64> {
        self.book.as_ref()?;
        Some(self.told().input)
    }

    /// A router begins with its models.
    pub(super) fn routed(&self) {
        self.change(|book| book.route = Some(Route::default()));
    }

    /// A router asks a model.
    pub(super) fn asking(&self, price: Option<Price>) {
        self.change(|book| book.route = Some(Route { price, answers: false }));
    }

    /// The model that is asked gives the answer.
    pub(super) fn answers(&self) {
        self.change(|book| book.route.get_or_insert_default().answers = true);
    }

    /// A model has failed, and used so much.
    pub(super) fn failed(&self, usage: Usage, price: Option<Price>) {
        self.change(|book| {
            let failed = &mut book.failed;
            failed.usage += usage;
            match price.and_then(|price| price.cost(&usage)) {
                Some(cost) => failed.cost += cost,
                None => failed.unpriced += usage,
            }
        });
    }

    /// What was told of the present round.
    pub(super) fn told(&self) -> Book {
        self.book.as_deref().map(|book| *locked(book)).unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        if let Some(book) = &self.book {
            change(&mut locked(book));
        }
    }
}

fn locked(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Always: it is no part of what is asked.
impl PartialEq for Billing {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Billing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Billing").field("asked", &self.asked).finish_non_exhaustive()
    }
}
