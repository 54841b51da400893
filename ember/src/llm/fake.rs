use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::error::{Error, ErrorKind};
use super::message::{Message, Role};
use super::provider::{Provider, ProviderConfig, ProviderDescriptor};
use super::stream::{Accumulator, ChatEvent, ChatStream};
use super::usage::Usage;
use crate::base::{Clock, Location};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A provider that needs no network and no key: it answers by a script, and remembers what it was asked.
///
/// Clones share script and memory, so a test keeps one and gives the other to the client.
///
/// ```
/// use ember::llm::{Client, FakeProvider, FakeReply};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let fake = FakeProvider::new()
///     .reply(FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})))
///     .text("The sum is 3.");
/// let client = Client::new(fake.clone());
/// client.complete("1 + 2?").await?;
/// assert_eq!(client.ask("And?").await?, "The sum is 3.");
/// assert_eq!(fake.requests()[0].messages[0].text(), "1 + 2?");
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct FakeProvider(Arc<State>);

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<FakeReply>>,
    otherwise: Mutex<Option<Respond>>,
    requests: Mutex<VecDeque<ChatRequest>>,
}

type Respond = Arc<dyn Fn(&ChatRequest) -> FakeReply + Send + Sync>;

/// How many requests are remembered.
const MEMORY: usize = 10_000;

impl FakeProvider {
    /// A provider that says it is a fake and repeats the question.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reply to the script. Replies are used in order, each once.
    #[must_use]
    pub fn reply(self, reply: FakeReply) -> Self {
        locked(&self.0.script).push_back(reply);
        self
    }

    /// Answers with this text whenever the script is at its end.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.respond(move |_| FakeReply::new().text(text.clone()))
    }

    /// Answers with what a function makes of the request whenever the script is at its end.
    #[must_use]
    pub fn respond(
        self,
        respond: impl Fn(&ChatRequest) -> FakeReply + Send + Sync + 'static,
    ) -> Self {
        *locked(&self.0.otherwise) = Some(Arc::new(respond));
        self
    }

    /// What was asked so far, the oldest first; the last 10,000 requests are kept.
    pub fn requests(&self) -> Vec<ChatRequest> {
        locked(&self.0.requests).iter().cloned().collect()
    }

    /// Takes the next reply, and remembers the request.
    fn next(&self, request: &ChatRequest) -> FakeReply {
        {
            let mut requests = locked(&self.0.requests);
            requests.push_back(request.clone());
            if requests.len() > MEMORY {
                requests.pop_front();
            }
        }
        if let Some(reply) = locked(&self.0.script).pop_front() {
            return reply;
        }
        let respond = locked(&self.0.otherwise).clone();
        match respond {
            Some(respond) => respond(request),
            None => {
                let question = last_question(request);
                FakeReply::new()
                    .text(format!("This is the fake provider; no model was asked: \"{question}\""))
            }
        }
    }
}

impl Provider for FakeProvider {
    fn name(&self) -> &str {
        "fake"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let mut accumulator = Accumulator::new();
        let mut player = Player::new(self.next(request), request);
        while let Some(event) = player.next().await {
            accumulator.push(&event?);
        }
        accumulator.finish().map_err(|error| error.with_provider("fake"))
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        let mut player = Player::new(self.next(request), request);
        if player.fails_at_once() {
            player.next().await.transpose()?;
        }
        let events = futures_util::stream::unfold(player, |mut player| async {
            player.next().await.map(|event| (event, player))
        });
        Ok(ChatStream::new(events))
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider")
            .field("replies", &locked(&self.0.script).len())
            .field("requests", &locked(&self.0.requests).len())
            .finish_non_exhaustive()
    }
}

impl From<ProviderConfig> for FakeProvider {
    fn from(_: ProviderConfig) -> Self {
        Self::new()
    }
}

inventory::submit! {
    ProviderDescriptor::new::<FakeProvider>(
        "fake",
        Location { module: module_path!(), file: file!(), line: line!() },
    )
    .default_model("fake")
}

/// What the fake provider answers to one request.
///
/// Text is streamed word by word. The reply ends as calls or their absence suggest, with a usage
/// that counts words, unless it is told otherwise.
#[derive(Clone, Debug, Default)]
pub struct FakeReply {
    steps: Vec<Step>,
    calls: usize,
    words: u64,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    delay: Duration,
    clock: Clock,
    fault: Option<(usize, Fault)>,
}

#[derive(Clone, Debug)]
struct Step(ChatEvent);

#[derive(Clone, Debug)]
enum Fault {
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

/// A reply being played.
struct Player {
    steps: VecDeque<Step>,
    played: usize,
    delay: Duration,
    clock: Clock,
    fault: Option<(usize, Fault)>,
}

impl Player {
    fn new(reply: FakeReply, request: &ChatRequest) -> Self {
        let model = request.model.clone().unwrap_or_else(|| "fake".to_owned());
        let start = ChatEvent::Start { id: Some("fake-1".to_owned()), model: Some(model) };
        let input = last_question(request).split_whitespace().count();
        let usage = reply.usage.unwrap_or_else(|| Usage::new(input as u64, reply.words));
        let natural = if reply.calls > 0 { FinishReason::ToolCalls } else { FinishReason::Stop };
        let finish = reply.finish.unwrap_or(natural);
        // The start is no event that a fault counts.
        let mut known = request.messages.iter().flat_map(Message::tool_calls).count();
        let numbered = reply.steps.into_iter().map(|Step(mut event)| {
            if let ChatEvent::ToolCallStart { id, .. } = &mut event {
                known += 1;
                if id.is_empty() {
                    *id = format!("call_{known}");
                }
            }
            Step(event)
        });
        let steps: VecDeque<_> = std::iter::once(Step(start)).chain(numbered).collect();
        let steps = steps.into_iter();
        let steps =
            steps.chain([Step(ChatEvent::Usage(usage)), Step(ChatEvent::Finish(finish.into()))]);
        let fault =
            reply.fault.map(|(events, fault)| (if events == 0 { 0 } else { events + 1 }, fault));
        Self { steps: steps.collect(), played: 0, delay: reply.delay, clock: reply.clock, fault }
    }

    fn fails_at_once(&self) -> bool {
        matches!(self.fault, Some((0, Fault::Fail(..))))
    }

    async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        if let Some((at, fault)) = &self.fault
            && *at == self.played
        {
            match fault {
                Fault::Cut => return None,
                Fault::Hang => std::future::pending().await,
                Fault::Fail(kind, message, hint) => {
                    let error = Error::new(*kind, message.clone()).with_provider("fake");
                    return Some(Err(match hint {
                        Some(wait) => error.with_retry_after(*wait),
                        None => error,
                    }));
                }
            }
        }
        if !self.delay.is_zero() {
            self.clock.sleep(self.delay).await;
        }
        self.played += 1;
        self.steps.pop_front().map(|Step(event)| Ok(event))
    }
}

/// The last thing that the user said.
fn last_question(request: &ChatRequest) -> String {
    let from_user = |message: &&Message| message.role == Role::User;
    request
        .messages
        .iter()
        .rfind(from_user)
        .map(|message| message.text().into_owned())
        .unwrap_or_default()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use futures_util::StreamExt as _;

    #[tokio::test]
    async fn text_is_streamed_by_words_and_counted() {
        let fake = FakeProvider::new().text("Hello my friend");
        let stream = fake.stream(&"How are you?".into()).await.unwrap();
        let words: Vec<_> = stream.into_text().map(Result::unwrap).collect().await;
        assert_eq!(words, ["Hello ", "my ", "friend"]);
        let response = fake.chat(&"How are you?".into()).await.unwrap();
        assert_eq!(response.usage, Some(Usage::new(3, 3)));
        assert_eq!(response.model.as_deref(), Some("fake"));
    }

    #[tokio::test]
    async fn faults_happen_where_they_were_asked_for() {
        let reply = || FakeReply::new().text("a b c");
        let fake = FakeProvider::new()
            .reply(FakeReply::error(ErrorKind::RateLimit, "slow").retry_after(secs(2)))
            .reply(reply().fail_after(2, ErrorKind::Transport, "reset"))
            .reply(reply().cut_after(1));
        let refused = fake.stream(&"x".into()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.retry_after()), (ErrorKind::RateLimit, Some(secs(2))));
        for (kind, pieces) in [(ErrorKind::Transport, 2), (ErrorKind::Truncated, 1)] {
            let items: Vec<_> = fake.stream(&"x".into()).await.unwrap().into_text().collect().await;
            assert_eq!(items.len(), pieces + 1);
            assert_eq!(items.last().unwrap().as_ref().unwrap_err().kind(), kind);
        }
        assert_eq!(fake.requests().len(), 3);
    }

    #[tokio::test]
    async fn waits_by_its_clock() {
        let hands = ManualClock::new();
        let fake = FakeProvider::new()
            .reply(FakeReply::new().text("a").delay(secs(9)).clock(hands.clock()));
        let answer = tokio::spawn(async move { fake.chat(&"x".into()).await });
        while !answer.is_finished() {
            tokio::task::yield_now().await;
            hands.advance(secs(1));
        }
        assert_eq!(answer.await.unwrap().unwrap().text(), "a");
    }
}
