//! Limits at work: the buckets that calls of models draw from.

use super::home::{Home, Places};
use super::token_limits::TokenLimits;
use crate::base::{Clock, Finding};
use crate::llm::{Budget, Error, ErrorKind, Plan, Reservation, Spent};
use crate::store::{BoundedMap, BoxStore, BucketError, GlobalTokenBucket, TokenHold};
use crate::web::Response;
use crate::web::middleware::{CallTokens, RequestTokens, tell_limit};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What bounds the tokens of a route: [`TokenLimits`] of its own, or a [`GlobalTokenBucket`] that
/// others draw from as well.
#[derive(Debug, Clone)]
pub struct TokenBound(Bound);

#[derive(Debug, Clone)]
enum Bound {
    Limits(TokenLimits),
    Bucket(GlobalTokenBucket),
}

impl From<TokenLimits> for TokenBound {
    fn from(limits: TokenLimits) -> Self {
        Self(Bound::Limits(limits))
    }
}

impl From<GlobalTokenBucket> for TokenBound {
    fn from(bucket: GlobalTokenBucket) -> Self {
        Self(Bound::Bucket(bucket))
    }
}

/// A limit of a route, a blueprint or an application, with the buckets of all its callers.
#[derive(Debug, Clone)]
pub(super) struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: TokenLimits,
    clock: Clock,
    buckets: Buckets,
    /// What it is called in a store: the same in all processes.
    place: String,
    /// The bucket has a name of its own.
    is_global: bool,
    home: OnceLock<Home>,
}

#[derive(Debug)]
enum Buckets {
    OfAll(Arc<[GlobalTokenBucket]>),
    OfEach(Mutex<BoundedMap<Arc<[GlobalTokenBucket]>>>),
}

/// How many callers are remembered.
const MAX_CALLERS: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What an answer is taken to need when nothing bounds it.
const TYPICAL_ANSWER: u64 = 256;

impl Limiter {
    /// A limit that stands at a place, by which a store knows it.
    pub(super) fn new(bound: TokenBound, clock: &Clock, place: String) -> Self {
        let is_global = matches!(bound.0, Bound::Bucket(_));
        let (limits, buckets) = match bound.0 {
            Bound::Bucket(bucket) => (TokenLimits::new(), Buckets::OfAll([bucket].into())),
            Bound::Limits(limits) if limits.per_principal => {
                (limits, Buckets::OfEach(Mutex::new(BoundedMap::new(MAX_CALLERS))))
            }
            Bound::Limits(limits) => (limits, Buckets::OfAll(buckets(limits, clock))),
        };
        let home = OnceLock::new();
        Self(Arc::new(Inner { limits, clock: clock.clone(), buckets, place, is_global, home }))
    }

    /// Keeps the buckets in the store of the application.
    pub(super) fn keep_in(&self, store: &BoxStore, places: &mut Places) {
        let Inner { place, home, buckets, is_global, .. } = &*self.0;
        let mut home = || home.get_or_init(|| Home::new(store, places.free(place)));
        match buckets {
            Buckets::OfAll(buckets) if *is_global => {
                buckets.iter().for_each(|bucket| bucket.keep_in(store));
            }
            Buckets::OfAll(buckets) => home().keep(buckets, ""),
            // Those of a caller are kept when they are made.
            Buckets::OfEach(_) => {
                home();
            }
        }
    }

    /// Tells whether callers are counted apart.
    pub(super) fn is_per_principal(&self) -> bool {
        matches!(self.0.buckets, Buckets::OfEach(_))
    }

    /// The limit as it holds for a caller.
    pub(super) fn of(&self, caller: &str) -> CallerLimit {
        let Inner { limits, clock, buckets: all, home, .. } = &*self.0;
        let buckets = match all {
            Buckets::OfAll(buckets) => buckets.clone(),
            Buckets::OfEach(callers) => {
                let now = clock.now();
                let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
                let known = callers.get(caller, now).cloned();
                let buckets = known.unwrap_or_else(|| {
                    let buckets = buckets(*limits, clock);
                    if let Some(home) = home.get() {
                        home.keep(&buckets, caller);
                    }
                    buckets
                });
                // How large the debt of this call will be is not known yet, so that no time is long enough.
                callers.insert(caller, buckets.clone(), clock.after(Duration::MAX), now);
                buckets
            }
        };
        CallerLimit { limits: *limits, buckets }
    }

    /// What is wrong with the limit.
    pub(super) fn check(&self) -> Option<Finding> {
        let empty = match &self.0.buckets {
            Buckets::OfAll(buckets) => buckets.iter().find(|bucket| {
                self.0.limits.check().is_none()
                    && (bucket.capacity() == 0 || bucket.period().is_zero())
            }),
            Buckets::OfEach(_) => None,
        };
        let of_bucket = empty.map(|bucket| {
            format!("the bucket `{}` never holds a token, so that no request passes", bucket.name())
        });
        self.0.limits.check().map(str::to_owned).or(of_bucket).map(Finding::new)
    }
}

/// The buckets of one caller, or of all.
fn buckets(limits: TokenLimits, clock: &Clock) -> Arc<[GlobalTokenBucket]> {
    let wanted = [
        ("tokens per minute", limits.tokens_per_minute, MINUTE),
        ("tokens per day", limits.tokens_per_day, DAY),
    ];
    let buckets = wanted.into_iter().filter_map(|(name, limit, period)| {
        let bucket = GlobalTokenBucket::with_clock(name, limit?, period, clock.clone());
        Some(bucket.on_store_failure(limits.on_store_failure))
    });
    buckets.collect()
}

/// A limit as it holds for one caller.
#[derive(Debug, Clone)]
pub(super) struct CallerLimit {
    limits: TokenLimits,
    buckets: Arc<[GlobalTokenBucket]>,
}

impl CallerLimit {
    /// Keeps the buckets in a store, under the name of whoever they belong to.
    pub(super) fn keep_in(&self, store: &BoxStore, place: String) {
        Home::new(store, place).keep(&self.buckets, "");
    }

    /// Bounds a request, and sets aside what it is expected to use.
    async fn hold(&self, plan: &mut Plan<'_>) -> Result<Held, Error> {
        let Self { limits, buckets } = self;
        let prompt = plan.prompt_tokens;
        let most = limits.max_prompt_tokens.into_iter();
        let most = most.chain(buckets.iter().map(GlobalTokenBucket::capacity)).min();
        if let Some(most) = most.filter(|most| prompt > *most) {
            let message = format!(
                "The conversation has about {prompt} tokens, and at most {most} are allowed."
            );
            return Err(
                Error::new(ErrorKind::ContextLength, message.clone()).with_public_message(message)
            );
        }
        if let Some(most) = limits.max_completion_tokens {
            let asked = plan.request.max_tokens;
            plan.request.max_tokens = Some(asked.map_or(most, |asked| asked.min(most)));
        }
        let expected = expected(plan);
        // What an earlier bucket gave goes back in full if a later one refuses.
        let mut held = Vec::with_capacity(buckets.len());
        for bucket in &**buckets {
            // No call may be refused for ever because its answer could be long.
            let tokens = expected.min(bucket.capacity());
            held.push(bucket.reserve(tokens).await.map_err(refusal)?);
        }
        Ok(Held(held))
    }
}

/// How many tokens a call is expected to use.
fn expected(plan: &Plan<'_>) -> u64 {
    let most = plan.request.max_tokens.unwrap_or(TYPICAL_ANSWER);
    let answer = plan.expected_answer_tokens().unwrap_or(most.min(TYPICAL_ANSWER));
    plan.prompt_tokens.saturating_add(answer)
}

/// The bucket that has least left.
pub(super) fn tightest(limits: &[CallerLimit]) -> Option<&GlobalTokenBucket> {
    let buckets = limits.iter().flat_map(|limit| &*limit.buckets);
    buckets.min_by_key(|bucket| bucket.available())
}

/// Tells the client what is left of the tightest budget.
pub(super) fn write_headers(limits: &[CallerLimit], response: &mut Response) {
    for bucket in limits.iter().flat_map(|limit| &*limit.buckets) {
        let headers = response.headers_mut();
        tell_limit(headers, bucket.capacity(), bucket.available(), bucket.until_full());
    }
}

fn refusal(error: BucketError) -> Error {
    let wait = match error {
        BucketError::Empty { wait } => wait,
        BucketError::Away(error) => return Error::of_store(error),
    };
    let message = "The budget of tokens is used up for now.";
    Error::new(ErrorKind::BudgetExceeded, message)
        .with_public_message(message)
        .with_retry_after(wait)
}

impl Budget for CallerLimit {
    async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        Ok(Box::new(self.hold(plan).await?))
    }

    async fn check(&self) -> Result<(), Error> {
        for bucket in &*self.buckets {
            bucket.check().await.map_err(refusal)?;
        }
        Ok(())
    }
}

/// Tokens that are set aside for a call, and settled when this is dropped.
#[derive(Debug)]
struct Held(Vec<TokenHold>);

impl Reservation for Held {
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
        let used = spent.usage.total();
        self.0.iter_mut().for_each(|hold| hold.used(used));
        ControlFlow::Continue(())
    }
}

/// The tokens that a middleware has set aside for the request as a whole: what models use is settled in
/// place of its estimate.
pub(super) struct OfRequest(pub(super) RequestTokens);

impl Budget for OfRequest {
    async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        let tokens = self.0.call(expected(plan)).await.map_err(refusal)?;
        Ok(Box::new(CallOfRequest(tokens)))
    }
}

struct CallOfRequest(CallTokens);

impl Reservation for CallOfRequest {
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
        self.0.used(spent.usage.total());
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base;
    use crate::base::clock::{ManualClock, secs};
    use crate::llm::{ChatRequest, Client, FakeProvider, FakeReply, Message, Usage};

    /// Calls with a prompt and an answer of so many tokens in all, of which `used` are.
    async fn call(limit: &CallerLimit, prompt: usize, used: u64) -> Result<(), Error> {
        // Four tokens are counted for the message itself.
        let request = ChatRequest::new([Message::user("x".repeat((prompt - 4) * 4))]);
        let reply = FakeReply::new().usage(Usage::new(used, 0));
        let client = Client::new(FakeProvider::new().reply(reply)).budget(limit.clone());
        client.complete(request.max_tokens(10)).await.map(drop)
    }

    fn left(limit: &CallerLimit) -> Vec<u64> {
        limit.buckets.iter().map(GlobalTokenBucket::available).collect()
    }

    fn limiter(limits: TokenLimits, hands: &ManualClock) -> Limiter {
        Limiter::new(limits.into(), &hands.clock(), String::new())
    }

    #[tokio::test]
    async fn an_estimate_is_reserved_and_settled() {
        let hands = ManualClock::new();
        let limits = TokenLimits::per_minute(100).tokens_per_day(1000);
        let limit = limiter(limits, &hands).of("");
        call(&limit, 84, 65).await.unwrap();
        assert_eq!(left(&limit), [35, 935]);
        let refused = call(&limit, 50, 1).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(secs(15)));
        assert_eq!(base::Error::from(refused).status(), 429);
        assert_eq!(left(&limit), [35, 935], "a refused call takes nothing");
    }

    #[tokio::test]
    async fn a_call_that_is_refused_by_the_second_bucket_takes_nothing_from_the_first() {
        let hands = ManualClock::new();
        let limit = limiter(TokenLimits::per_minute(100).tokens_per_day(70), &hands).of("");
        call(&limit, 30, 40).await.unwrap();
        call(&limit, 30, 40).await.unwrap_err();
        assert_eq!(left(&limit), [60, 30]);
    }

    #[tokio::test]
    async fn a_limit_in_money_does_not_say_how_long_an_answer_is() {
        let hands = ManualClock::new();
        let limit = limiter(TokenLimits::per_minute(10_000), &hands).of("");
        let prices = crate::llm::Price::per_million("1", "1").unwrap();
        let prices = crate::llm::layer::CostConfig::new().unknown_price(prices);
        // The answer is under way while it is looked at what was set aside.
        let fake = FakeProvider::new().reply(FakeReply::new().text("a b c").hang_after(1));
        let client = Client::builder().provider(fake.clone()).cost(prices).build().unwrap();
        let money = crate::llm::SpendLimit::per_day("1".parse().unwrap());
        let client = client.budget(money).budget(limit.clone());
        let stream =
            client.stream(ChatRequest::new([Message::user("x".repeat(24))])).await.unwrap();
        assert_eq!(fake.requests()[0].max_tokens, Some(4_096));
        assert_eq!(left(&limit), [10_000 - 10 - 256]);
        drop(stream);
    }

    #[tokio::test]
    async fn one_request_is_bounded() {
        let limits = TokenLimits::new().max_prompt_tokens(20).max_completion_tokens(5);
        let limit = Limiter::new(limits.into(), &Clock::system(), String::new()).of("");
        let refused = base::Error::from(call(&limit, 21, 1).await.unwrap_err());
        assert_eq!(refused.status(), 413);
        assert!(refused.message().contains("about 21 tokens"), "{refused}");
        let fake = FakeProvider::new();
        let client = Client::new(fake.clone()).budget(limit);
        client.complete(ChatRequest::from("Hi").max_tokens(u64::MAX)).await.unwrap();
        assert_eq!(fake.requests()[0].max_tokens, Some(5));
    }

    #[tokio::test]
    async fn callers_are_counted_apart_on_request() {
        let hands = ManualClock::new();
        let limiter = limiter(TokenLimits::per_minute(100).per_principal(), &hands);
        call(&limiter.of("a"), 50, 90).await.unwrap();
        assert_eq!((left(&limiter.of("a")), left(&limiter.of("b"))), (vec![10], vec![100]));
        hands.advance(secs(30));
        assert_eq!(left(&limiter.of("a")), [60], "it is remembered while it is not full");
        for caller in 0..=MAX_CALLERS {
            limiter.of(&caller.to_string());
        }
        let Buckets::OfEach(callers) = &limiter.0.buckets else { panic!() };
        // A debt is remembered for as long as it takes to pay it.
        call(&limiter.of("c"), 50, 350).await.unwrap();
        hands.advance(secs(61));
        assert_eq!(left(&limiter.of("c")), [0]);
        hands.advance(secs(60 + 30 + 60));
        assert_eq!(left(&limiter.of("c")), [100]);
        assert_eq!(callers.lock().unwrap().len(), MAX_CALLERS);
    }

    #[test]
    fn a_limit_that_lets_nothing_pass_is_found() {
        let found =
            |bound: TokenBound| Limiter::new(bound, &Clock::system(), String::new()).check();
        assert!(found(TokenLimits::per_day(0).into()).unwrap().message.contains("zero"));
        let bucket = GlobalTokenBucket::per_minute("chat", 0);
        assert!(found(bucket.into()).unwrap().message.contains("`chat`"));
        assert!(found(TokenLimits::per_minute(1).per_principal().into()).is_none());
    }
}
