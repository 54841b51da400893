use crate::base::Clock;
use crate::llm::chat::{ChatRequest, ChatResponse, FinishReason, ResponseFormat};
use crate::llm::error::Error;
use crate::llm::provider::Provider;
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use crate::store::BoundedMap;
use futures_core::Stream;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;

/// Answers a request that was answered before as it was answered then.
///
/// Two requests are the same if all of each is: model, messages, tools, and every setting. An answer
/// that arrived whole can be replayed as a stream and the other way round, with the usage it had.
/// Only complete answers are kept.
///
/// Of equal requests at the same time, one is asked and the others wait for its outcome, be it an
/// answer or an error. If the one that is asked is abandoned, or keeps the others waiting for longer than
/// [`CacheConfig::patience`], as a stream does that nobody reads, another one is asked.
///
/// A cache goes around [`Cost`](super::Cost), because what it replays was billed before.
///
/// ```
/// use ember::llm::layer::{Cache, CacheConfig};
/// use ember::llm::{FakeProvider, Provider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let fake = FakeProvider::new().text("Paris");
/// let cache = Cache::new(fake.clone(), CacheConfig::new());
/// cache.chat(&"The capital of France?".into()).await?;
/// assert_eq!(cache.stream(&"The capital of France?".into()).await?.collect().await?.text(), "Paris");
/// assert_eq!(fake.requests().len(), 1);
/// # Ok(()) }
/// ```
pub struct Cache<P> {
    inner: P,
    shelf: Arc<Shelf>,
}

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How many answers are kept; the oldest make room. 1,000.
    pub max_entries: usize,
    /// How large an answer may be to be kept, in bytes of text. 256 KiB.
    pub max_answer: usize,
    /// How long an answer is kept. 5 minutes.
    pub ttl: Duration,
    /// How long a request waits for an equal one. 30 s.
    pub patience: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_entries: 1_000,
            max_answer: 256 << 10,
            ttl: Duration::from_secs(300),
            patience: Duration::from_secs(30),
        }
    }
}

impl CacheConfig {
    /// A thousand answers for five minutes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many answers are kept.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets how large an answer may be to be kept, in bytes of text.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sets how long an answer is kept.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how long a request waits for an equal one.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl<P> Cache<P> {
    /// Keeps the answers of a provider.
    pub fn new(inner: P, config: CacheConfig) -> Self {
        Self { inner, shelf: Arc::new(Shelf::new(config, Clock::system())) }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        let shelf = Arc::new(Shelf::new(self.shelf.config, clock));
        Self { shelf, ..self }
    }
}

impl<P: Provider> Provider for Cache<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn models(&self) -> Vec<String> {
        self.inner.models()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        match self.shelf.look(key(self.inner.name(), request)).await? {
            Found::Answer(answer) => Ok(ChatResponse::clone(&answer)),
            Found::Nothing(turn) => {
                let outcome = self.inner.chat(request).await;
                match &outcome {
                    Ok(answer) => turn.answered(answer),
                    Err(error) => turn.failed(error),
                }
                outcome
            }
        }
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        match self.shelf.look(key(self.inner.name(), request)).await? {
            Found::Answer(answer) => Ok(ChatResponse::clone(&answer).into_stream()),
            Found::Nothing(turn) => match self.inner.stream(request).await {
                Ok(stream) => {
                    let taken = Some((turn, Accumulator::new()));
                    Ok(ChatStream::new(Taken { stream, taken }))
                }
                Err(error) => {
                    turn.failed(&error);
                    Err(error)
                }
            },
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Cache<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("inner", &self.inner)
            .field("config", &self.shelf.config)
            .finish_non_exhaustive()
    }
}

/// The whole of a request, as a digest that nobody can aim at.
fn key(provider: &str, request: &ChatRequest) -> String {
    // Every field is named, so that none that is added later is forgotten.
    let ChatRequest {
        model,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        temperature,
        top_p,
        max_tokens,
        max_turns: _,
        stop,
        seed,
        reasoning_effort,
        response_format,
        extra,
    } = request;
    let format = match response_format {
        ResponseFormat::Schema { name, schema } => {
            json!({"name": name, "schema": schema.as_value()})
        }
        ResponseFormat::LooseSchema { name, schema } => {
            json!({"name": name, "schema": schema.as_value(), "loose": true})
        }
        format => json!(format!("{format:?}")),
    };
    let tools: Vec<_> = tools
        .iter()
        .map(|tool| json!([tool.name(), tool.description(), tool.parameters().as_value()]))
        .collect();
    let whole = json!([
        provider,
        model,
        messages,
        tools,
        format!("{tool_choice:?}"),
        parallel_tool_calls,
        // As bits: two numbers that are printed alike are still two.
        temperature.map(f64::to_bits),
        top_p.map(f64::to_bits),
        max_tokens,
        stop,
        seed,
        reasoning_effort,
        format,
        extra,
    ]);
    format!("{:x}", Sha256::digest(whole.to_string()))
}

/// The answers that are kept, and the questions that are asked.
struct Shelf {
    config: CacheConfig,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    answers: BoundedMap<Arc<ChatResponse>>,
    /// Who is asked at the moment, and where the outcome will be told.
    asked: HashMap<String, (u64, watch::Receiver<Outcome>)>,
    next: u64,
}

/// Nothing yet, or how it has ended.
type Outcome = Option<Result<Arc<ChatResponse>, Arc<Error>>>;

enum Found {
    Answer(Arc<ChatResponse>),
    Nothing(Turn),
}

impl Shelf {
    fn new(config: CacheConfig, clock: Clock) -> Self {
        let answers = BoundedMap::new(config.max_entries);
        Self { config, clock, state: Mutex::new(State { answers, asked: HashMap::new(), next: 0 }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the answer, waits for that of an equal request, or says that it is to be asked for.
    async fn look(self: &Arc<Self>, key: String) -> Result<Found, Error> {
        let waited_until = self.clock.now() + self.config.patience;
        loop {
            let mut outcome = match self.find(&key, self.clock.now() >= waited_until) {
                Ok(found) => return Ok(found),
                Err(outcome) => outcome,
            };
            let left = waited_until.saturating_duration_since(self.clock.now());
            let told = outcome.wait_for(Option::is_some);
            let told = tokio::select! {
                told = told => told,
                () = self.clock.sleep(left) => continue,
            };
            // An error here is a request that was abandoned.
            match told.ok().and_then(|outcome| outcome.clone()) {
                Some(Ok(answer)) => return Ok(Found::Answer(answer)),
                Some(Err(error)) => return Err(error.duplicate()),
                None => {}
            }
        }
    }

    /// The answer, or the turn to ask; or where to wait, as long as there is patience.
    fn find(
        self: &Arc<Self>,
        key: &str,
        impatient: bool,
    ) -> Result<Found, watch::Receiver<Outcome>> {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some(answer) = state.answers.get(key, now) {
            return Ok(Found::Answer(answer.clone()));
        }
        let number = state.next;
        state.next += 1;
        let (tell, outcome) = watch::channel(None);
        match state.asked.entry(key.to_owned()) {
            // One that was abandoned cannot tell any more.
            Entry::Occupied(asked) if !impatient && asked.get().1.has_changed().is_ok() => {
                return Err(asked.get().1.clone());
            }
            Entry::Occupied(mut asked) => *asked.get_mut() = (number, outcome),
            Entry::Vacant(place) => {
                place.insert((number, outcome));
            }
        }
        drop(state);
        Ok(Found::Nothing(Turn { shelf: self.clone(), key: key.to_owned(), number, tell }))
    }
}

/// The turn to ask. Dropped without an outcome, it leaves the turn to another.
struct Turn {
    shelf: Arc<Shelf>,
    key: String,
    number: u64,
    tell: watch::Sender<Outcome>,
}

impl Turn {
    fn answered(&self, answer: &ChatResponse) {
        let answer = Arc::new(answer.clone());
        let Shelf { config, clock, .. } = &*self.shelf;
        let complete = matches!(answer.finish.reason, FinishReason::Stop | FinishReason::ToolCalls);
        if complete && size(&answer) <= config.max_answer {
            let now = clock.now();
            self.shelf.lock().answers.insert(&self.key, answer.clone(), now + config.ttl, now);
        }
        self.tell.send_replace(Some(Ok(answer)));
    }

    fn failed(&self, error: &Error) {
        self.tell.send_replace(Some(Err(Arc::new(error.duplicate()))));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.shelf.lock();
        if state.asked.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            state.asked.remove(&self.key);
        }
    }
}

/// How much an answer takes, about, in bytes.
fn size(answer: &ChatResponse) -> usize {
    let tokens = answer.message.estimate_tokens();
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4)
}

/// A stream whose answer is kept when it is complete.
struct Taken {
    stream: ChatStream,
    /// Until the end.
    taken: Option<(Turn, Accumulator)>,
}

impl Stream for Taken {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(context));
        match &item {
            Some(Ok(event)) => {
                if let Some((_, accumulator)) = &mut self.taken {
                    accumulator.push(event);
                }
                if matches!(event, ChatEvent::Finish(_))
                    && let Some((turn, accumulator)) = self.taken.take()
                    && let Ok(answer) = accumulator.finish()
                {
                    turn.answered(&answer);
                }
            }
            Some(Err(error)) => {
                if let Some((turn, _)) = self.taken.take() {
                    turn.failed(error);
                }
            }
            None => {}
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};
    use crate::llm::error::ErrorKind;
    use crate::llm::fake::{FakeProvider, FakeReply};
    use crate::llm::message::Message;
    use crate::llm::tool::{ParameterSchema, Tool};
    use crate::llm::usage::Usage;
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    fn cache(fake: &FakeProvider, config: CacheConfig) -> (Cache<FakeProvider>, ManualClock) {
        let hands = ManualClock::new();
        (Cache::new(fake.clone(), config).clock(hands.clock()), hands)
    }

    async fn ask(
        cache: &Cache<FakeProvider>,
        text: &str,
        streamed: bool,
    ) -> Result<ChatResponse, Error> {
        match streamed {
            true => cache.stream(&text.into()).await?.collect().await,
            false => cache.chat(&text.into()).await,
        }
    }

    #[tokio::test]
    async fn an_answer_is_replayed_in_both_forms_with_its_usage_until_it_expires() {
        for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
            let reply = FakeReply::new()
                .text("a b")
                .tool_call("f", json!({"n": 1}))
                .usage(Usage::new(7, 8));
            let fake = FakeProvider::new().reply(reply.clone()).reply(reply);
            let (cache, hands) = cache(&fake, CacheConfig::new());
            let original = ask(&cache, "x", first).await.unwrap();
            let replayed = ask(&cache, "x", second).await.unwrap();
            assert_eq!(original, replayed);
            assert_eq!((replayed.usage, fake.requests().len()), (Some(Usage::new(7, 8)), 1));
            hands.advance(secs(300));
            ask(&cache, "x", second).await.unwrap();
            assert_eq!(fake.requests().len(), 2);
        }
    }

    #[tokio::test]
    async fn equal_requests_at_the_same_time_are_one_call() {
        for streamed in [false, true] {
            let hands = ManualClock::new();
            let reply = FakeReply::new().text("a b").delay(secs(1)).clock(hands.clock());
            let failure = FakeReply::new().text("a b").delay(secs(1)).clock(hands.clock());
            let failure = failure.fail_after(1, ErrorKind::Overloaded, "busy");
            let fake = FakeProvider::new().reply(reply).reply(failure);
            let cache = Cache::new(fake.clone(), CacheConfig::new()).clock(hands.clock());
            let all = |text: &'static str| {
                let calls = (0..10).map(|index| ask(&cache, text, streamed ^ (index % 3 == 2)));
                let (calls, hands) = (join_all(calls), &hands);
                async move {
                    tokio::pin!(calls);
                    loop {
                        tokio::select! {
                            biased;
                            outcomes = &mut calls => break outcomes,
                            () = tokio::task::yield_now() => hands.advance(millis(500)),
                        }
                    }
                }
            };
            let answers = all("x").await;
            assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "a b"));
            assert_eq!(fake.requests().len(), 1);
            let errors = all("y").await;
            assert!(
                errors
                    .iter()
                    .all(|error| error.as_ref().unwrap_err().kind() == ErrorKind::Overloaded)
            );
            assert_eq!(fake.requests().len(), 2, "a failure is shared, too");
            assert!(cache.shelf.lock().asked.is_empty());
        }
    }

    #[tokio::test]
    async fn an_abandoned_request_leaves_the_turn_to_another() {
        for streamed in [false, true] {
            let fake =
                FakeProvider::new().reply(FakeReply::new().text("a b").hang_after(1)).text("c");
            let (cache, _) = cache(&fake, CacheConfig::new());
            let mut first = Box::pin(ask(&cache, "x", streamed));
            assert!(first.as_mut().now_or_never().is_none());
            let mut second = Box::pin(ask(&cache, "x", !streamed));
            assert!(second.as_mut().now_or_never().is_none());
            assert_eq!(fake.requests().len(), 1);
            drop(first);
            assert_eq!(second.await.unwrap().text(), "c");
            assert_eq!(fake.requests().len(), 2);
        }
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_patience_for_a_stream_that_nobody_reads() {
        let fake = FakeProvider::new().text("a b");
        let (cache, hands) = cache(&fake, CacheConfig::new());
        let unread = cache.stream(&"x".into()).await.unwrap();
        let mut second = Box::pin(ask(&cache, "x", false));
        assert!(second.as_mut().now_or_never().is_none());
        hands.advance(secs(30));
        assert_eq!(second.await.unwrap().text(), "a b");
        assert_eq!(fake.requests().len(), 2);
        assert_eq!(unread.collect().await.unwrap().text(), "a b");
        assert!(cache.shelf.lock().asked.is_empty());
    }

    #[tokio::test]
    async fn what_is_incomplete_or_too_large_or_too_old_is_not_kept() {
        let cut = FakeReply::new().text("a").finish(FinishReason::Length);
        let fake = FakeProvider::new()
            .reply(cut.clone())
            .reply(cut)
            .respond(|_| FakeReply::new().text("x".repeat(100)));
        let (small, _) = cache(&fake, CacheConfig::new().max_answer(100));
        for asked in 1..=3 {
            ask(&small, "x", asked == 2).await.unwrap();
            assert_eq!(fake.requests().len(), asked);
        }
        let fake = FakeProvider::new().text("a");
        let (two, _) = cache(&fake, CacheConfig::new().max_entries(2));
        for text in ["a", "b", "c", "c", "b", "a"] {
            ask(&two, text, false).await.unwrap();
        }
        assert_eq!(fake.requests().len(), 4, "the oldest made room");
    }

    #[test]
    fn every_part_of_a_request_makes_another_key() {
        let tool = |about: &str| Tool::declared("f", about, ParameterSchema::object([])).unwrap();
        let schema = |name: &str| ResponseFormat::Schema {
            name: name.into(),
            schema: ParameterSchema::object([]),
        };
        let plain = || ChatRequest::from("x");
        let requests = [
            plain(),
            ChatRequest::from("y"),
            ChatRequest::new([Message::assistant("x")]),
            plain().system("x"),
            plain().model("m"),
            plain().tool(tool("a")),
            plain().tool(tool("b")),
            plain().tool_choice(crate::llm::chat::ToolChoice::Required),
            plain().tool_choice(crate::llm::chat::ToolChoice::Tool("f".into())),
            plain().parallel_tool_calls(true),
            plain().temperature(0.1),
            plain().temperature(0.2),
            plain().top_p(0.1),
            plain().max_tokens(1),
            plain().seed(1),
            plain().reasoning_effort("low"),
            plain().response_format(ResponseFormat::Json),
            plain().response_format(schema("a")),
            plain().response_format(schema("b")),
            plain().response_format(ResponseFormat::LooseSchema {
                name: "b".into(),
                schema: ParameterSchema::object([]),
            }),
            ChatRequest { stop: vec!["x".into()], ..plain() },
            ChatRequest { extra: [("a".to_owned(), json!(1))].into_iter().collect(), ..plain() },
        ];
        let keys: std::collections::HashSet<_> =
            requests.iter().map(|request| key("p", request)).collect();
        assert_eq!(keys.len(), requests.len());
        assert_ne!(key("p", &plain()), key("q", &plain()));
        assert_eq!(key("p", &plain()), key("p", &plain()));
    }
}
