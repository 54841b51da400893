use super::ledger::{CostConfig, Ledger, UsageTotals};
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::estimate::tokens_of_bytes;
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatEvent, ChatStream};
use crate::llm::usage::Usage;
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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
/// Estimates are marked as such. (Aether counted nothing for an aborted stream; its bill said otherwise.)
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

impl<P: Provider> Provider for Cost<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn models(&self) -> Vec<String> {
        self.inner.models()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let mut tally = Tally::new(&self.account, self.inner.name(), request);
        let outcome = self.inner.chat(request).await;
        match &outcome {
            Ok(response) => tally.answered(response),
            Err(error) => tally.failed(error),
        }
        outcome
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        let mut tally = Tally::new(&self.account, self.inner.name(), request);
        match self.inner.stream(request).await {
            Ok(stream) => Ok(ChatStream::new(Counted { stream, tally })),
            Err(error) => {
                tally.failed(&error);
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

/// What one call has used so far. It is counted once, at the latest when this is dropped.
struct Tally {
    account: Account,
    provider: String,
    /// What the request calls the model.
    named: Option<String>,
    /// What the provider calls it.
    model: Option<String>,
    /// What the provider has reported.
    reported: Option<Usage>,
    /// Our estimate of the input, in tokens.
    input: u64,
    /// How much output has arrived, in bytes.
    output_bytes: usize,
    reasoning_bytes: usize,
    counted: bool,
}

impl Tally {
    fn new(account: &Account, provider: &str, request: &ChatRequest) -> Self {
        Self {
            account: account.clone(),
            provider: provider.to_owned(),
            named: request.model.clone(),
            model: None,
            reported: None,
            input: request.estimate_tokens(),
            output_bytes: 0,
            reasoning_bytes: 0,
            counted: false,
        }
    }

    fn answered(&mut self, response: &ChatResponse) {
        self.model.clone_from(&response.model);
        self.reported = response.usage;
        let usage = response.usage.unwrap_or_else(|| Usage {
            output_tokens: Some(response.message.estimate_tokens()),
            estimated: true,
            ..Usage::new(self.input, 0)
        });
        self.count(usage);
    }

    fn event(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Start { model, .. } if model.is_some() => self.model.clone_from(model),
            ChatEvent::Text(piece) | ChatEvent::Refusal(piece) => self.output_bytes += piece.len(),
            ChatEvent::Reasoning(piece) => self.reasoning_bytes += piece.len(),
            ChatEvent::ToolCallStart { name, .. } => self.output_bytes += name.len(),
            ChatEvent::ToolCallDelta { arguments, .. } => self.output_bytes += arguments.len(),
            ChatEvent::Usage(usage) => self.reported.get_or_insert_default().update(usage),
            ChatEvent::Finish(_) => {
                let usage = self.reported.unwrap_or_else(|| self.estimate());
                self.count(usage);
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: &Error) {
        let begun = self.output_bytes + self.reasoning_bytes > 0 || self.reported.is_some();
        // An answer that came, but cut or in no state to be read, was billed all the same.
        if begun || matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Decode) {
            self.count(self.estimate());
        }
        self.counted = true;
    }

    /// What has been used of an answer whose end was not seen.
    fn estimate(&self) -> Usage {
        let reported = self.reported.unwrap_or_default();
        let output = tokens_of_bytes(self.output_bytes).max(reported.output_tokens.unwrap_or(0));
        let reasoning =
            tokens_of_bytes(self.reasoning_bytes).max(reported.reasoning_tokens.unwrap_or(0));
        let knows_input = reported.total_input() > 0;
        Usage {
            input_tokens: if knows_input { reported.input_tokens } else { Some(self.input) },
            output_tokens: Some(output),
            reasoning_tokens: Some(reasoning).filter(|tokens| *tokens > 0),
            estimated: true,
            ..reported
        }
    }

    fn count(&mut self, usage: Usage) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let Account { ledger, config } = &self.account;
        ledger.count(config, &self.provider, self.model.as_deref(), self.named.as_deref(), usage);
    }
}

impl Drop for Tally {
    /// Whoever asked has gone, and the provider had begun.
    fn drop(&mut self) {
        if !self.counted {
            self.count(self.estimate());
        }
    }
}

/// A stream that is counted.
struct Counted {
    stream: ChatStream,
    tally: Tally,
}

impl Stream for Counted {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(context));
        match &item {
            Some(Ok(event)) => self.tally.event(event),
            Some(Err(error)) => self.tally.failed(error),
            None => {}
        }
        Poll::Ready(item)
    }
}
