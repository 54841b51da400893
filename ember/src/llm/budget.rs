use super::billing::Billing;
use super::catalog::Price;
use super::chat::{ChatRequest, ChatResponse};
use super::error::Error;
use super::layer::{Asked, CostConfig};
use super::stream::ChatEvent;
use super::tally::{Input, Tally};
use super::usage::Usage;
use super::usd::Usd;
use crate::base::tokens::TokenCounter;
use crate::store::BoxStore;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

/// What a client may spend: asked before a request is sent, told what it has cost.
///
/// One request is one reservation, however many rounds of tools it takes, and however it ends:
/// answered, failed, or abandoned.
///
/// ```
/// use ember::llm::{Budget, Client, Error, ErrorKind, FakeProvider, Plan, Reservation, Spent};
/// use std::ops::ControlFlow;
///
/// /// Stops an answer that grows longer than anybody reads.
/// struct Short;
///
/// struct Reading;
///
/// impl Budget for Short {
///     async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
///         plan.request.max_tokens.get_or_insert(50);
///         Ok(Box::new(Reading))
///     }
/// }
///
/// impl Reservation for Reading {
///     fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
///         match spent.usage.total_output() {
///             0..=50 => ControlFlow::Continue(()),
///             _ => ControlFlow::Break(Error::new(ErrorKind::BudgetExceeded, "too long")),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let client = Client::new(FakeProvider::new().text("word ".repeat(60))).budget(Short);
/// assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
/// # }
/// ```
pub trait Budget: Send + Sync + 'static {
    /// Sets aside what a request is expected to use, and may bound it.
    ///
    /// # Errors
    /// When there is not so much left, the request is larger than any may be, or nobody can tell.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time; whatever was set aside by then must be given back.
    fn reserve(
        &self,
        plan: &mut Plan<'_>,
    ) -> impl Future<Output = Result<Box<dyn Reservation>, Error>> + Send;

    /// Tells whether anything is left, before little things are paid for such as the embedding of a
    /// question. Unless it is implemented, there always is.
    ///
    /// # Errors
    /// When nothing is left, or nobody can tell.
    fn check(&self) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// What tells this account from others, where one may hold for a call in several places: of those of one
    /// identity only the first is asked. `None` unless it is implemented: then each is.
    fn identity(&self) -> Option<String> {
        None
    }

    /// Learns at start-up in which store the application keeps what its processes share, where the budget
    /// is one of the application's client. Notes are told in the log, and by the command `check`.
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        let _ = (store, notes);
    }
}

/// A budget whose type is forgotten: those of a client stand in one list.
#[derive(Clone)]
pub(super) struct BoxBudget(Arc<dyn Erased>);

impl BoxBudget {
    pub(super) fn new(budget: impl Budget) -> Self {
        Self(Arc::new(budget))
    }

    async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        self.0.reserve(plan).await
    }

    pub(super) async fn check(&self) -> Result<(), Error> {
        self.0.check().await
    }

    pub(super) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.0.keep_in(store, notes);
    }

    /// Sets aside what a request is expected to use, once from each account.
    pub(super) async fn reserve_all(
        budgets: &[Self],
        plan: &mut Plan<'_>,
    ) -> Result<Vec<Box<dyn Reservation>>, Error> {
        let (mut reservations, mut known) = (Vec::with_capacity(budgets.len()), Vec::new());
        for budget in budgets {
            let identity = budget.0.identity();
            if identity.is_some() && known.contains(&identity) {
                continue;
            }
            known.push(identity);
            reservations.push(budget.reserve(plan).await?);
        }
        // A later budget may have bounded the answer further than an earlier one knew.
        if let Some(longest) = plan.request.max_tokens {
            reservations.iter_mut().for_each(|reservation| reservation.bounded(longest));
        }
        Ok(reservations)
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The boxed twin of [`Budget`].
trait Erased: Send + Sync {
    fn reserve<'a>(&'a self, plan: &'a mut Plan<'_>) -> Boxed<'a, Box<dyn Reservation>>;
    fn check(&self) -> Boxed<'_, ()>;
    fn identity(&self) -> Option<String>;
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>);
}

impl<B: Budget> Erased for B {
    fn reserve<'a>(&'a self, plan: &'a mut Plan<'_>) -> Boxed<'a, Box<dyn Reservation>> {
        Box::pin(Budget::reserve(self, plan))
    }

    fn check(&self) -> Boxed<'_, ()> {
        Box::pin(Budget::check(self))
    }

    fn identity(&self) -> Option<String> {
        Budget::identity(self)
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        Budget::keep_in(self, store, notes);
    }
}

/// What is set aside for a request. Dropping it settles what was used in truth.
pub trait Reservation: Send {
    /// So much was used so far. The last word counts.
    ///
    /// It is called when a round is sent, at each piece of an answer, and at its end. `Break` ends the
    /// request with that error: a stream where it stands, a whole answer in place of it. What was used
    /// until then is billed all the same, and settled. It does not wait: what is to be told to others, such as
    /// a store, is told by a task.
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error>;

    /// The answer is asked for no longer than so many tokens, when all budgets have set something aside: what
    /// was set aside for a longer one may be given back. Unless it is implemented it is held to the end.
    fn bounded(&mut self, tokens: u64) {
        let _ = tokens;
    }
}

/// A request that is about to be sent, with what is known of its costs.
#[non_exhaustive]
pub struct Plan<'a> {
    /// The request, which a budget may bound.
    pub request: &'a mut ChatRequest,
    /// How many tokens the model has to read, as the client counts them.
    pub prompt_tokens: u64,
    provider: &'a str,
    model: Option<&'a str>,
    prices: &'a CostConfig,
    /// The bound of the answer, if it says nothing of how long one is expected to be.
    precaution: Option<u64>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        request: &'a mut ChatRequest,
        prompt_tokens: u64,
        provider: &'a str,
        model: Option<&'a str>,
        prices: &'a CostConfig,
    ) -> Self {
        Self { request, prompt_tokens, provider, model, prices, precaution: None }
    }

    /// The provider that is asked.
    pub fn provider(&self) -> &str {
        self.provider
    }

    /// The model that is asked, as far as it is known before it answers.
    pub fn model(&self) -> Option<&str> {
        self.request.model.as_deref().or(self.model)
    }

    /// What the model costs, if that is known. Where a [`ModelRouter`](super::ModelRouter) may ask several, it is
    /// what the dearest of them costs, and unknown if it is of one.
    pub fn price(&self) -> Option<Price> {
        self.prices.highest_price(self.asked())
    }

    /// Which models may answer.
    fn asked(&self) -> Asked<'_> {
        Asked {
            provider: self.provider,
            named: self.model(),
            allowed: self.request.allowed_models.as_deref(),
        }
    }

    /// As [`price`](Self::price), with models left out whose price is unknown.
    pub(super) fn known_price(&self) -> Option<Price> {
        self.prices.highest_known_price(self.asked())
    }

    /// A model that may answer and has no known price, if there is one.
    pub fn unpriced_model(&self) -> Option<&str> {
        self.prices.without_price(self.asked())
    }

    /// Bounds the answer to what can be paid for, which says nothing of how long it is expected to be.
    pub(super) fn bound_answer(&mut self, tokens: u64) {
        if self.request.max_tokens == self.precaution {
            self.precaution = Some(tokens);
        }
        self.request.max_tokens = Some(tokens);
    }

    /// How many tokens an answer is expected to have at most, if anybody has said so: a bound that a limit in
    /// money has put in for an answer of unknown length is none.
    pub fn expected_answer_tokens(&self) -> Option<u64> {
        self.request.max_tokens.filter(|_| self.request.max_tokens != self.precaution)
    }

    /// How many tokens an answer can have at most: what the request says, and no more than
    /// is known of the model, or of the models that may answer.
    pub fn max_answer_tokens(&self) -> Option<u64> {
        let longest = self.prices.longest_answer(self.asked());
        let asked = self.request.max_tokens;
        longest.map_or(asked, |longest| Some(asked.map_or(longest, |asked| asked.min(longest))))
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("prompt_tokens", &self.prompt_tokens)
            .field("provider", &self.provider)
            .field("model", &self.model())
            .finish_non_exhaustive()
    }
}

/// What a request has used so far, all rounds of tools together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// The tokens.
    pub usage: Usage,
    /// What they cost, as far as prices are known.
    pub cost: Usd,
    /// Those of the tokens that no price is known for.
    pub unpriced: Usage,
}

impl Spent {
    fn and(mut self, usage: Usage, price: Option<Price>) -> Self {
        self.usage += usage;
        match price.and_then(|price| price.cost(&usage)) {
            Some(cost) => self.cost += cost,
            None => self.unpriced += usage,
        }
        self
    }
}

/// Tells reservations what a request uses.
pub(super) struct Meter {
    reservations: Vec<Box<dyn Reservation>>,
    account: Account,
    /// What the rounds before have used.
    before: Spent,
    round: Option<Round>,
}

/// By whom, and how, a request is counted.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) provider: Arc<str>,
    pub(super) prices: Arc<CostConfig>,
    pub(super) counter: Arc<dyn TokenCounter>,
    pub(super) billing: Billing,
}

/// The present round.
struct Round {
    tally: Tally<'static>,
    price: Option<Price>,
}

impl Meter {
    pub(super) fn new(reservations: Vec<Box<dyn Reservation>>, account: Account) -> Self {
        Self { reservations, account, before: Spent::default(), round: None }
    }

    /// Tells whether anybody wants to know.
    pub(super) fn is_on(&self) -> bool {
        !self.reservations.is_empty()
    }

    /// A round is about to be sent: its prompt counts from now on.
    pub(super) fn round(&mut self, request: &ChatRequest) -> Result<(), Error> {
        if !self.is_on() {
            return Ok(());
        }
        self.before = self.spent();
        let input = request.count_tokens(&*self.account.counter);
        self.account.billing.begin(input);
        let tally = Tally::new(request.model.clone(), Input::Tokens(input));
        let Account { provider, prices, .. } = &self.account;
        let allowed = request.allowed_models.as_deref();
        let price = prices.highest_price(Asked { provider, named: tally.named(), allowed });
        self.round = Some(Round { tally, price });
        let told = self.tell();
        if told.is_err() {
            // It is not sent.
            self.round = None;
            let _ = self.tell();
        }
        told
    }

    /// Something of the answer has arrived.
    pub(super) fn event(&mut self, event: &ChatEvent) -> Result<(), Error> {
        self.change(|tally| tally.event(event))
    }

    /// The whole answer has arrived.
    pub(super) fn response(&mut self, response: &ChatResponse) -> Result<(), Error> {
        self.change(|tally| {
            tally.response(response);
            true
        })
    }

    /// The round has failed, which is worse than anything a budget has to say.
    pub(super) fn failed(&mut self, error: &Error) {
        let _ = self.change(|tally| {
            tally.failed(error);
            false
        });
    }

    /// Changes the tally; the change tells whether another model may have been named.
    fn change(&mut self, change: impl FnOnce(&mut Tally<'_>) -> bool) -> Result<(), Error> {
        let Some(mut round) = self.round.take() else { return Ok(()) };
        if change(&mut round.tally) {
            round.price = self.price_of(&round.tally);
        }
        self.round = Some(round);
        self.tell()
    }

    fn price_of(&self, tally: &Tally<'_>) -> Option<Price> {
        let Account { provider, prices, .. } = &self.account;
        prices.price_of(provider, tally.model(), tally.named())
    }

    fn spent(&self) -> Spent {
        let Some(round) = &self.round else { return self.before };
        let told = self.account.billing.told();
        let mut spent = self.before;
        spent.usage += told.failed.usage;
        spent.cost += told.failed.cost;
        spent.unpriced += told.failed.unpriced;
        match told.route {
            // The router has told of all that its models have used.
            Some(route) if !route.answers => spent,
            Some(route) if self.account.prices.are_of_router() => {
                spent.and(round.tally.usage(), route.price)
            }
            _ => spent.and(round.tally.usage(), round.price),
        }
    }

    /// Tells everybody, and returns the first word against it.
    fn tell(&mut self) -> Result<(), Error> {
        let spent = self.spent();
        let mut outcome = Ok(());
        for reservation in &mut self.reservations {
            if let ControlFlow::Break(error) = reservation.used(&spent) {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }
}

impl Drop for Meter {
    /// What a router's models have used that nobody waits for any more is known by now.
    fn drop(&mut self) {
        if self.round.is_some() {
            let _ = self.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tokens::Estimate;
    use crate::llm::chat::FinishReason;
    use crate::llm::error::ErrorKind;
    use crate::llm::message::{Message, Part, Role, ToolCall};
    use std::sync::Mutex;

    type Told = Arc<Mutex<Spent>>;

    struct Noted(Told);

    impl Reservation for Noted {
        fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
            *self.0.lock().unwrap() = *spent;
            match spent.usage.total() {
                0..1_000 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(Error::new(ErrorKind::BudgetExceeded, "enough")),
            }
        }
    }

    /// A meter, what it has told last, and a request of ten tokens.
    fn meter() -> (Meter, Told, ChatRequest) {
        let told = Told::default();
        let price = |text| Price::per_million(text, "10").unwrap();
        let prices = CostConfig::new().price("small", price("1")).price("large", price("2"));
        let account = Account {
            provider: "fake".into(),
            prices: Arc::new(prices.default_model("small")),
            counter: Arc::new(Estimate),
            billing: Billing::open(),
        };
        let meter = Meter::new(vec![Box::new(Noted(told.clone()))], account);
        let request = ChatRequest::from("x".repeat(24));
        assert_eq!(request.estimate_tokens(), 10);
        (meter, told, request)
    }

    fn total(told: &Told) -> u64 {
        told.lock().unwrap().usage.total()
    }

    fn cost(told: &Told) -> String {
        told.lock().unwrap().cost.to_string()
    }

    #[test]
    fn an_abandoned_answer_costs_its_prompt_and_what_had_arrived() {
        let (mut meter, told, request) = meter();
        meter.round(&request).unwrap();
        assert_eq!(total(&told), 10);
        for word in ["ab", "c de", "f gh"] {
            meter.event(&ChatEvent::Text(word.into())).unwrap();
        }
        assert_eq!(total(&told), 13, "three words, in however many pieces");
        let arguments = " {\"a\":1}".to_owned();
        meter.event(&ChatEvent::ToolCallDelta { index: 0, arguments }).unwrap();
        assert!(total(&told) > 13);
    }

    #[test]
    fn what_the_provider_says_at_the_end_goes_before_the_estimate() {
        let (mut meter, told, request) = meter();
        meter.round(&request).unwrap();
        meter.event(&ChatEvent::Usage(Usage::new(40, 1))).unwrap();
        assert_eq!(total(&told), 41);
        meter.event(&ChatEvent::Text("some more words".into())).unwrap();
        assert_eq!(total(&told), 43, "more has arrived than it has said");
        meter.event(&ChatEvent::Usage(Usage::new(40, 2))).unwrap();
        meter.event(&ChatEvent::Finish(FinishReason::Stop.into())).unwrap();
        assert_eq!(total(&told), 42);
        meter.round(&request).unwrap();
        assert_eq!(total(&told), 52, "the next round comes on top");
    }

    #[test]
    fn each_round_costs_what_the_model_does_that_answered() {
        let (mut meter, told, request) = meter();
        meter.round(&request).unwrap();
        assert_eq!(cost(&told), "0.00001", "the default model, before it is named");
        let start = |model: &str| ChatEvent::Start { id: None, model: Some(model.into()) };
        meter.event(&start("large")).unwrap();
        assert_eq!(cost(&told), "0.00002");
        meter.event(&ChatEvent::Usage(Usage::new(10, 1))).unwrap();
        meter.event(&ChatEvent::Finish(FinishReason::Stop.into())).unwrap();
        assert_eq!(cost(&told), "0.00003");
        meter.round(&request).unwrap();
        meter.event(&start("small")).unwrap();
        assert_eq!(cost(&told), "0.00004");
        meter.event(&start("unheard-of")).unwrap();
        assert_eq!(cost(&told), "0.00004", "the request's own model, where nobody knows the name");
        assert_eq!(told.lock().unwrap().unpriced, Usage::default());
    }

    #[test]
    fn a_round_that_is_refused_costs_nothing() {
        for (kind, used) in [
            (ErrorKind::Overloaded, 42),
            (ErrorKind::Transport, 42),
            (ErrorKind::Timeout, 52),
            (ErrorKind::Truncated, 52),
        ] {
            let (mut meter, told, request) = meter();
            meter.round(&request).unwrap();
            meter.event(&ChatEvent::Usage(Usage::new(40, 2))).unwrap();
            meter.event(&ChatEvent::Finish(FinishReason::Stop.into())).unwrap();
            meter.round(&request).unwrap();
            meter.failed(&Error::new(kind, "x"));
            assert_eq!(total(&told), used, "{kind:?}");
        }
        let (mut meter, told, request) = meter();
        meter.round(&request).unwrap();
        meter.event(&ChatEvent::Text("word".into())).unwrap();
        meter.failed(&Error::new(ErrorKind::Overloaded, "x"));
        assert_eq!(total(&told), 11, "it had begun to answer");
    }

    #[test]
    fn a_whole_answer_costs_what_its_pieces_do() {
        let content = [Part::text("a b c"), Part::ToolCall(ToolCall::new("1", "f", "{}"))];
        let mut response =
            ChatResponse::new(Message::new(Role::Assistant, content), FinishReason::Stop);
        let (mut meter, told, request) = meter();
        meter.round(&request).unwrap();
        meter.response(&response).unwrap();
        let whole = total(&told);
        let (mut pieces, told_in_pieces, _) = self::meter();
        pieces.round(&request).unwrap();
        for piece in ["a b", " c"] {
            pieces.event(&ChatEvent::Text(piece.into())).unwrap();
        }
        let (index, id, name) = (0, "1".into(), "f".into());
        pieces.event(&ChatEvent::ToolCallStart { index, id, name, signature: None }).unwrap();
        pieces.event(&ChatEvent::ToolCallDelta { index, arguments: "{}".into() }).unwrap();
        assert_eq!(whole, total(&told_in_pieces));
        assert!(whole >= 14);
        response.usage = Some(Usage::new(u64::MAX, 1));
        meter.response(&response).unwrap_err();
        assert_eq!(meter.round(&request).unwrap_err().kind(), ErrorKind::BudgetExceeded);
        assert_eq!(total(&told), u64::MAX);
    }

    #[test]
    fn a_round_that_a_budget_does_not_allow_is_not_sent_and_costs_nothing() {
        let (mut meter, told, request) = meter();
        meter.round(&request).unwrap();
        meter.event(&ChatEvent::Usage(Usage::new(900, 90))).unwrap();
        meter.event(&ChatEvent::Finish(FinishReason::Stop.into())).unwrap();
        assert_eq!(meter.round(&request).unwrap_err().kind(), ErrorKind::BudgetExceeded);
        assert_eq!(total(&told), 990);
    }
}
