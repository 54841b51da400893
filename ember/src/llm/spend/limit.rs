use super::book::{Book, seconds};
use super::held::Held;
use super::nanos::{PICOS_PER_NANO, dollars, nanos};
use super::period::Period;
use super::quote::Quote;
use crate::base::Clock;
use crate::llm::budget::{Plan, Reservation};
use crate::llm::catalog::Price;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;
use crate::store::{BoxStore, Bucket, OnStoreFailure, SharedBucket, Taken, key_part};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How much money may be spent on models in an hour, a day or a month.
///
/// Periods are those of the calendar in UTC, as those of the providers' bills are: everybody knows when the
/// next one begins, and the two can be compared. A rolling period was refused, because nobody can say at
/// a glance what is left of it. Clones are the same limit.
///
/// Before a call the most that it can cost is set aside: its prompt, and the longest answer that it
/// may get, at the price of the model that is asked. Where less than that is left, the answer is bounded
/// to what the rest affords; where it is not known how long an answer the model gives, it is bounded to
/// 4,096 tokens. Of the models of a [`ModelRouter`](crate::llm::ModelRouter) the dearest counts that may answer.
/// What was billed is settled, by the same tally as [`Client::usage`](crate::llm::Client::usage) and by the
/// price of the model that answered. A call for which nothing is left is refused with [`ErrorKind::BudgetExceeded`], and
/// so are the next rounds of tools and the rest of an answer that turns out dearer: a stream ends in that
/// error where the money does.
///
/// ```
/// use ember::llm::layer::CostConfig;
/// use ember::llm::{Client, ErrorKind, FakeProvider, Price, SpendLimit};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = SpendLimit::per_day("0.0003".parse()?);
/// let client = Client::builder()
///     .provider(FakeProvider::new().text("Hello"))
///     .cost(CostConfig::new().price("fake", Price::per_million("10", "10")?))
///     .build()?
///     .budget(limit.clone());
/// client.ask("Good morning").await?;
/// assert_eq!(limit.spent().to_string(), "0.00003");
/// let long = "word ".repeat(20);
/// assert_eq!(client.ask(long).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
/// # Ok(()) }
/// ```
///
/// A call that came to its time limit before anything of an answer arrived is settled as its prompt, although
/// [`Client::usage`](crate::llm::Client::usage) does not count it: the provider was at work, and may bill it.
///
/// # Several processes
/// What is spent is kept in the memory of this process, so that a restart forgets it and several
/// processes have a limit each, unless the limit has a [`name`](Self::name) and the application a store
/// that processes share, or the limit [one of its own](Self::store). Then it holds for the sum of
/// all that have a limit of that name there: each call sets aside its cost in one step of the
/// store, and settles it by a task when it ends, which is tried again for half a minute while
/// the store is away. A process that dies leaves what it had set aside spent, as a call does whose
/// settling failed. There
///
/// - amounts are counted in billionths of a dollar, rounded against the caller, and a limit beyond nine
///   million dollars is one of 9,007,199;
/// - a call belongs to the period in which it began, and each caller has an account, however many there are;
/// - a stream that turns out dearer ends where the money does as far as this process knows it;
/// - each process brings its own amount along, which should be the same in all. What is kept is what was
///   spent: an amount that is raised or lowered within a period holds for all of the period;
/// - a period begins by the clock of each process: where clocks differ, those that are behind go on with
///   the account of the old one for as long.
///
/// A client of the application that has the limit by [`Client::budget`](crate::llm::Client::budget) keeps it in the
/// application's store as well; one that a `#[component]` function makes, or a handler, does not, and takes
/// [one of its own](Self::store). Where one limit holds for a call twice, as on the application
/// and on a key, the call is billed once.
#[derive(Clone)]
pub struct SpendLimit {
    pub(super) book: Book,
    per_principal: bool,
    refuses_unpriced: bool,
    name: Option<String>,
    pub(super) store: Arc<OnceLock<BoxStore>>,
    on_store_failure: OnStoreFailure,
}

/// How many callers have an account of their own, unless it is said otherwise.
const MAX_ACCOUNTS: usize = 10_000;

/// How long an answer may be of a model of which nothing is known. It is asked for no longer one.
pub(super) const LONG_ANSWER: u64 = 4_096;

/// How long an account is kept in a store after its period, for calls that end late.
const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the rest of an account is tried to be had, where others are faster.
const ATTEMPTS: usize = 8;

impl SpendLimit {
    /// So much in any hour of the clock.
    pub fn per_hour(limit: Usd) -> Self {
        Self::new(limit, Period::Hour)
    }

    /// So much in any day, from midnight to midnight in UTC.
    pub fn per_day(limit: Usd) -> Self {
        Self::new(limit, Period::Day)
    }

    /// So much in any month of the calendar, in UTC.
    pub fn per_month(limit: Usd) -> Self {
        Self::new(limit, Period::Month)
    }

    fn new(limit: Usd, period: Period) -> Self {
        let (max_accounts, clock) = (MAX_ACCOUNTS, Clock::system());
        Self {
            book: Book { limit, period, max_accounts, clock, accounts: Arc::default() },
            per_principal: false,
            refuses_unpriced: true,
            name: None,
            store: Arc::default(),
            on_store_failure: OnStoreFailure::default(),
        }
    }

    /// Names the limit: all of its name and period in one store are one.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keeps what is spent in this store, whatever that of the application is. It needs a
    /// [`name`](Self::name) then. The end of an application waits only for what is to be settled in
    /// its own store.
    #[must_use]
    pub fn store(mut self, store: impl Into<BoxStore>) -> Self {
        self.store = Arc::new(OnceLock::from(store.into()));
        self
    }

    /// Says what becomes of calls while the store cannot be asked: they are
    /// [denied](OnStoreFailure::Deny) unless it is said. One that is allowed is not counted there.
    #[must_use]
    pub fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.on_store_failure = policy;
        self
    }

    /// Gives each principal an account of its own, where the limit stands on a route, a blueprint or
    /// an application; callers who are not authenticated have one by their address.
    #[must_use]
    pub fn per_principal(mut self) -> Self {
        self.per_principal = true;
        self
    }

    /// Lets models be asked whose price is unknown, and does not count what they use. Otherwise they are
    /// refused, unless [`CostConfig::unknown_price`](crate::llm::layer::CostConfig::unknown_price) says
    /// what to take for it.
    #[must_use]
    pub fn allow_unpriced(mut self) -> Self {
        self.refuses_unpriced = false;
        self
    }

    /// Sets how many callers have an account of their own, 10,000 unless it is said. Those beyond it
    /// share one until the period ends: nobody gets more by being one of many. In a store everybody has one.
    #[must_use]
    pub fn max_accounts(mut self, accounts: usize) -> Self {
        self.book.max_accounts = accounts;
        self
    }

    /// Takes the date from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.book.clock = clock;
        self
    }

    /// Tells whether each principal has an account of its own.
    pub fn is_per_principal(&self) -> bool {
        self.per_principal
    }

    /// Tells whether models are refused whose price is unknown.
    pub fn refuses_unpriced(&self) -> bool {
        self.refuses_unpriced
    }

    /// How much may be spent.
    pub fn limit(&self) -> Usd {
        self.book.limit
    }

    /// How much everybody together has spent in the present period, through this process.
    pub fn spent(&self) -> Usd {
        self.book.lock().by_key.values().map(|account| account.spent).sum()
    }

    /// Keeps the limit in the store of an application, or notes why it cannot be.
    pub(crate) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        if self.name.is_some() {
            let store = self.store.get_or_init(|| store.clone());
            let limit = format!("the `SpendLimit` `{}`", self.name.as_deref().unwrap_or_default());
            store.declare(
                format!("{limit} per {}", self.book.period.name()),
                format!("${}", self.book.limit),
            );
            if let Some(why) = store.forgets() {
                notes.push(format!(
                    "{limit} is kept in {}, {why}: what was spent may be forgotten",
                    store.name()
                ));
            }
        } else {
            notes.push(format!(
                "a `SpendLimit` of ${} per {} has no name, and counts in each process apart; \
                 `.name(…)` lets them share it",
                self.book.limit,
                self.book.period.name()
            ));
        }
    }

    /// What is wrong with the limit, whatever it stands on.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let is_unnamed = self.store.get().is_some() && self.name.is_none();
        is_unnamed.then_some(
            "a `SpendLimit` has a store, and no name by which other processes would know it there; add `.name(…)`",
        )
    }

    /// What two limits have in common that bill the same calls of a caller to one account, by the same rules.
    pub(super) fn identity_of(&self, key: &str) -> String {
        let rules = format!(
            "{} {} {} {:?}",
            self.book.limit,
            self.book.period.name(),
            self.refuses_unpriced,
            self.on_store_failure
        );
        match (self.store.get(), &self.name) {
            (Some(store), Some(name)) => format!("{} {rules} {name}:{key}", store.identity()),
            _ => format!("{:p} {rules} {key}", Arc::as_ptr(&self.book.accounts)),
        }
    }

    /// The account in the store, if it is in one.
    pub(super) fn shared(&self, key: &str) -> Option<SharedBucket> {
        let (store, name) = (self.store.get()?, self.name.as_ref()?);
        let began = self.book.lock().began;
        let (_, ends) = self.book.period.around(began);
        let ttl = Duration::from_secs(ends.saturating_sub(seconds(&self.book.clock))) + LATE;
        let key = format!("spend:{name}:{}:{began}:{}", self.book.period.name(), key_part(key));
        let limit = u64::try_from(self.book.limit.picos() / PICOS_PER_NANO).unwrap_or(u64::MAX);
        let bucket = Bucket::once(limit, ttl);
        Some(SharedBucket::new(store, key, bucket, self.on_store_failure))
    }

    /// The price of a call with an answer of so many tokens at most. Where none is written, as for an
    /// embedding, none need be known.
    fn price(&self, plan: &Plan<'_>, longest: u64) -> Result<Option<Price>, Error> {
        let usage = Usage::new(plan.prompt_tokens, longest);
        let price = plan.price().filter(|price| price.cost(&usage).is_some());
        if price.is_some() {
            return Ok(price);
        }
        if !self.refuses_unpriced {
            return Ok(plan.known_price());
        }
        let model = plan.unpriced_model().or(plan.model()).unwrap_or("(not named)");
        let message = format!(
            "no price is known of the model `{model}` at `{}`, and there is a limit in money: set one by \
             `CostConfig::price`, or let the `SpendLimit` go `.allow_unpriced()`",
            plan.provider()
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    pub(super) async fn reserve(
        &self,
        key: &str,
        plan: &mut Plan<'_>,
    ) -> Result<Box<dyn Reservation>, Error> {
        let known = plan.max_answer_tokens();
        let longest = known.unwrap_or(LONG_ANSWER);
        let price = self.price(plan, longest)?;
        if known.is_none() && price.is_some() {
            plan.bound_answer(longest);
        }
        let quote = Quote { price, prompt: plan.prompt_tokens, longest };
        let (held, bound) = match self.shared(key) {
            None => self.hold(key, &quote)?,
            Some(shared) => self.hold_shared(&shared, key, &quote).await?,
        };
        if let Some(bound) = bound {
            plan.bound_answer(bound);
        }
        Ok(Box::new(held))
    }

    /// Sets aside what a call may cost, and tells what its answer is bounded to.
    fn hold(&self, key: &str, quote: &Quote) -> Result<(Held, Option<u64>), Error> {
        let mut accounts = self.book.lock();
        let key = accounts.key_of(key, self.book.max_accounts).to_owned();
        let account = accounts.by_key.get(&key).copied().unwrap_or_default();
        let left = self.book.limit.minus(account.spent + account.held);
        let (wanted, bound) =
            quote.within(left).map_err(|least| self.book.refusal(account, least))?;
        // Whoever is refused takes no place.
        accounts.by_key.entry(key.clone()).or_default().held += wanted;
        let (book, quote, billed) = (self.book.clone(), quote.clone(), Usd::ZERO);
        Ok((Held { book, key, quote, held: wanted, billed, shared: None }, bound))
    }

    /// As [`SpendLimit::hold`], from an account in the store.
    async fn hold_shared(
        &self,
        shared: &SharedBucket,
        key: &str,
        quote: &Quote,
    ) -> Result<(Held, Option<u64>), Error> {
        let (mut wanted, mut bound) = (quote.cost(quote.longest), None);
        for _ in 0..ATTEMPTS {
            let drawn = match shared.take(nanos(wanted)).await.map_err(Error::of_store)? {
                Taken::Held(hold) => {
                    let mut accounts = self.book.lock();
                    let key = accounts.key_of(key, self.book.max_accounts).to_owned();
                    accounts.by_key.entry(key.clone()).or_default().held += wanted;
                    let (book, quote, billed) = (self.book.clone(), quote.clone(), Usd::ZERO);
                    let shared = Some(hold);
                    return Ok((Held { book, key, quote, held: wanted, billed, shared }, bound));
                }
                Taken::Refused(drawn) => drawn,
            };
            let fits = quote.within(dollars(drawn.left));
            let own = || self.book.of(key);
            (wanted, bound) = fits.map_err(|least| self.book.refusal_shared(own(), least))?;
        }
        // Others were faster each time, and there is nearly nothing left.
        let own = self.book.of(key);
        Err(self.book.refusal_shared(own, wanted))
    }
}

impl fmt::Debug for SpendLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpendLimit")
            .field("limit", &self.book.limit)
            .field("period", &self.book.period)
            .field("per_principal", &self.per_principal)
            .finish_non_exhaustive()
    }
}
