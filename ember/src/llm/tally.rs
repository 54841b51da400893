use super::chat::{ChatRequest, ChatResponse};
use super::error::{Error, ErrorKind};
use super::message::{Part, Reasoning, Text};
use super::stream::ChatEvent;
use super::usage::Usage;
use crate::base::tokens::Estimator;

/// What one call of a model has used so far: by what the provider says, or else by estimate.
///
/// It counts from the moment it is sent: its prompt, and what has arrived of its answer. What is
/// billed and what budgets are told both come from here, so that they cannot differ.
#[derive(Debug, Clone)]
pub(super) struct Tally<'a> {
    /// What the request calls the model.
    named: Option<String>,
    /// What the provider calls it.
    model: Option<String>,
    /// What the provider has reported.
    reported: Option<Usage>,
    input: Input<'a>,
    /// The output that has arrived.
    output: Estimator,
    reasoning: Estimator,
    /// Whether a part has arrived of which no tokens are counted, such as an image.
    has_parts: bool,
    state: State,
}

/// What the model has to read.
#[derive(Debug, Clone)]
pub(super) enum Input<'a> {
    /// So many tokens, as they were counted.
    Tokens(u64),
    /// This, which is counted only if the provider does not say.
    Of(&'a ChatRequest),
    /// The same, for an answer that outlives the request.
    OfCopy(Box<ChatRequest>),
}

impl Input<'_> {
    fn tokens(&self) -> u64 {
        match self {
            Self::Tokens(tokens) => *tokens,
            Self::Of(request) => request.estimate_tokens(),
            Self::OfCopy(request) => request.estimate_tokens(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The end of the answer has arrived.
    Answered,
    /// It ended without an answer, or with one that was given before, and costs nothing.
    Refused,
}

impl<'a> Tally<'a> {
    /// A call that is sent, and what it calls the model.
    pub(super) fn new(named: Option<String>, input: Input<'a>) -> Self {
        Self {
            named,
            model: None,
            reported: None,
            input,
            output: Estimator::default(),
            reasoning: Estimator::default(),
            has_parts: false,
            state: State::Open,
        }
    }

    /// What the provider calls the model, as far as it has said.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// What the request calls the model.
    pub(super) fn named(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// Tells whether all that is to be known is known.
    pub(super) fn is_answered(&self) -> bool {
        self.state == State::Answered
    }

    /// Tells whether the call costs nothing.
    pub(super) fn is_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Something of the answer has arrived.
    /// Tells whether the provider has named another model with it.
    pub(super) fn event(&mut self, event: &ChatEvent) -> bool {
        match event {
            ChatEvent::Start { model, .. } if model.is_some() => {
                let changed = self.model != *model;
                self.model.clone_from(model);
                return changed;
            }
            // It was billed when it was given for the first time.
            ChatEvent::Cached(_) => self.state = State::Refused,
            ChatEvent::Text(piece) | ChatEvent::Refusal(piece) => self.output.push(piece),
            ChatEvent::Reasoning(piece) => self.reasoning.push(piece),
            ChatEvent::ToolCallStart { name, .. } => self.output.push(name),
            ChatEvent::ToolCallDelta { arguments, .. } => self.output.push(arguments),
            ChatEvent::Part(part) => self.part(part),
            ChatEvent::Usage(usage) => self.reported.get_or_insert_default().update(usage),
            ChatEvent::Finish(_) if !self.is_refused() => self.state = State::Answered,
            _ => {}
        }
        false
    }

    /// The whole answer has arrived.
    pub(super) fn response(&mut self, response: &ChatResponse) {
        self.model.clone_from(&response.model);
        self.reported = response.usage;
        // What is reported with the end counts, so that nothing need be estimated beside it.
        if self.reported.is_none() {
            let turns = response.steps.iter().chain([&response.message]);
            turns.flat_map(|turn| &turn.content).for_each(|part| self.part(part));
        }
        // What is given again was billed when it was given for the first time.
        let is_replayed = response.cached.is_some();
        self.state = if is_replayed { State::Refused } else { State::Answered };
    }

    /// Estimates a part that has arrived.
    fn part(&mut self, part: &Part) {
        self.has_parts = true;
        match part {
            Part::Text(Text { text, .. }) | Part::Refusal(text) => self.output.push(text),
            Part::Reasoning(Reasoning { text, .. }) => self.reasoning.push(text),
            Part::ToolCall(call) => {
                self.output.push(&call.name);
                self.output.push(&call.arguments);
            }
            _ => {}
        }
    }

    /// Tells whether anything of an answer has arrived.
    pub(super) fn has_begun(&self) -> bool {
        self.output.tokens() + self.reasoning.tokens() > 0
            || self.has_parts
            || self.reported.is_some()
    }

    /// The call has failed. It costs nothing if the provider has refused it: if nothing came of an
    /// answer, and it was not we who stopped waiting for one or could not read it.
    pub(super) fn failed(&mut self, error: &Error) {
        use ErrorKind::{Cancelled, Decode, Timeout, Truncated};
        if !self.has_begun() && !matches!(error.kind(), Cancelled | Decode | Timeout | Truncated) {
            self.state = State::Refused;
        }
    }

    /// What has been used so far.
    ///
    /// Until the end, it is as much output as has arrived or was reported, whichever is more:
    /// providers report as they please.
    pub(super) fn usage(&self) -> Usage {
        match (self.state, self.reported) {
            (State::Refused, _) => Usage::default(),
            (State::Answered, Some(reported)) => reported,
            _ => self.estimate(),
        }
    }

    fn estimate(&self) -> Usage {
        let reported = self.reported.unwrap_or_default();
        let output = self.output.tokens().max(reported.output_tokens.unwrap_or(0));
        let reasoning = self.reasoning.tokens().max(reported.reasoning_tokens.unwrap_or(0));
        let knows_input = reported.total_input() > 0;
        Usage {
            input_tokens: if knows_input {
                reported.input_tokens
            } else {
                Some(self.input.tokens())
            },
            output_tokens: Some(output),
            reasoning_tokens: Some(reasoning).filter(|tokens| *tokens > 0),
            estimated: true,
            ..reported
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chat::FinishReason;
    use super::super::message::{Media, ToolCall, ToolResult};
    use super::*;
    use crate::llm::stream::Accumulator;

    #[test]
    fn an_answer_is_estimated_alike_whole_and_streamed() {
        let call = ToolCall::new("1", "weather_of_a_place", "{\"place\": \"Paris\"}");
        let whole = [
            ChatEvent::Part(Part::text("It will be fine in Paris.")),
            ChatEvent::Part(Part::Reasoning(Reasoning::new("Where is that?"))),
            ChatEvent::Part(Part::Refusal("I will not say more.".into())),
            ChatEvent::Part(Part::ToolCall(call.clone())),
            ChatEvent::ToolResult(ToolResult::new(&call, "What is no output of the model.")),
            ChatEvent::StepEnd,
            ChatEvent::Text("And in Rome as well.".into()),
        ];
        let (mut streamed, mut accumulator) = (tally(), Accumulator::new());
        for event in whole.iter().chain([&ChatEvent::Finish(FinishReason::Stop.into())]) {
            streamed.event(event);
            accumulator.push(event);
        }
        let mut unary = tally();
        unary.response(&accumulator.finish().unwrap());
        assert_eq!(unary.usage(), streamed.usage());
        let usage = unary.usage();
        assert!(usage.output_tokens > Some(20) && usage.reasoning_tokens > Some(2), "{usage:?}");
    }

    #[test]
    fn a_part_that_arrives_whole_is_a_beginning() {
        for part in [Part::text("Paris"), Part::Media(Media::bytes("image/png", &b"abc"[..]))] {
            let mut tally = tally();
            assert!(!tally.has_begun());
            tally.event(&ChatEvent::Part(part));
            assert!(tally.has_begun());
            tally.failed(&Error::new(ErrorKind::Overloaded, "busy"));
            assert!(!tally.is_refused(), "what has arrived is paid for");
        }
    }

    fn tally() -> Tally<'static> {
        Tally::new(None, Input::Tokens(7))
    }
}
