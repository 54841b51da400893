use super::budget::{Budget, Plan, Reservation, Spent};
use super::catalog::Price;
use super::error::{Error, ErrorKind};
use super::period::Period;
use super::usage::Usage;
use super::usd::Usd;
use crate::base::Clock;
use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// What is spent is kept in the memory of this process: a restart forgets it, and several processes
/// have a limit each.
#[derive(Clone)]
pub struct SpendLimit {
    limit: Usd,
    period: Period,
    per_principal: bool,
    refuses_unpriced: bool,
    max_accounts: usize,
    clock: Clock,
    accounts: Arc<Mutex<Accounts>>,
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

/// The shortest answer that is worth a call, and that every provider lets be asked for.
const SHORT_ANSWER: u64 = 16;

/// How long to wait for money that is set aside and may come back.
const SOON: Duration = Duration::from_secs(1);

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
        }
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
    /// share one until the period ends: nobody gets more by being one of many.
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

    /// How much everybody together has spent in the present period.
    pub fn spent(&self) -> Usd {
        self.lock().by_key.values().map(|account| account.spent).sum()
    }

    /// The account of one caller, such as a virtual key: a budget of its own under this limit.
    pub fn account(&self, key: impl Into<String>) -> SpendAccount {
        SpendAccount { limit: self.clone(), key: key.into() }
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

    fn price(&self, plan: &Plan<'_>) -> Result<Option<Price>, Error> {
        let price = plan.price().filter(Price::is_whole);
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

    fn reserve(&self, key: &str, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        let price = self.price(plan)?;
        let cost = |output: u64| {
            let usage = Usage::new(plan.prompt_tokens, output);
            price.and_then(|price| price.cost(&usage)).unwrap_or_default()
        };
        let known = plan.max_answer_tokens();
        let longest = known.unwrap_or(LONG_ANSWER);
        if known.is_none() && price.is_some() {
            plan.request.max_tokens = Some(longest);
        }
        let mut accounts = self.lock();
        let key = accounts.key_of(key, self.max_accounts);
        let account = accounts.by_key.get(key).copied().unwrap_or_default();
        let left = minus(self.limit, account.spent + account.held);
        let mut wanted = cost(longest);
        if wanted > left {
            let least = cost(SHORT_ANSWER.min(longest));
            if least > left {
                return Err(self.refusal(account, least));
            }
            let each = minus(cost(1), cost(0)).picos().max(1);
            let affordable = minus(left, cost(0)).picos() / each;
            let affordable = u64::try_from(affordable).unwrap_or(u64::MAX).min(longest);
            plan.request.max_tokens = Some(affordable);
            wanted = cost(affordable);
        }
        // Whoever is refused takes no place.
        accounts.by_key.entry(key.to_owned()).or_default().held += wanted;
        let (limit, key) = (self.clone(), key.to_owned());
        Ok(Box::new(Held { limit, key, held: wanted, billed: Usd::ZERO }))
    }
}

/// One account for all requests of the client.
impl Budget for SpendLimit {
    fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        self.reserve(SHARED, plan)
    }

    fn check(&self) -> Result<(), Error> {
        self.account(SHARED).check()
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
    /// How much the caller has spent in the present period, or all of those who share its account.
    pub fn spent(&self) -> Usd {
        self.limit.lock().of(&self.key, self.limit.max_accounts).spent
    }

    /// How much the caller may still spend in the present period, beside what is set aside for calls that
    /// are under way.
    pub fn left(&self) -> Usd {
        let account = self.limit.lock().of(&self.key, self.limit.max_accounts);
        minus(self.limit.limit, account.spent + account.held)
    }
}

impl Budget for SpendAccount {
    fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        self.limit.reserve(&self.key, plan)
    }

    fn check(&self) -> Result<(), Error> {
        let least = Usd::from_picos(1);
        let account = self.limit.lock().by_key.get(&self.key).copied().unwrap_or_default();
        let goes = account.spent + account.held + least <= self.limit.limit;
        if goes { Ok(()) } else { Err(self.limit.refusal(account, least)) }
    }
}

/// Money that is set aside for a call.
struct Held {
    limit: SpendLimit,
    key: String,
    held: Usd,
    billed: Usd,
}

impl Reservation for Held {
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
        let billed = spent.cost;
        self.billed = billed;
        let more = minus(billed, self.held);
        if more == Usd::ZERO {
            return ControlFlow::Continue(());
        }
        let mut accounts = self.limit.lock();
        let account = accounts.by_key.entry(self.key.clone()).or_default();
        let goes = account.spent + account.held + more <= self.limit.limit;
        let refusal = (!goes).then(|| self.limit.refusal(*account, more));
        // It has been used in any case: nobody else is to be given it.
        account.held += more;
        self.held = billed;
        refusal.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut accounts = self.limit.lock();
        let key = std::mem::take(&mut self.key);
        let account = accounts.by_key.entry(key.clone()).or_default();
        account.held = minus(account.held, self.held);
        account.spent += self.billed;
        // Whoever has spent nothing leaves the place to another.
        if account.is_empty() {
            accounts.by_key.remove(&key);
        }
    }
}

fn minus(amount: Usd, other: Usd) -> Usd {
    Usd::from_picos(amount.picos().saturating_sub(other.picos()))
}

fn seconds(clock: &Clock) -> u64 {
    clock.date().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::llm::chat::ChatRequest;
    use crate::llm::layer::CostConfig;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    /// A dollar for a token in, two for one out.
    fn prices() -> CostConfig {
        let price = Price::per_million("1000000", "2000000").unwrap();
        CostConfig::new().price("m", price)
    }

    fn reserve(
        budget: &dyn Budget,
        prompt: u64,
        max: Option<u64>,
    ) -> Result<(Box<dyn Reservation>, Option<u64>), Error> {
        let mut request = ChatRequest::from("x").model("m");
        request.max_tokens = max;
        let prices = prices();
        let mut plan = Plan::new(&mut request, prompt, "fake", None, &prices);
        let held = budget.reserve(&mut plan)?;
        Ok((held, request.max_tokens))
    }

    fn spent(cost: &str) -> Spent {
        Spent { cost: usd(cost), ..Spent::default() }
    }

    #[test]
    fn money_is_set_aside_and_settled() {
        let limit = SpendLimit::per_day(usd("100")).account("a");
        let (mut held, _) = reserve(&limit, 10, Some(20)).unwrap();
        assert_eq!(limit.left(), usd("50"));
        assert!(held.used(&spent("30")).is_continue());
        assert_eq!((limit.left(), limit.spent()), (usd("50"), usd("0")));
        drop(held);
        assert_eq!((limit.left(), limit.spent()), (usd("70"), usd("30")));
    }

    #[test]
    fn an_answer_is_bounded_to_what_the_rest_affords() {
        let limit = SpendLimit::per_day(usd("100"));
        let (held, bound) = reserve(&limit, 10, None).unwrap();
        assert_eq!(bound, Some(45));
        let refused = reserve(&limit, 10, None).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
        assert_eq!(refused.retry_after(), Some(SOON), "it may come back");
        drop(held);
        assert_eq!(reserve(&limit, 68, None).unwrap().1, Some(16));
        assert_eq!(reserve(&limit, 98, Some(1)).unwrap().1, Some(1), "the caller wants no more");
        let refused = reserve(&limit, 69, None).err().unwrap();
        assert!(refused.retry_after().unwrap() > SOON);
    }

    #[test]
    fn what_turns_out_dearer_is_stopped_at_the_limit_and_billed() {
        let limit = SpendLimit::per_day(usd("100"));
        let other = reserve(&limit, 20, Some(10)).unwrap();
        let (mut held, _) = reserve(&limit, 10, Some(5)).unwrap();
        assert!(held.used(&spent("60")).is_continue(), "there is more");
        let ControlFlow::Break(error) = held.used(&spent("61")) else { panic!() };
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        drop(held);
        assert_eq!(limit.spent(), usd("61"));
        drop(other);
        assert_eq!(limit.account(SHARED).left(), usd("39"));
    }

    #[test]
    fn a_model_without_a_price_is_refused_unless_it_is_said() {
        let ask = |limit: &SpendLimit| {
            let mut request = ChatRequest::from("x").model("unheard-of");
            let prices = CostConfig::new();
            limit.reserve("", &mut Plan::new(&mut request, 10, "fake", None, &prices))
        };
        let limit = SpendLimit::per_day(usd("1"));
        let refused = ask(&limit).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.to_string().contains("`unheard-of`"), "{refused}");
        assert!(!crate::base::Error::from(refused).message().contains("unheard"));
        let used = Spent { unpriced: Usage::new(500_000, 0), ..Spent::default() };
        let mut held = ask(&limit.clone().allow_unpriced()).unwrap();
        assert!(held.used(&used).is_continue());
        drop(held);
        assert_eq!(limit.spent(), Usd::ZERO);
        let mut request = ChatRequest::from("x").model("unheard-of");
        let assumed = CostConfig::new().unknown_price(Price::per_million("100000", "0").unwrap());
        let mut plan = Plan::new(&mut request, 9, "fake", None, &assumed);
        let _held = limit.reserve("", &mut plan).unwrap();
        assert_eq!(limit.account("").left(), usd("0.1"));
    }

    #[test]
    fn callers_have_accounts_and_those_beyond_the_bound_share_one() {
        let limit = SpendLimit::per_day(usd("100")).max_accounts(2);
        let spend = |key: &str| {
            let (mut held, _) = reserve(&limit.account(key), 10, Some(10)).ok()?;
            assert!(held.used(&spent("30")).is_continue());
            Some(())
        };
        for key in ["a", "b"] {
            assert_eq!((0..9).filter_map(|_| spend(key)).count(), 3, "{key}");
        }
        let others = (0..50).filter_map(|key| spend(&format!("other {key}"))).count();
        assert_eq!(others, 3);
    }

    #[test]
    fn whoever_is_refused_or_spends_nothing_takes_no_place() {
        let limit = SpendLimit::per_day(usd("100")).max_accounts(2);
        for key in 0..9 {
            let account = limit.account(format!("refused {key}"));
            assert!(reserve(&account, 1_000, Some(1)).is_err());
            drop(reserve(&limit.account(format!("failed {key}")), 10, Some(20)).unwrap());
        }
        let spend = |key: &str| {
            let (mut held, _) = reserve(&limit.account(key), 10, Some(20)).unwrap();
            assert!(held.used(&spent("30")).is_continue());
        };
        for key in ["a", "b"] {
            spend(key);
            assert_eq!(limit.account(key).spent(), usd("30"), "{key} has a place");
        }
        spend("c");
        let late = limit.account("d");
        assert_eq!((late.spent(), late.left()), (usd("30"), usd("70")), "with all who share it");
    }

    #[test]
    fn an_answer_is_asked_for_no_longer_than_was_set_aside() {
        let limit = SpendLimit::per_day(usd("100000"));
        let (_held, bound) = reserve(&limit, 10, None).unwrap();
        assert_eq!(bound, Some(LONG_ANSWER));
        assert_eq!(limit.account(SHARED).left(), usd("91798"));
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_money_back() {
        let (early, late) = (ManualClock::new(), ManualClock::new());
        late.advance(Duration::from_secs(2 * 86_400));
        let limit = SpendLimit::per_day(usd("100")).clock(late.clock());
        let (mut held, _) = reserve(&limit, 10, Some(10)).unwrap();
        assert!(held.used(&spent("30")).is_continue());
        drop(held);
        let behind = limit.clone().clock(early.clock());
        assert_eq!((behind.spent(), limit.spent()), (usd("30"), usd("30")));
    }

    #[test]
    fn a_period_ends_and_what_is_under_way_belongs_to_the_next() {
        let hands = ManualClock::new();
        let limit = SpendLimit::per_hour(usd("50")).clock(hands.clock());
        let (mut early, _) = reserve(&limit, 10, Some(10)).unwrap();
        assert!(early.used(&spent("30")).is_continue());
        let refused = reserve(&limit, 30, Some(1)).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
        hands.advance(limit.until_next());
        assert_eq!(limit.account(SHARED).left(), usd("20"), "it is still under way");
        drop(early);
        assert_eq!((limit.spent(), limit.account(SHARED).left()), (usd("30"), usd("20")));
        hands.advance(Duration::from_secs(3_600));
        assert_eq!(limit.account(SHARED).left(), usd("50"));
    }
}
