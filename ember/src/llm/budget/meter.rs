use super::reservation::Reservation;
use super::spent::Spent;
use crate::base::tokens::TokenCounter;
use crate::llm::billing::Billing;
use crate::llm::catalog::Price;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::layer::{Asked, CostConfig};
use crate::llm::stream::ChatEvent;
use crate::llm::tally::{Input, Tally};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Tells reservations what a request uses.
pub(in crate::llm) struct Meter {
    reservations: Vec<Box<dyn Reservation>>,
    account: Account,
    /// What the rounds before have used.
    before: Spent,
    /// On the heap, as a call that has no budget would have room for it all the same.
    round: Option<Box<Round>>,
}

/// By whom, and how, a request is counted.
#[derive(Clone)]
pub(in crate::llm) struct Account {
    pub(in crate::llm) provider: Arc<str>,
    pub(in crate::llm) prices: Arc<CostConfig>,
    pub(in crate::llm) counter: Arc<dyn TokenCounter>,
    pub(in crate::llm) billing: Billing,
}

/// The present round.
struct Round {
    tally: Tally<'static>,
    price: Option<Price>,
}

impl Meter {
    pub(in crate::llm) fn new(reservations: Vec<Box<dyn Reservation>>, account: Account) -> Self {
        Self { reservations, account, before: Spent::default(), round: None }
    }

    /// Tells whether anybody wants to know.
    pub(in crate::llm) fn is_on(&self) -> bool {
        !self.reservations.is_empty()
    }

    /// A round is about to be sent: its prompt counts from now on.
    pub(in crate::llm) fn round(&mut self, request: &ChatRequest) -> Result<(), Error> {
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
        self.round = Some(Box::new(Round { tally, price }));
        let told = self.tell();
        if told.is_err() {
            // It is not sent.
            self.round = None;
            let _ = self.tell();
        }
        told
    }

    /// Something of the answer has arrived.
    pub(in crate::llm) fn event(&mut self, event: &ChatEvent) -> Result<(), Error> {
        self.change(|tally| tally.event(event))
    }

    /// The whole answer has arrived.
    pub(in crate::llm) fn response(&mut self, response: &ChatResponse) -> Result<(), Error> {
        self.change(|tally| {
            tally.response(response);
            true
        })
    }

    /// The round has failed, which is worse than anything a budget has to say.
    pub(in crate::llm) fn failed(&mut self, error: &Error) {
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
    use crate::llm::usage::Usage;
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
