use super::config::CacheConfig;
use super::shelf::{Found, Shelf};
use crate::base::Clock;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatStream, Keeper as _, Taken};
use std::fmt;
use std::sync::Arc;

/// Answers a request that was answered before as it was answered then.
///
/// Two requests are the same if all of each is: model, messages, tools, and every setting. An answer
/// that arrived whole can be replayed as a stream and the other way round. Its usage is zero then, as no
/// model was asked; [`ChatResponse::cached`] says what it had. Only complete answers are kept. A bound that
/// a [`Budget`](crate::llm::Budget) has put on the answer makes no other request of it.
///
/// Of equal requests at the same time, one is asked and the others wait for its outcome, be it an
/// answer or an error. An answer that turns out to be too large to be kept is waited for no longer: each of the
/// others is asked at once. So it is with one that a budget had bounded, if it failed or was cut. If the request
/// that is asked is abandoned, or keeps the others waiting for longer than [`CacheConfig::patience`], as a stream
/// does that nobody reads, another one is asked.
///
/// With a [store](CacheConfig::store), answers are shared by all processes that have it, and of equal requests in
/// all of them one is asked. A store that is away is gone without: nobody waits for it longer than a second, and no
/// request fails. What is shared is told apart by the name of the provider, its [default model](CacheConfig::default_model) and
/// the whole request, and not by the address or a key of an interface: who shares a store and a prefix, shares answers.
///
/// A cache goes around [`Cost`](crate::llm::layer::Cost): what it replays was billed before, and budgets are not told of it again.
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
                Ok(stream) => Ok(stream.watched(Taken::new(turn))),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};
    use crate::llm::chat::{Dropped, FinishReason};
    use crate::llm::error::ErrorKind;
    use crate::llm::fake::{FakeProvider, FakeReply};
    use crate::llm::stream::ChatEvent;
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
