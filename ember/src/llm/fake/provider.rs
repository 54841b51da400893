use super::player::{Player, last_question};
use super::reply::FakeReply;
use crate::base::Location;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::provider::{Provider, ProviderConfig, ProviderDescriptor};
use crate::llm::stream::{Accumulator, ChatStream};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use crate::llm::error::ErrorKind;
    use crate::llm::usage::Usage;
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
