use super::chat::{ChatRequest, ChatResponse};
use super::error::{Error, ErrorKind};
use super::estimate::tokens_of_bytes;
use super::message::{Part, Reasoning, Text};
use super::stream::ChatEvent;
use super::usage::Usage;

/// What a client may spend: asked before a request is sent, told what it has cost.
///
/// One request is one reservation, however many rounds of tools it takes, and however it ends:
/// answered, failed, or abandoned.
pub trait Budget: Send + Sync + 'static {
    /// Sets aside what a request is expected to use, and may bound it.
    ///
    /// # Errors
    /// When there is not so much left, or the request is larger than any may be.
    fn reserve(&self, request: &mut ChatRequest) -> Result<Box<dyn Reservation>, Error>;
}

/// Tokens that are set aside for a request. Dropping it settles what was used in truth.
pub trait Reservation: Send {
    /// So many tokens were used so far. The last word counts.
    fn used(&mut self, tokens: u64);
}

/// Counts what a request uses, by what the provider says, or else by estimate.
///
/// A round counts from the moment it is sent: its prompt, and what has arrived of its answer. A
/// snapshot of the provider replaces both. A round that was refused costs nothing.
pub(super) struct Meter {
    reservations: Vec<Box<dyn Reservation>>,
    /// What the rounds before have used.
    before: u64,
    prompt: u64,
    answered: u64,
    /// What has arrived since the provider last spoke, in bytes.
    arrived: usize,
    /// Whether the provider has spoken for this round.
    reported: bool,
}

impl Meter {
    pub(super) fn new(reservations: Vec<Box<dyn Reservation>>) -> Self {
        Self { reservations, before: 0, prompt: 0, answered: 0, arrived: 0, reported: false }
    }

    /// Tells whether anybody wants to know.
    pub(super) fn is_on(&self) -> bool {
        !self.reservations.is_empty()
    }

    /// A round is sent.
    pub(super) fn round(&mut self, request: &ChatRequest) {
        if self.is_on() {
            let prompt = request.estimate_tokens();
            *self = Self {
                before: self.total(),
                prompt,
                ..Self::new(std::mem::take(&mut self.reservations))
            };
            self.tell();
        }
    }

    /// Something of the answer has arrived.
    pub(super) fn event(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Text(text) | ChatEvent::Refusal(text) | ChatEvent::Reasoning(text) => {
                self.arrived(text);
            }
            ChatEvent::ToolCallDelta { arguments, .. } => self.arrived(arguments),
            ChatEvent::Usage(usage) => self.usage(usage),
            _ => {}
        }
    }

    /// The whole answer has arrived.
    pub(super) fn response(&mut self, response: &ChatResponse) {
        for part in &response.message.content {
            match part {
                Part::Text(Text { text, .. })
                | Part::Refusal(text)
                | Part::Reasoning(Reasoning { text, .. }) => self.arrived(text),
                Part::ToolCall(call) => self.arrived(&call.arguments),
                _ => {}
            }
        }
        if let Some(usage) = &response.usage {
            self.usage(usage);
        }
    }

    /// The round has failed.
    pub(super) fn failed(&mut self, error: &Error) {
        use ErrorKind::{Cancelled, Decode, Timeout, Truncated};
        let refused = !matches!(error.kind(), Cancelled | Decode | Timeout | Truncated);
        if refused && self.arrived == 0 && !self.reported {
            self.prompt = 0;
            self.tell();
        }
    }

    /// The provider says what this round has used so far.
    fn usage(&mut self, usage: &Usage) {
        (self.prompt, self.answered) = (usage.total_input(), usage.total_output());
        (self.arrived, self.reported) = (0, true);
        self.tell();
    }

    fn arrived(&mut self, text: &str) {
        self.arrived = self.arrived.saturating_add(text.len());
        self.tell();
    }

    fn total(&self) -> u64 {
        let parts = [self.before, self.prompt, self.answered, tokens_of_bytes(self.arrived)];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    fn tell(&mut self) {
        let total = self.total();
        for reservation in &mut self.reservations {
            reservation.used(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::FinishReason;
    use crate::llm::message::{Message, Role, ToolCall};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Noted(Arc<AtomicU64>);

    impl Reservation for Noted {
        fn used(&mut self, tokens: u64) {
            self.0.store(tokens, Ordering::SeqCst);
        }
    }

    /// A meter, what it has told last, and a request of ten tokens.
    fn meter() -> (Meter, impl Fn() -> u64, ChatRequest) {
        let told = Arc::new(AtomicU64::new(0));
        let meter = Meter::new(vec![Box::new(Noted(told.clone()))]);
        let request = ChatRequest::from("x".repeat(24));
        assert_eq!(request.estimate_tokens(), 10);
        (meter, move || told.load(Ordering::SeqCst), request)
    }

    #[test]
    fn an_abandoned_answer_costs_its_prompt_and_what_had_arrived() {
        let (mut meter, told, request) = meter();
        meter.round(&request);
        assert_eq!(told(), 10);
        for word in ["a ", "b ", "c "] {
            meter.event(&ChatEvent::Text(word.into()));
        }
        assert_eq!(told(), 12, "six bytes are two tokens, in however many pieces");
        let arguments = "{\"a\":1}".to_owned();
        meter.event(&ChatEvent::ToolCallDelta { index: 0, arguments });
        assert_eq!(told(), 14);
    }

    #[test]
    fn what_the_provider_says_goes_before_the_estimate() {
        let (mut meter, told, request) = meter();
        meter.round(&request);
        meter.event(&ChatEvent::Text("some words".into()));
        meter.event(&ChatEvent::Usage(Usage::new(40, 2)));
        assert_eq!(told(), 42);
        meter.event(&ChatEvent::Text("more".into()));
        assert_eq!(told(), 43, "until it speaks again");
        meter.event(&ChatEvent::Usage(Usage::new(40, 9)));
        meter.round(&request);
        assert_eq!(told(), 59, "the next round comes on top");
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
            meter.round(&request);
            meter.event(&ChatEvent::Usage(Usage::new(40, 2)));
            meter.round(&request);
            meter.failed(&Error::new(kind, "x"));
            assert_eq!(told(), used, "{kind:?}");
        }
        let (mut meter, told, request) = meter();
        meter.round(&request);
        meter.event(&ChatEvent::Text("word".into()));
        meter.failed(&Error::new(ErrorKind::Overloaded, "x"));
        assert_eq!(told(), 11, "it had begun to answer");
    }

    #[test]
    fn a_whole_answer_costs_what_its_pieces_do() {
        let content = [Part::text("a b c"), Part::ToolCall(ToolCall::new("1", "f", "{}"))];
        let mut response =
            ChatResponse::new(Message::new(Role::Assistant, content), FinishReason::Stop);
        let (mut meter, told, request) = meter();
        meter.round(&request);
        meter.response(&response);
        assert_eq!(told(), 12);
        response.usage = Some(Usage::new(u64::MAX, 1));
        meter.response(&response);
        meter.round(&request);
        assert_eq!(told(), u64::MAX);
    }
}
