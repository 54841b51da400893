use crate::base::Clock;
use crate::llm::chat::FinishReason;
use crate::llm::error::ErrorKind;
use crate::llm::stream::ChatEvent;
use crate::llm::usage::Usage;
use serde_json::Value;
use std::time::Duration;

/// What the fake provider answers to one request.
///
/// Text is streamed word by word. The reply ends as calls or their absence suggest, with a usage
/// that counts words, unless it is told otherwise.
#[derive(Clone, Debug, Default)]
pub struct FakeReply {
    pub(super) steps: Vec<Step>,
    pub(super) calls: usize,
    pub(super) words: u64,
    pub(super) usage: Option<Usage>,
    pub(super) finish: Option<FinishReason>,
    pub(super) delay: Duration,
    pub(super) clock: Clock,
    pub(super) fault: Option<(usize, Fault)>,
}

#[derive(Clone, Debug)]
pub(super) struct Step(pub(super) ChatEvent);

#[derive(Clone, Debug)]
pub(super) enum Fault {
    Fail(ErrorKind, String, Option<Duration>),
    Cut,
    Hang,
}

impl FakeReply {
    /// A reply that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reply that fails before its first event.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new().fail_after(0, kind, message)
    }

    /// Says a text, word by word.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        text.as_ref().split_inclusive(' ').fold(self, |mut reply, word| {
            reply.words += 1;
            reply.event(ChatEvent::Text(word.to_owned()))
        })
    }

    /// Thinks a text, word by word.
    #[must_use]
    pub fn reasoning(self, text: impl AsRef<str>) -> Self {
        let words = text.as_ref().split_inclusive(' ');
        words.fold(self, |reply, word| reply.event(ChatEvent::Reasoning(word.to_owned())))
    }

    /// Calls a tool. The id is `call_1` for the first call of a conversation, and so on.
    #[must_use]
    pub fn tool_call(mut self, name: impl Into<String>, arguments: Value) -> Self {
        let index = self.calls;
        self.calls += 1;
        // The id is given when the conversation is known.
        let id = String::new();
        self.event(ChatEvent::ToolCallStart { index, id, name: name.into(), signature: None })
            .event(ChatEvent::ToolCallDelta { index, arguments: arguments.to_string() })
    }

    /// Sends an event as it is.
    #[must_use]
    pub fn event(mut self, event: ChatEvent) -> Self {
        self.steps.push(Step(event));
        self
    }

    /// Reports this usage instead of a count of words.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Ends for this reason.
    #[must_use]
    pub fn finish(mut self, reason: FinishReason) -> Self {
        self.finish = Some(reason);
        self
    }

    /// Waits before each event.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Fails after so many events.
    #[must_use]
    pub fn fail_after(
        mut self,
        events: usize,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Self {
        self.fault = Some((events, Fault::Fail(kind, message.into(), None)));
        self
    }

    /// Adds to a failure how long the provider wants to be left alone.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        if let Some((_, Fault::Fail(_, _, hint))) = &mut self.fault {
            *hint = Some(wait);
        }
        self
    }

    /// Breaks off after so many events, as a connection does that is closed.
    #[must_use]
    pub fn cut_after(mut self, events: usize) -> Self {
        self.fault = Some((events, Fault::Cut));
        self
    }

    /// Falls silent for ever after so many events.
    #[must_use]
    pub fn hang_after(mut self, events: usize) -> Self {
        self.fault = Some((events, Fault::Hang));
        self
    }
}
