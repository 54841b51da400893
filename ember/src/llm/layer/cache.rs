use crate::base::Clock;
use crate::llm::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::llm::error::Error;
use crate::llm::fingerprint::fingerprint;
use crate::llm::kept_answer::KeptAnswer;
use crate::llm::provider::Provider;
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use crate::store::{
    BoundedMap, BoxStore, Claims, Flight, Joined, LenientStore, SingleFlight, Waiting,
};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;

/// Answers a request that was answered before as it was answered then.
///
/// Two requests are the same if all of each is: model, messages, tools, and every setting. An answer
/// that arrived whole can be replayed as a stream and the other way round. Its usage is zero then, as no
/// model was asked; [`ChatResponse::cached`] says what it had. Only complete answers are kept. A bound that
/// a [`Budget`](crate::llm::Budget) has put on the answer makes no other request of it.
///
/// Of equal requests at the same time, one is asked and the others wait for its outcome, be it an
/// answer or an error; an answer that is too large to be kept, or failed or was cut where a budget had bounded it, is
/// waited for by nobody any more, and each of the others is asked at once. If the one that is asked is abandoned, or keeps the others waiting for longer than
/// [`CacheConfig::patience`], as a stream does that nobody reads, another one is asked.
///
/// With a [store](CacheConfig::store), answers are shared by all processes that have it, and of equal requests in
/// all of them one is asked. A store that is away is gone without: nobody waits for it longer than a second, and no
/// request fails. What is shared is told apart by the name of the provider and the whole request, and not by keys of
/// an interface: who shares a store and a prefix, shares answers.
///
/// A cache goes around [`Cost`](super::Cost): what it replays was billed before, and budgets are not told of it again.
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

/// How much is kept, for how long, and where.
///
/// ```
/// use ember::base::clock::secs;
/// use ember::llm::layer::CacheConfig;
/// use ember::llm::{Client, FakeProvider};
/// use ember::store::MemoryStore;
///
/// # fn main() -> Result<(), ember::llm::Error> {
/// // With `BoxStore::from_url("redis://…")?` in its place, all processes share what is kept.
/// let config = CacheConfig::new().ttl(secs(600)).store(MemoryStore::new());
/// let client = Client::builder().provider(FakeProvider::new()).cache(config).build()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How many answers are kept; the oldest make room. 1,000.
    pub max_entries: usize,
    /// How large an answer may be to be kept, in bytes of its JSON. 256 KiB.
    pub max_answer: usize,
    /// How long an answer is kept. 5 minutes.
    pub ttl: Duration,
    /// How long a request waits for an equal one, before one of those that wait is asked in its place. 30 s. In all
    /// no request waits for others longer than twice that.
    pub patience: Duration,
    /// Where answers are kept for all processes, beside those of its own that each keeps itself; nowhere.
    pub store: Option<BoxStore>,
    /// What keys in the store begin with: `answers:`.
    pub key_prefix: String,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_entries: 1_000,
            max_answer: 256 << 10,
            ttl: Duration::from_secs(300),
            patience: Duration::from_secs(30),
            store: None,
            key_prefix: "answers:".to_owned(),
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

    /// Sets how large an answer may be to be kept, in bytes of its JSON.
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

    /// Keeps answers in a store as well, for all processes that share it.
    #[must_use]
    pub fn store(mut self, store: impl Into<BoxStore>) -> Self {
        self.store = Some(store.into());
        self
    }

    /// Sets what keys in the store begin with.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
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
        let shelf = Arc::new(Shelf::new(self.shelf.config.clone(), clock));
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
        match self.shelf.look(self.inner.name(), request).await? {
            Found::Answer(answer) => Ok(answer.replayed(1.0)),
            Found::Nothing(turn) => {
                let outcome = self.inner.chat(request).await;
                match &outcome {
                    Ok(answer) => turn.answered(answer),
                    Err(error) => turn.failed(error),
                }
                outcome
            }
            Found::Alone => self.inner.chat(request).await,
        }
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        match self.shelf.look(self.inner.name(), request).await? {
            Found::Answer(answer) => Ok(answer.replayed(1.0).into_stream()),
            Found::Nothing(turn) => match self.inner.stream(request).await {
                Ok(stream) => {
                    let taken = Some((turn, Accumulator::new(), 0));
                    Ok(ChatStream::new(Taken { stream, taken }))
                }
                Err(error) => {
                    turn.failed(&error);
                    Err(error)
                }
            },
            Found::Alone => self.inner.stream(request).await,
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

/// The answers that are kept, and the questions that are asked.
struct Shelf {
    config: CacheConfig,
    clock: Clock,
    answers: Mutex<BoundedMap<Arc<ChatResponse>>>,
    shared: Option<Shared>,
    asked: SingleFlight<Outcome>,
}

/// The answers that all processes share.
struct Shared {
    store: LenientStore,
    prefix: String,
    claims: Claims,
}

/// How a question has ended.
type Outcome = Result<Arc<ChatResponse>, Arc<Error>>;

enum Found {
    Answer(Arc<ChatResponse>),
    Nothing(Turn),
    /// It is to be asked for, and what comes of it is no concern of others.
    Alone,
}

impl Shelf {
    fn new(config: CacheConfig, clock: Clock) -> Self {
        let answers = Mutex::new(BoundedMap::new(config.max_entries));
        let shared = config.store.clone().map(|store| {
            let (store, prefix) = (LenientStore::new(store), config.key_prefix.clone());
            let claims = Claims::lenient(store.clone(), format!("claim:{prefix}"));
            Shared { store, prefix, claims }
        });
        Self { config, clock, answers, shared, asked: SingleFlight::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BoundedMap<Arc<ChatResponse>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the answer, waits for that of an equal request, or says that it is to be asked for.
    async fn look(self: &Arc<Self>, provider: &str, request: &ChatRequest) -> Result<Found, Error> {
        let key = fingerprint(provider, request, &request.messages);
        if let Some(answer) = self.answer(&key).await {
            return Ok(Found::Answer(answer));
        }
        let waiting = Waiting {
            clock: &self.clock,
            patience: self.config.patience,
            claims: self.shared.as_ref().map(|shared| &shared.claims),
        };
        let look = || async { self.answer(&key).await.map(Ok) };
        match self.asked.join(&key, &waiting, look).await {
            Joined::Outcome(Ok(answer)) => Ok(Found::Answer(answer)),
            Joined::Outcome(Err(error)) => Err(error.duplicate()),
            Joined::Alone => Ok(Found::Alone),
            Joined::First(flight) => {
                let is_bounded = request.billing.asked().is_some();
                Ok(Found::Nothing(Turn { shelf: self.clone(), flight, is_bounded }))
            }
        }
    }

    /// The answer of this process, or else one of another.
    async fn answer(&self, key: &str) -> Option<Arc<ChatResponse>> {
        let own = self.lock().get(key, self.clock.now()).cloned();
        if own.is_some() {
            return own;
        }
        // It stays in the store alone, where it is known when it expires.
        self.shared.as_ref()?.answer(key).await
    }
}

impl Shared {
    async fn answer(&self, key: &str) -> Option<Arc<ChatResponse>> {
        let bytes = self.store.get(&self.key(key)).await??;
        match KeptAnswer::read(&bytes) {
            Ok(answer) => Some(Arc::new(answer)),
            Err(error) => {
                tracing::warn!(error, "an answer in a store cannot be read, and is passed over");
                None
            }
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// The turn to ask. Dropped without an outcome, it leaves the turn to another.
struct Turn {
    shelf: Arc<Shelf>,
    flight: Flight<Outcome>,
    /// Whether a budget has bounded the answer.
    is_bounded: bool,
}

impl Turn {
    fn answered(mut self, answer: &ChatResponse) {
        if self.is_bounded
            && (answer.finish.reason == FinishReason::Length || !answer.dropped.is_empty())
        {
            // Others may have more to spend: theirs is longer, or is thought about where there was no room for it.
            return self.flight.alone();
        }
        let answer = Arc::new(answer.clone());
        let shelf = self.shelf;
        let Shelf { config, clock, .. } = &*shelf;
        let complete = matches!(answer.finish.reason, FinishReason::Stop | FinishReason::ToolCalls);
        if !complete || size(&answer) > config.max_answer {
            self.flight.alone_elsewhere();
            return self.flight.land(Ok(answer));
        }
        let (key, now) = (self.flight.key(), clock.now());
        shelf.lock().insert(key, answer.clone(), clock.after(config.ttl), now);
        self.flight.land(Ok(answer.clone()));
        if shelf.shared.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            // Nobody waits for the store, but those in other processes: until it has the answer, the turn is taken.
            runtime.spawn(async move {
                if let (Some(shared), Some(bytes)) = (&shelf.shared, KeptAnswer::write(&answer)) {
                    let key = shared.key(self.flight.key());
                    shared.store.set(&key, bytes, shelf.config.ttl).await;
                }
            });
        }
    }

    /// The answer is too large to be kept, or is none.
    fn gave_up(self) {
        self.flight.alone();
    }

    fn failed(self, error: &Error) {
        if self.is_bounded {
            // It may be the bound that was refused.
            return self.flight.alone();
        }
        self.flight.land(Err(Arc::new(error.duplicate())));
    }
}

/// How much an answer takes, in bytes of its JSON.
fn size(answer: &ChatResponse) -> usize {
    serde_json::to_vec(&answer.message).map_or(usize::MAX, |json| json.len())
}

/// How much of an answer arrives, in bytes. It takes no less as JSON.
fn size_of(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text(piece) | ChatEvent::Reasoning(piece) | ChatEvent::Refusal(piece) => {
            piece.len()
        }
        ChatEvent::ToolCallStart { name, .. } => name.len(),
        ChatEvent::ToolCallDelta { arguments, .. } => arguments.len(),
        ChatEvent::Part(part) => serde_json::to_vec(part).map_or(usize::MAX, |json| json.len()),
        _ => 0,
    }
}

/// A stream whose answer is kept when it is complete.
struct Taken {
    stream: ChatStream,
    /// Until the end, or until the answer is too large; with how large it is.
    taken: Option<(Turn, Accumulator, usize)>,
}

impl Stream for Taken {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(context));
        match &item {
            Some(Ok(event)) => {
                let mut has_room = true;
                if let Some((turn, accumulator, size)) = &mut self.taken {
                    *size = size.saturating_add(size_of(event));
                    has_room = *size <= turn.shelf.config.max_answer;
                    if has_room {
                        accumulator.push(event);
                    }
                }
                if !has_room && let Some((turn, ..)) = self.taken.take() {
                    // Whoever waits for it asks by itself, and all of them at once.
                    turn.gave_up();
                }
                if matches!(event, ChatEvent::Finish(_))
                    && let Some((turn, accumulator, _)) = self.taken.take()
                {
                    match accumulator.finish() {
                        Ok(answer) => turn.answered(&answer),
                        Err(_) => turn.gave_up(),
                    }
                }
            }
            Some(Err(error)) => {
                if let Some((turn, ..)) = self.taken.take() {
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
    use crate::llm::chat::Dropped;
    use crate::llm::error::ErrorKind;
    use crate::llm::fake::{FakeProvider, FakeReply};
    use crate::llm::usage::Usage;
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use serde_json::json;

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
    async fn an_answer_is_replayed_in_both_forms_and_uses_nothing_until_it_expires() {
        for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
            let reply = FakeReply::new()
                .text("a b")
                .tool_call("f", json!({"n": 1}))
                .usage(Usage::new(7, 8));
            let fake = FakeProvider::new().reply(reply.clone()).reply(reply);
            let (cache, hands) = cache(&fake, CacheConfig::new());
            let original = ask(&cache, "x", first).await.unwrap();
            let replayed = ask(&cache, "x", second).await.unwrap();
            assert_eq!((original.usage, original.cached), (Some(Usage::new(7, 8)), None));
            assert_eq!(replayed, original.replayed(1.0));
            assert_eq!((replayed.usage, fake.requests().len()), (Some(Usage::new(0, 0)), 1));
            assert_eq!(replayed.cached.unwrap().saved, original.usage);
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
            assert!(cache.shelf.asked.is_empty());
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
        assert!(cache.shelf.asked.is_empty());
    }

    #[tokio::test]
    async fn of_all_whose_patience_ends_one_is_asked_and_the_others_wait_for_it() {
        for streamed in [false, true] {
            let stalled = FakeReply::new().text("a b").hang_after(1);
            let slow = || FakeReply::new().text("c").delay(secs(5));
            let hands = ManualClock::new();
            let fake = FakeProvider::new()
                .reply(stalled)
                .reply(slow().clock(hands.clock()))
                .respond(|_| FakeReply::error(ErrorKind::Overloaded, "asked too often"));
            let cache = Cache::new(fake.clone(), CacheConfig::new()).clock(hands.clock());
            let mut first = Box::pin(ask(&cache, "x", streamed));
            assert!(first.as_mut().now_or_never().is_none());
            let waiting = (0..20).map(|index| ask(&cache, "x", streamed ^ (index % 3 == 0)));
            let mut waiting = Box::pin(join_all(waiting));
            assert!(waiting.as_mut().now_or_never().is_none());
            hands.advance(secs(30));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert_eq!(fake.requests().len(), 2);
            let answers = loop {
                hands.advance(secs(1));
                if let Some(answers) = waiting.as_mut().now_or_never() {
                    break answers;
                }
            };
            assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "c"));
            assert_eq!(fake.requests().len(), 2);
            drop(first);
            assert!(cache.shelf.asked.is_empty());
        }
    }

    /// A request whose answer a budget has bounded.
    fn bounded(text: &str) -> ChatRequest {
        let mut request = ChatRequest::from(text).max_tokens(5_u64);
        request.billing.bounded(None);
        request
    }

    async fn say(
        cache: &Cache<FakeProvider>,
        request: ChatRequest,
        streamed: bool,
    ) -> Result<ChatResponse, Error> {
        match streamed {
            true => cache.stream(&request).await?.collect().await,
            false => cache.chat(&request).await,
        }
    }

    #[tokio::test]
    async fn those_who_waited_for_what_is_for_nobody_else_are_asked_all_at_once() {
        let first = |index: usize, hands: &ManualClock| {
            let reply = FakeReply::new().delay(secs(1)).clock(hands.clock());
            match index {
                0 => reply.text("m".repeat(2_000)),
                1 => reply.text("cut").finish(FinishReason::Length),
                _ => reply.text("a b").fail_after(1, ErrorKind::Overloaded, "busy"),
            }
        };
        for (index, streamed) in [(0, true), (1, false), (1, true), (2, false), (2, true)] {
            let hands = ManualClock::new();
            let fake = FakeProvider::new().reply(first(index, &hands)).respond({
                let hands = hands.clone();
                move |_| FakeReply::new().text("c").delay(secs(1_000)).clock(hands.clock())
            });
            let config = CacheConfig::new().max_answer(1_000);
            let cache = Cache::new(fake.clone(), config).clock(hands.clock());
            let request = || if index == 0 { "x".into() } else { bounded("x") };
            let asked = (0..10).map(|_| say(&cache, request(), streamed));
            let mut asked = Box::pin(join_all(asked));
            // Fewer seconds than anybody's patience.
            for _ in 0..25 {
                assert!(asked.as_mut().now_or_never().is_none());
                hands.advance(secs(1));
            }
            assert_eq!(fake.requests().len(), 10, "{index} {streamed}");
        }
    }

    #[tokio::test]
    async fn what_a_bounded_request_left_out_is_not_kept_for_others() {
        for streamed in [false, true] {
            let whole = || FakeReply::new().text("thought about");
            let left_out = Dropped::new("reasoning_effort", "there is no room for it");
            let less = whole().event(ChatEvent::Dropped(left_out));
            let fake = FakeProvider::new().reply(less.clone()).reply(whole()).reply(less);
            let (cache, _) = cache(&fake, CacheConfig::new());
            let first = say(&cache, bounded("x"), streamed).await.unwrap();
            assert_eq!(first.dropped.len(), 1);
            let other = say(&cache, "x".into(), streamed).await.unwrap();
            assert!(other.cached.is_none() && other.dropped.is_empty());
            // Without a bound it is the same for all.
            for is_kept in [false, true] {
                let answer = say(&cache, "y".into(), streamed).await.unwrap();
                assert_eq!((answer.cached.is_some(), answer.dropped.len()), (is_kept, 1));
            }
        }
    }

    #[tokio::test]
    async fn what_is_incomplete_or_too_large_or_too_old_is_not_kept() {
        let cut = FakeReply::new().text("a").finish(FinishReason::Length);
        let fake = FakeProvider::new()
            .reply(cut.clone())
            .reply(cut)
            .respond(|_| FakeReply::new().text(" ".repeat(1_000)));
        let (small, _) = cache(&fake, CacheConfig::new().max_answer(999));
        for asked in 1..=6 {
            ask(&small, "x", asked % 2 == 0).await.unwrap();
            assert_eq!(fake.requests().len(), asked);
        }
        let fake = FakeProvider::new().text("a");
        let (two, _) = cache(&fake, CacheConfig::new().max_entries(2));
        for text in ["a", "b", "c", "c", "b", "a"] {
            ask(&two, text, false).await.unwrap();
        }
        assert_eq!(fake.requests().len(), 4, "the oldest made room");
    }
}
