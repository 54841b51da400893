use super::ledger::{Ledger, UsageTotals};
use super::prices::CostConfig;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatEvent, ChatStream, Watch};
use crate::llm::tally::{Input, Tally};
use std::fmt;
use std::sync::Arc;

/// Counts what a provider bills: tokens and dollars, by model.
///
/// It stands outermost, so it sees what was answered, and not what was tried: providers bill no
/// request that they refuse. What they do bill is counted, even where nobody has read the end of it:
///
/// - an answer counts with the usage that came with it, and with an estimate where none came;
/// - an answer that broke off, or whose stream was dropped, counts as an estimate: the input, and as much
///   output as had arrived, or what the provider had reported, if that is more;
/// - a call that was abandoned while the provider was at work counts as its input, estimated;
/// - a call that failed before anything of an answer came does not count.
///
/// Estimates are marked as such.
#[doc(alias = "CostTrackingProvider")]
pub struct Cost<P> {
    inner: P,
    account: Account,
}

#[derive(Clone)]
struct Account {
    ledger: Ledger,
    config: Arc<CostConfig>,
}

impl<P> Cost<P> {
    /// Counts by a ledger of its own.
    pub fn new(inner: P, config: CostConfig) -> Self {
        Self::sharing(inner, config, Ledger::new())
    }

    /// Counts by a ledger that others may count by as well.
    pub fn sharing(inner: P, config: CostConfig, ledger: Ledger) -> Self {
        Self { inner, account: Account { ledger, config: Arc::new(config) } }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.account.ledger
    }

    /// What has been used so far.
    pub fn usage(&self) -> UsageTotals {
        self.account.ledger.totals()
    }
}

impl<P: Provider> Cost<P> {
    /// A call that is counted: by the same count as the budgets of the request, if it has some.
    fn counting<'a, 'i>(
        &self,
        request: &'a ChatRequest,
        input: impl FnOnce(&'a ChatRequest) -> Input<'i>,
    ) -> Counting<'i> {
        let named = request.model.clone();
        let input = match request.billing.input() {
            Some(tokens) => Input::Tokens(tokens),
            None => input(request),
        };
        Counting {
            account: self.account.clone(),
            provider: self.inner.name().to_owned(),
            tally: Tally::new(named, input),
            counted: false,
        }
    }
}

impl<P: Provider> Provider for Cost<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn models(&self) -> Vec<String> {
        self.inner.models()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let mut counting = self.counting(request, Input::Of);
        let outcome = self.inner.chat(request).await;
        match &outcome {
            Ok(response) => counting.answered(response),
            Err(error) => counting.failed(error),
        }
        outcome
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        // The stream outlives the request, whose messages are shared and not copied.
        let mut counting =
            self.counting(request, |request| Input::OfCopy(Box::new(request.clone())));
        match self.inner.stream(request).await {
            Ok(stream) => Ok(stream.watched(counting)),
            Err(error) => {
                counting.failed(&error);
                Err(error)
            }
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Cost<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cost")
            .field("inner", &self.inner)
            .field("ledger", &self.account.ledger)
            .finish_non_exhaustive()
    }
}

/// A call that is counted once, at the latest when this is dropped.
struct Counting<'a> {
    account: Account,
    provider: String,
    tally: Tally<'a>,
    counted: bool,
}

impl Counting<'_> {
    fn answered(&mut self, response: &ChatResponse) {
        self.tally.response(response);
        self.count();
    }

    fn event(&mut self, event: &ChatEvent) {
        self.tally.event(event);
        if self.tally.is_answered() {
            self.count();
        }
    }

    fn failed(&mut self, error: &Error) {
        self.tally.failed(error);
        // Whether a call was billed that came to its time limit before anything arrived, nobody knows.
        self.counted |= !self.tally.has_begun()
            && matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Cancelled);
        self.count();
    }

    fn count(&mut self) {
        if std::mem::replace(&mut self.counted, true) || self.tally.is_refused() {
            return;
        }
        let Account { ledger, config } = &self.account;
        let (model, named) = (self.tally.model(), self.tally.named());
        ledger.count(config, &self.provider, model, named, self.tally.usage());
    }
}

impl Drop for Counting<'_> {
    /// Whoever asked has gone, and the provider had begun.
    fn drop(&mut self) {
        self.count();
    }
}

impl Watch for Counting<'static> {
    fn look(&mut self, item: &Result<ChatEvent, Error>) {
        match item {
            Ok(event) => self.event(event),
            Err(error) => self.failed(error),
        }
    }
}
