use super::budget::{Budget, Plan, Reservation, Spent};
use super::catalog::Price;
use super::error::{Error, ErrorKind};
use super::period::Period;
use super::quote::Quote;
use super::usage::Usage;
use super::usd::Usd;
use crate::base::Clock;
use crate::store::{
    BoxStore, Bucket, Draw, OnStoreFailure, SharedBucket, SharedHold, Taken, key_part,
};
use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// How much money may be spent on models in an hour, a day or a month.
///
/// Periods are those of the calendar in UTC, as those of the providers' bills are: everybody knows when the
/// next one begins, and the two can be compared. A rolling period was refused, because nobody can say at
/// a glance what is left of it. Clones are the same limit.
///
/// Before a call the most that it can cost is set aside: its prompt, and the longest answer that it
/// may get, at the price of the model that is asked. Where less than that is left, the answer is bounded
/// to what the rest affords; where it is not known how long an answer the model gives, it is bounded to
/// 4,096 tokens. Of the models of a [`ModelRouter`](super::ModelRouter) the dearest counts that may answer.
/// What was billed is settled, by the same tally as [`Client::usage`](super::Client::usage) and by the
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
/// [`Client::usage`](super::Client::usage) does not count it: the provider was at work, and may bill it.
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
/// A client of the application that has the limit by [`Client::budget`](super::Client::budget) keeps it in the
/// application's store as well; one that a `#[component]` function makes, or a handler, does not, and takes
/// [one of its own](Self::store). Where one limit holds for a call twice, as on the application
/// and on a key, the call is billed once.
#[derive(Clone)]
pub struct SpendLimit {
    limit: Usd,
    period: Period,
    per_principal: bool,
    refuses_unpriced: bool,
    max_accounts: usize,
    clock: Clock,
    /// All that there is; or what this process has spent and set aside of what is in a store.
    accounts: Arc<Mutex<Accounts>>,
    name: Option<String>,
    store: Arc<OnceLock<BoxStore>>,
    on_store_failure: OnStoreFailure,
}

#[derive(Default)]
struct Accounts {
    /// When the period began, in seconds since 1970.
    began: u64,
    by_key: HashMap<String, Account>,
}

/// What somebody has spent in this period, and what is set aside.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    spent: Usd,
    held: Usd,
}

impl Accounts {
    /// The account that a caller is on.
    fn key_of<'a>(&self, key: &'a str, max_accounts: usize) -> &'a str {
        match self.by_key.contains_key(key) || self.by_key.len() < max_accounts {
            true => key,
            false => SHARED,
        }
    }

    fn of(&self, key: &str, max_accounts: usize) -> Account {
        self.by_key.get(self.key_of(key, max_accounts)).copied().unwrap_or_default()
    }
}

impl Account {
    fn is_empty(&self) -> bool {
        self.spent == Usd::ZERO && self.held == Usd::ZERO
    }
}

/// How many callers have an account of their own, unless it is said otherwise.
const MAX_ACCOUNTS: usize = 10_000;

/// The account of all together, and of those for whom there is no room.
const SHARED: &str = "";

/// How long an answer may be of a model of which nothing is known. It is asked for no longer one.
const LONG_ANSWER: u64 = 4_096;

/// How long to wait for money that is set aside and may come back.
const SOON: Duration = Duration::from_secs(1);

/// How long to wait at most where nobody knows what other processes have set aside.
const OTHERS: Duration = Duration::from_secs(60);

/// How many 10⁻¹² dollars a billionth is.
const PICOS_PER_NANO: u128 = 1_000;

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
        Self {
            limit,
            period,
            per_principal: false,
            refuses_unpriced: true,
            max_accounts: MAX_ACCOUNTS,
            clock: Clock::system(),
            accounts: Arc::default(),
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
    /// refused, unless [`CostConfig::unknown_price`](super::layer::CostConfig::unknown_price) says
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
        self.max_accounts = accounts;
        self
    }

    /// Takes the date from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
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
        self.limit
    }

    /// How much everybody together has spent in the present period, through this process.
    pub fn spent(&self) -> Usd {
        self.lock().by_key.values().map(|account| account.spent).sum()
    }

    /// The account of one caller, such as a virtual key: a budget of its own under this limit.
    pub fn account(&self, key: impl Into<String>) -> SpendAccount {
        SpendAccount { limit: self.clone(), key: key.into() }
    }

    /// Keeps the limit in the store of an application, or notes why it cannot be.
    pub(crate) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        if self.name.is_some() {
            let store = self.store.get_or_init(|| store.clone());
            let limit = format!("the `SpendLimit` `{}`", self.name.as_deref().unwrap_or_default());
            store
                .declare(format!("{limit} per {}", self.period.name()), format!("${}", self.limit));
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
                self.limit,
                self.period.name()
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
    fn identity_of(&self, key: &str) -> String {
        let rules = format!(
            "{} {} {} {:?}",
            self.limit,
            self.period.name(),
            self.refuses_unpriced,
            self.on_store_failure
        );
        match (self.store.get(), &self.name) {
            (Some(store), Some(name)) => format!("{} {rules} {name}:{key}", store.identity()),
            _ => format!("{:p} {rules} {key}", Arc::as_ptr(&self.accounts)),
        }
    }

    /// The account in the store, if it is in one.
    fn shared(&self, key: &str) -> Option<SharedBucket> {
        let (store, name) = (self.store.get()?, self.name.as_ref()?);
        let began = self.lock().began;
        let (_, ends) = self.period.around(began);
        let ttl = Duration::from_secs(ends.saturating_sub(seconds(&self.clock))) + LATE;
        let key = format!("spend:{name}:{}:{began}:{}", self.period.name(), key_part(key));
        let limit = u64::try_from(self.limit.picos() / PICOS_PER_NANO).unwrap_or(u64::MAX);
        let bucket = Bucket::once(limit, ttl);
        Some(SharedBucket::new(store, key, bucket, self.on_store_failure))
    }

    /// The accounts of the present period.
    fn lock(&self) -> MutexGuard<'_, Accounts> {
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

    fn until_next(&self) -> Duration {
        let now = seconds(&self.clock);
        let (_, ends) = self.period.around(now);
        Duration::from_secs(ends.saturating_sub(now).max(1))
    }

    /// Why a call is refused.
    fn refusal(&self, account: Account, wanted: Usd) -> Error {
        let message = "The budget is used up for now.";
        // What is only set aside may come back at any moment.
        let soon = account.spent + wanted <= self.limit && account.held != Usd::ZERO;
        let error = Error::new(ErrorKind::BudgetExceeded, message)
            .with_public_message(message)
            .with_retry_after(if soon { SOON } else { self.until_next() });
        tracing::debug!(spent = %account.spent, held = %account.held, limit = %self.limit, %wanted, "a budget is used up");
        error
    }

    /// As [`SpendLimit::refusal`], for an account in a store, by what this process has of it.
    fn refusal_shared(&self, own: Account, wanted: Usd) -> Error {
        // What others have set aside may come back as well, and nobody knows how much it is.
        let spent = if own.held == Usd::ZERO { self.limit } else { Usd::ZERO };
        let refusal = self.refusal(Account { spent, held: own.held }, wanted.min(self.limit));
        let wait = refusal.retry_after().map_or(SOON, |wait| wait.min(OTHERS));
        refusal.with_retry_after(wait)
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

    async fn reserve(&self, key: &str, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
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
        let mut accounts = self.lock();
        let key = accounts.key_of(key, self.max_accounts).to_owned();
        let account = accounts.by_key.get(&key).copied().unwrap_or_default();
        let left = self.limit.minus(account.spent + account.held);
        let (wanted, bound) = quote.within(left).map_err(|least| self.refusal(account, least))?;
        // Whoever is refused takes no place.
        accounts.by_key.entry(key.clone()).or_default().held += wanted;
        let (limit, quote, billed) = (self.clone(), quote.clone(), Usd::ZERO);
        Ok((Held { limit, key, quote, held: wanted, billed, shared: None }, bound))
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
                    let mut accounts = self.lock();
                    let key = accounts.key_of(key, self.max_accounts).to_owned();
                    accounts.by_key.entry(key.clone()).or_default().held += wanted;
                    let (limit, quote, billed) = (self.clone(), quote.clone(), Usd::ZERO);
                    let shared = Some(hold);
                    return Ok((Held { limit, key, quote, held: wanted, billed, shared }, bound));
                }
                Taken::Refused(drawn) => drawn,
            };
            let fits = quote.within(dollars(drawn.left));
            let own = || self.lock().of(key, self.max_accounts);
            (wanted, bound) = fits.map_err(|least| self.refusal_shared(own(), least))?;
        }
        // Others were faster each time, and there is nearly nothing left.
        let own = self.lock().of(key, self.max_accounts);
        Err(self.refusal_shared(own, wanted))
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

impl fmt::Debug for SpendLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpendLimit")
            .field("limit", &self.limit)
            .field("period", &self.period)
            .field("per_principal", &self.per_principal)
            .finish_non_exhaustive()
    }
}

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
        self.limit.lock().of(&self.key, self.limit.max_accounts).spent
    }

    /// How much the caller may still spend in the present period, beside what is set aside for calls that
    /// are under way; if no other process spends of it, for which there is [`ask_left`](Self::ask_left).
    pub fn left(&self) -> Usd {
        let account = self.limit.lock().of(&self.key, self.limit.max_accounts);
        self.limit.limit.minus(account.spent + account.held)
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
            let own = || self.limit.lock().of(&self.key, self.limit.max_accounts);
            return match drawn.is_none_or(|drawn| drawn.left > 0) {
                true => Ok(()),
                false => Err(self.limit.refusal_shared(own(), least)),
            };
        }
        let account = self.limit.lock().of(&self.key, self.limit.max_accounts);
        let goes = account.spent + account.held + least <= self.limit.limit;
        if goes { Ok(()) } else { Err(self.limit.refusal(account, least)) }
    }

    fn identity(&self) -> Option<String> {
        Some(self.limit.identity_of(&self.key))
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.limit.keep_in(store, notes);
    }
}

/// Money that is set aside for a call.
struct Held {
    limit: SpendLimit,
    key: String,
    quote: Quote,
    held: Usd,
    billed: Usd,
    /// What is set aside of an account in a store.
    shared: Option<SharedHold>,
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
        let mut accounts = self.limit.lock();
        let account = accounts.by_key.entry(self.key.clone()).or_default();
        let refusal = match &self.shared {
            None => {
                let goes = account.spent + account.held + more <= self.limit.limit;
                (!goes).then(|| self.limit.refusal(*account, more))
            }
            Some(shared) => {
                let goes = shared.left().is_none_or(|left| left >= 0);
                (!goes).then(|| self.limit.refusal_shared(*account, more))
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
        let mut accounts = self.limit.lock();
        let account = accounts.by_key.entry(self.key.clone()).or_default();
        account.held = account.held.minus(less);
        self.held = wanted;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut accounts = self.limit.lock();
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

/// How many billionths of a dollar an amount is, rounded up.
fn nanos(amount: Usd) -> u64 {
    u64::try_from(amount.picos().div_ceil(PICOS_PER_NANO)).unwrap_or(u64::MAX)
}

/// So many billionths of a dollar; a debt is nothing.
fn dollars(nanos: i64) -> Usd {
    Usd::from_picos(u128::try_from(nanos).unwrap_or(0) * PICOS_PER_NANO)
}

fn seconds(clock: &Clock) -> u64 {
    clock.date().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::llm::budget::BoxBudget;
    use crate::llm::chat::ChatRequest;
    use crate::llm::layer::CostConfig;
    use crate::store::MemoryStore;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    /// A dollar for a token in, two for one out.
    fn prices() -> CostConfig {
        let price = Price::per_million("1000000", "2000000").unwrap();
        CostConfig::new().price("m", price)
    }

    async fn reserve(
        budget: &impl Budget,
        prompt: u64,
        max: Option<u64>,
    ) -> Result<(Box<dyn Reservation>, Option<u64>), Error> {
        let mut request = ChatRequest::from("x").model("m");
        request.max_tokens = max;
        let prices = prices();
        let mut plan = Plan::new(&mut request, prompt, "fake", None, &prices);
        let held = budget.reserve(&mut plan).await?;
        Ok((held, request.max_tokens))
    }

    fn spent(cost: &str) -> Spent {
        Spent { cost: usd(cost), ..Spent::default() }
    }

    #[tokio::test]
    async fn money_is_set_aside_and_settled() {
        let limit = SpendLimit::per_day(usd("100")).account("a");
        let (mut held, _) = reserve(&limit, 10, Some(20)).await.unwrap();
        assert_eq!(limit.left(), usd("50"));
        assert!(held.used(&spent("30")).is_continue());
        assert_eq!((limit.left(), limit.spent()), (usd("50"), usd("0")));
        drop(held);
        assert_eq!((limit.left(), limit.spent()), (usd("70"), usd("30")));
    }

    #[tokio::test]
    async fn an_answer_is_bounded_to_what_the_rest_affords() {
        let limit = SpendLimit::per_day(usd("100"));
        let (held, bound) = reserve(&limit, 10, None).await.unwrap();
        assert_eq!(bound, Some(45));
        let refused = reserve(&limit, 10, None).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
        assert_eq!(refused.retry_after(), Some(SOON), "it may come back");
        drop(held);
        assert_eq!(reserve(&limit, 68, None).await.unwrap().1, Some(16));
        assert_eq!(
            reserve(&limit, 98, Some(1)).await.unwrap().1,
            Some(1),
            "the caller wants no more"
        );
        let refused = reserve(&limit, 69, None).await.err().unwrap();
        assert!(refused.retry_after().unwrap() > SOON);
    }

    #[tokio::test]
    async fn what_turns_out_dearer_is_stopped_at_the_limit_and_billed() {
        let limit = SpendLimit::per_day(usd("100"));
        let other = reserve(&limit, 20, Some(10)).await.unwrap();
        let (mut held, _) = reserve(&limit, 10, Some(5)).await.unwrap();
        assert!(held.used(&spent("60")).is_continue(), "there is more");
        let ControlFlow::Break(error) = held.used(&spent("61")) else { panic!() };
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        drop(held);
        assert_eq!(limit.spent(), usd("61"));
        drop(other);
        assert_eq!(limit.account(SHARED).left(), usd("39"));
    }

    #[tokio::test]
    async fn a_model_without_a_price_is_refused_unless_it_is_said() {
        let ask = async |limit: &SpendLimit| {
            let mut request = ChatRequest::from("x").model("unheard-of");
            let prices = CostConfig::new();
            let mut plan = Plan::new(&mut request, 10, "fake", None, &prices);
            limit.reserve("", &mut plan).await
        };
        let limit = SpendLimit::per_day(usd("1"));
        let refused = ask(&limit).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.to_string().contains("`unheard-of`"), "{refused}");
        assert!(!crate::base::Error::from(refused).message().contains("unheard"));
        let used = Spent { unpriced: Usage::new(500_000, 0), ..Spent::default() };
        let mut held = ask(&limit.clone().allow_unpriced()).await.unwrap();
        assert!(held.used(&used).is_continue());
        drop(held);
        assert_eq!(limit.spent(), Usd::ZERO);
        let mut request = ChatRequest::from("x").model("unheard-of");
        let assumed = CostConfig::new().unknown_price(Price::per_million("100000", "0").unwrap());
        let mut plan = Plan::new(&mut request, 9, "fake", None, &assumed);
        let _held = limit.reserve("", &mut plan).await.unwrap();
        assert_eq!(limit.account("").left(), usd("0.1"));
    }

    #[tokio::test]
    async fn callers_have_accounts_and_those_beyond_the_bound_share_one() {
        let limit = SpendLimit::per_day(usd("100")).max_accounts(2);
        let spend = async |key: &str| {
            let (mut held, _) = reserve(&limit.account(key), 10, Some(10)).await.ok()?;
            assert!(held.used(&spent("30")).is_continue());
            Some(())
        };
        for key in ["a", "b"] {
            let mut count = 0;
            for _ in 0..9 {
                count += usize::from(spend(key).await.is_some());
            }
            assert_eq!(count, 3, "{key}");
        }
        let mut others = 0;
        for key in 0..50 {
            others += usize::from(spend(&format!("other {key}")).await.is_some());
        }
        assert_eq!(others, 3);
    }

    #[tokio::test]
    async fn whoever_is_refused_or_spends_nothing_takes_no_place() {
        let limit = SpendLimit::per_day(usd("100")).max_accounts(2);
        for key in 0..9 {
            let account = limit.account(format!("refused {key}"));
            assert!(reserve(&account, 1_000, Some(1)).await.is_err());
            let failed = limit.account(format!("failed {key}"));
            drop(reserve(&failed, 10, Some(20)).await.unwrap());
        }
        let spend = async |key: &str| {
            let (mut held, _) = reserve(&limit.account(key), 10, Some(20)).await.unwrap();
            assert!(held.used(&spent("30")).is_continue());
        };
        for key in ["a", "b"] {
            spend(key).await;
            assert_eq!(limit.account(key).spent(), usd("30"), "{key} has a place");
        }
        spend("c").await;
        let late = limit.account("d");
        assert_eq!((late.spent(), late.left()), (usd("30"), usd("70")), "with all who share it");
        let (mut held, _) = reserve(&late, 10, Some(30)).await.unwrap();
        assert!(held.used(&spent("70")).is_continue());
        drop(held);
        let check = Budget::check(&limit.account("e")).await;
        assert_eq!(
            check.unwrap_err().kind(),
            ErrorKind::BudgetExceeded,
            "the common account is used up"
        );
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_no_longer_than_was_set_aside() {
        let limit = SpendLimit::per_day(usd("100000"));
        let (_held, bound) = reserve(&limit, 10, None).await.unwrap();
        assert_eq!(bound, Some(LONG_ANSWER));
        assert_eq!(limit.account(SHARED).left(), usd("91798"));
    }

    #[tokio::test]
    async fn what_writes_nothing_needs_no_price_of_output() {
        let ask = async |longest: u64| {
            let mut request = ChatRequest::default().model("e").max_tokens(longest);
            let price = Price { output: None, ..Price::per_million("1000000", "0").unwrap() };
            let prices = CostConfig::new().price("e", price);
            let mut plan = Plan::new(&mut request, 10, "fake", Some("e"), &prices);
            let limit = SpendLimit::per_day(usd("100"));
            let held = limit.reserve("", &mut plan).await;
            held.map(|_held| limit.account("").left())
        };
        assert_eq!(ask(0).await.unwrap(), usd("90"));
        assert_eq!(ask(1).await.unwrap_err().kind(), ErrorKind::Config);
    }

    #[tokio::test]
    async fn of_an_answer_that_another_limit_bounds_the_rest_is_not_held() {
        let store = MemoryStore::new();
        for shared in [false, true] {
            let large = SpendLimit::per_day(usd("1000")).name("large");
            let large = if shared { large.store(store.clone()) } else { large };
            let small = SpendLimit::per_day(usd("50"));
            let budgets = [BoxBudget::new(large.clone()), BoxBudget::new(small.account("key"))];
            let mut request = ChatRequest::from("x").model("m").max_tokens(200);
            let prices = prices();
            let mut plan = Plan::new(&mut request, 10, "fake", None, &prices);
            let held = BoxBudget::reserve_all(&budgets, &mut plan).await.unwrap();
            assert_eq!(request.max_tokens, Some(20));
            if shared {
                settled(&large).await;
            }
            let account = large.account(SHARED);
            assert_eq!(account.ask_left().await.unwrap(), usd("950"), "{shared}");
            assert_eq!(account.left(), usd("950"));
            drop(held);
            if shared {
                settled(&large).await;
            }
            assert_eq!(account.ask_left().await.unwrap(), usd("1000"));
        }
    }

    #[tokio::test]
    async fn one_limit_in_two_places_is_billed_once() {
        let limit = SpendLimit::per_day(usd("100"));
        let other = SpendLimit::per_day(usd("100"));
        let budgets = [limit.clone(), limit.clone(), other.clone()].map(BoxBudget::new);
        let mut request = ChatRequest::from("x").model("m").max_tokens(20);
        let prices = prices();
        let mut plan = Plan::new(&mut request, 10, "fake", None, &prices);
        let mut held = BoxBudget::reserve_all(&budgets, &mut plan).await.unwrap();
        held.iter_mut().for_each(|held| assert!(held.used(&spent("30")).is_continue()));
        drop(held);
        assert_eq!((limit.spent(), other.spent()), (usd("30"), usd("30")));
        let store = MemoryStore::new();
        let named = |name: &str| limit.clone().name(name).store(store.clone());
        assert_ne!(Budget::identity(&named("a")), Budget::identity(&named("b")));
        assert_ne!(Budget::identity(&limit.account("a")), Budget::identity(&limit.account("b")));
    }

    #[tokio::test]
    async fn a_limit_that_is_raised_or_lowered_in_its_period_knows_what_was_spent() {
        let store = MemoryStore::new();
        let limit = |of: &str| SpendLimit::per_month(usd(of)).name("a").store(store.clone());
        let (first, lower, higher) = (limit("100"), limit("50"), limit("200"));
        let (mut held, _) = reserve(&first, 10, Some(25)).await.unwrap();
        assert!(held.used(&spent("55")).is_continue());
        drop(held);
        settled(&first).await;
        let left = async |limit: &SpendLimit| limit.account(SHARED).ask_left().await.unwrap();
        assert_eq!(left(&higher).await, usd("145"));
        assert_eq!(left(&lower).await, usd("0"));
        assert!(reserve(&lower, 1, Some(1)).await.is_err());
        // One that gives back by its smaller amount does not forget what the others spent.
        let (held, _) = reserve(&higher, 10, Some(25)).await.unwrap();
        drop(held);
        settled(&higher).await;
        assert_eq!(left(&first).await, usd("45"));
    }

    #[tokio::test]
    async fn a_clock_that_steps_back_gives_no_money_back() {
        let (early, late) = (ManualClock::new(), ManualClock::new());
        late.advance(Duration::from_secs(2 * 86_400));
        let limit = SpendLimit::per_day(usd("100")).clock(late.clock());
        let (mut held, _) = reserve(&limit, 10, Some(10)).await.unwrap();
        assert!(held.used(&spent("30")).is_continue());
        drop(held);
        let behind = limit.clone().clock(early.clock());
        assert_eq!((behind.spent(), limit.spent()), (usd("30"), usd("30")));
    }

    #[tokio::test]
    async fn a_period_ends_and_what_is_under_way_belongs_to_the_next() {
        let hands = ManualClock::new();
        let limit = SpendLimit::per_hour(usd("50")).clock(hands.clock());
        let (mut early, _) = reserve(&limit, 10, Some(10)).await.unwrap();
        assert!(early.used(&spent("30")).is_continue());
        let refused = reserve(&limit, 30, Some(1)).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
        hands.advance(limit.until_next());
        assert_eq!(limit.account(SHARED).left(), usd("20"), "it is still under way");
        drop(early);
        assert_eq!((limit.spent(), limit.account(SHARED).left()), (usd("30"), usd("20")));
        hands.advance(Duration::from_secs(3_600));
        assert_eq!(limit.account(SHARED).left(), usd("50"));
    }

    /// Waits until all that is to be settled is.
    async fn settled(limit: &SpendLimit) {
        assert!(limit.store.get().unwrap().idle(Duration::from_secs(20)).await);
    }

    #[tokio::test]
    async fn limits_of_one_name_in_one_store_are_one_and_begin_anew_together() {
        let hands = ManualClock::new();
        let store = MemoryStore::new().clock(hands.clock());
        let limit = |name: &str| {
            let limit = SpendLimit::per_hour(usd("100")).clock(hands.clock());
            limit.name(name).store(store.clone())
        };
        let (here, there, other) = (limit("a"), limit("a"), limit("b"));
        let (mut held, _) = reserve(&here, 10, Some(20)).await.unwrap();
        assert_eq!(there.account(SHARED).ask_left().await.unwrap(), usd("50"));
        assert_eq!(other.account(SHARED).ask_left().await.unwrap(), usd("100"));
        assert_eq!(reserve(&there, 10, None).await.unwrap().1, Some(20), "the rest");
        settled(&there).await;
        let refused = reserve(&there, 50, Some(20)).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
        assert_eq!(refused.retry_after(), Some(OTHERS), "others may give back what they hold");
        let refused = reserve(&here, 50, Some(20)).await.err().unwrap();
        assert_eq!(refused.retry_after(), Some(SOON), "it is set aside here, and may come back");
        // What is under way belongs to the period in which it began.
        hands.advance(here.until_next());
        assert_eq!(there.account(SHARED).ask_left().await.unwrap(), usd("100"));
        assert!(held.used(&spent("30")).is_continue());
        drop(held);
        settled(&here).await;
        assert_eq!(there.account(SHARED).ask_left().await.unwrap(), usd("100"));
        let (mut held, _) = reserve(&here.account("ann"), 10, Some(5)).await.unwrap();
        assert!(held.used(&spent("99.9999999991")).is_continue(), "there is so much");
        settled(&here).await;
        let left = there.account("ann").ask_left().await.unwrap();
        assert_eq!(left, usd("0"), "rounded against the caller");
        assert!(Budget::check(&there.account("ann")).await.is_err());
        assert!(Budget::check(&there.account("bob")).await.is_ok());
        let ControlFlow::Break(error) = held.used(&spent("101")) else { panic!() };
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    }
}
