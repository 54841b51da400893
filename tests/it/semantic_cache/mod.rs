//! Answers from earlier questions: what is shared, with whom, and what never is; and how well
//! questions are told apart.

mod labelled;
mod application;

use ember::base::clock::{Clock, ManualClock};
use ember::llm::events::{CacheHit, EventBus, RequestStart, StreamStart};
use ember::llm::layer::CostConfig;
use ember::llm::{
    Budget, ChatEvent, ChatRequest, Client, Embedder, Embeddings, Error, ErrorKind, FakeProvider,
    FakeReply, FinishReason, Message, Part, Plan, Price, Reservation, Role, SemanticCache,
    SpendLimit, Spent, Usage,
};
use ember::prelude::{millis, secs, tool};
use ember::testing::{NgramEmbedder, TestClient, TestResponse};
use ember_tests::{ask, counting, in_no_time};
use futures_util::future::join_all;
use serde_json::json;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const RESET: &str = "How do I reset my password?";

const RESET_AGAIN: &str = "how can I reset my password";

fn cache() -> SemanticCache {
    SemanticCache::new(NgramEmbedder::new()).threshold(0.6)
}

#[tokio::test]
async fn a_question_that_means_the_same_is_answered_alike_in_both_forms() {
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let (fake, cache) = (counting(), cache());
        let client = Client::new(fake.clone()).semantic_cache(cache.clone());
        let original = ask(&client, RESET, first).await.unwrap();
        assert_eq!(original.cached, None);
        for (question, least, most) in [(RESET, 1.0, 1.0), (RESET_AGAIN, 0.6, 0.999)] {
            let again = ask(&client, question, second).await.unwrap();
            assert_eq!(again.message, original.message);
            let cached = again.cached.unwrap();
            assert!((least..=most).contains(&cached.similarity), "{cached:?}");
            assert_eq!(
                (again.usage, cached.saved),
                (Some(Usage::new(0, 0)), Some(Usage::new(7, 8)))
            );
        }
        assert_eq!(fake.requests().len(), 1);
        let stats = cache.stats();
        assert_eq!((stats.exact_hits, stats.semantic_hits, stats.misses), (1, 1, 1));
        assert_eq!(client.usage().total_requests(), 1, "what is replayed is not billed");
    }
}

#[tokio::test]
async fn a_kept_answer_is_streamed_in_pieces() {
    let client = Client::new(FakeProvider::new().text("word ".repeat(40))).semantic_cache(cache());
    client.ask(RESET).await.unwrap();
    let mut stream = client.stream(RESET_AGAIN).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    let texts = events.iter().filter(|event| matches!(event, ChatEvent::Text(_))).count();
    assert!(texts > 4, "{events:?}");
    let cached = events.iter().position(|event| matches!(event, ChatEvent::Cached(_)));
    assert_eq!(cached, Some(1), "before the text");
    let pieces = client.stream_text(RESET).await.unwrap();
    let text: String = futures_util::TryStreamExt::try_collect(pieces).await.unwrap();
    assert_eq!(text, "word ".repeat(40));
}

#[tokio::test]
async fn what_differs_is_asked_anew() {
    for streamed in [false, true] {
        let (fake, cache) = (counting(), cache());
        let client = Client::new(fake.clone()).semantic_cache(cache.clone());
        let history = |before: &str| {
            ChatRequest::new([
                Message::user(before),
                Message::assistant("Yes."),
                Message::user(RESET),
            ])
        };
        let image = Part::Media(ember::llm::Media::image_url("https://example.com/a.png"));
        let requests: Vec<ChatRequest> = vec![
            RESET.into(),
            "How do I not reset my password?".into(),
            "How do I reset my 2 passwords?".into(),
            ChatRequest::from(RESET).system("Be brief."),
            ChatRequest::from(RESET).model("large"),
            ChatRequest::from(RESET).temperature(0.1),
            history("Is it hot?"),
            history("Is it cold?"),
            Message::new(Role::User, [Part::text(RESET), image]).into(),
        ];
        for request in &requests {
            assert_eq!(ask(&client, request.clone(), streamed).await.unwrap().cached, None);
        }
        for request in &requests {
            let again = ask(&client, request.clone(), streamed).await.unwrap();
            assert_eq!(again.cached.unwrap().similarity, 1.0, "{request:?}");
        }
        assert_eq!(fake.requests().len(), requests.len());
        assert!(cache.stats().guarded >= 2, "a negation, a number");
    }
}

/// Counts what it is told.
#[tool]
async fn book(seats: u32) -> String {
    format!("{seats} seats are booked")
}

#[tokio::test]
async fn what_is_incomplete_refused_or_done_by_tools_is_not_kept() {
    for streamed in [false, true] {
        let booking = || FakeReply::new().tool_call("book", json!({"seats": 2}));
        let replies: [(Vec<FakeReply>, bool); 6] = [
            (vec![FakeReply::new().text("cut").finish(FinishReason::Length)], false),
            (vec![FakeReply::new().text("x").finish(FinishReason::ContentFilter)], false),
            (vec![FakeReply::new().event(ChatEvent::Refusal("No.".into()))], false),
            (
                vec![FakeReply::new().text("half").fail_after(1, ErrorKind::Overloaded, "busy")],
                false,
            ),
            (vec![booking(), FakeReply::new().text("Booked.")], false),
            (vec![booking(), FakeReply::new().text("Booked.")], true),
        ];
        for (replies, allowed) in replies {
            let rounds = replies.len();
            let fake =
                replies.into_iter().fold(FakeProvider::new().text("fine"), FakeProvider::reply);
            let cache = if allowed { cache().keep_tool_answers() } else { cache() };
            let client = Client::new(fake.clone()).tools([book {}]).semantic_cache(cache.clone());
            let _ = ask(&client, RESET, streamed).await;
            assert_eq!(cache.stats().entries, usize::from(allowed));
            let again = ask(&client, RESET_AGAIN, streamed).await.unwrap();
            assert_eq!(again.cached.is_some(), allowed);
            assert_eq!(again.text(), if allowed { "Booked." } else { "fine" });
            assert_eq!(fake.requests().len(), rounds + usize::from(!allowed));
        }
    }
}

/// Lets one request pass.
struct Once(Arc<AtomicUsize>);

struct Nothing;

impl Reservation for Nothing {
    fn used(&mut self, _spent: &Spent) -> ControlFlow<Error> {
        ControlFlow::Continue(())
    }
}

impl Budget for Once {
    async fn reserve(&self, _plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(Box::new(Nothing)),
            _ => Err(Error::new(ErrorKind::BudgetExceeded, "no more")),
        }
    }
}

#[tokio::test]
async fn a_hit_asks_no_budget_and_is_the_only_thing_told() {
    for streamed in [false, true] {
        let (bus, asked) = (EventBus::new(), Arc::new(AtomicUsize::new(0)));
        let (hits, starts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let count = |counter: &Arc<AtomicUsize>| {
            let counter = counter.clone();
            move || {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (hit, request, stream) = (count(&hits), count(&starts), count(&starts));
        let _ = bus.on(move |event: &CacheHit| {
            assert!(event.response.cached.is_some() && event.request.messages.len() == 1);
            hit();
        });
        let _ = bus.on(move |_: &RequestStart| request());
        let _ = bus.on(move |_: &StreamStart| stream());
        let client = Client::builder().provider(counting()).events(bus).build().unwrap();
        let client = client.budget(Once(asked.clone())).semantic_cache(cache());
        for question in [RESET, RESET_AGAIN, RESET] {
            ask(&client, question, streamed).await.unwrap();
        }
        let counts = [&asked, &hits, &starts].map(|counter| counter.load(Ordering::SeqCst));
        assert_eq!(counts, [1, 2, 1]);
        let refused = ask(&client, "Why is the sky blue?", streamed).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
    }
}

/// Fails, or never answers.
struct Broken {
    hangs: bool,
}

impl Embedder for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, _texts: &[T]) -> Result<Embeddings, Error> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(Error::new(ErrorKind::Overloaded, "busy"))
    }
}

#[tokio::test]
async fn an_embedder_that_fails_or_hangs_costs_no_answer() {
    for (hangs, streamed) in [(false, false), (false, true), (true, false), (true, true)] {
        let hands = ManualClock::new();
        let cache =
            SemanticCache::new(Broken { hangs }).embed_timeout(millis(500)).clock(hands.clock());
        let client = Client::new(counting()).semantic_cache(cache.clone());
        let (answer, took) = in_no_time(&hands, ask(&client, RESET, streamed)).await;
        assert!(answer.unwrap().cached.is_none());
        assert!((took >= millis(500)) == hangs && took < secs(1), "{took:?}");
        assert_eq!(cache.stats().embedding_failures, 1);
        let again = ask(&client, RESET, streamed).await.unwrap();
        assert!(again.cached.is_some(), "an equal question needs no vector");
    }
}

#[tokio::test]
async fn equal_questions_at_the_same_time_are_one_call() {
    for streamed in [false, true] {
        let hands = ManualClock::new();
        let slow = |reply: FakeReply| reply.delay(secs(1)).clock(hands.clock());
        let failure = FakeReply::new().text("a b").fail_after(1, ErrorKind::Overloaded, "busy");
        let fake =
            FakeProvider::new().reply(slow(FakeReply::new().text("once"))).reply(slow(failure));
        let client = Client::new(fake.clone()).semantic_cache(cache().clock(hands.clock()));
        let all = |question: &'static str| {
            join_all((0..8).map(|index| ask(&client, question, streamed ^ (index % 3 == 2))))
        };
        let (answers, _) = in_no_time(&hands, all(RESET)).await;
        let fresh =
            answers.iter().filter(|answer| answer.as_ref().unwrap().cached.is_none()).count();
        assert_eq!((fresh, fake.requests().len()), (1, 1));
        let (failures, _) = in_no_time(&hands, all("Why is the sky blue?")).await;
        assert!(
            failures
                .iter()
                .all(|failure| failure.as_ref().unwrap_err().kind() == ErrorKind::Overloaded)
        );
        assert_eq!(fake.requests().len(), 2);
    }
}

/// Embeds as the other, takes its time, and counts how often.
struct Slow(Arc<AtomicUsize>, Clock);

impl Embedder for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.sleep(millis(500)).await;
        NgramEmbedder::new().embed(texts).await
    }
}

#[tokio::test]
async fn whoever_waits_for_a_near_answer_is_told_how_near_it_is() {
    for streamed in [false, true] {
        let hands = ManualClock::new();
        let cache = SemanticCache::new(Slow(Arc::default(), hands.clock()));
        let cache = cache.threshold(0.6).clock(hands.clock());
        let client = Client::new(counting()).semantic_cache(cache.clone());
        in_no_time(&hands, client.ask(RESET)).await.0.unwrap();
        let all = join_all((0..4).map(|_| ask(&client, RESET_AGAIN, streamed)));
        for answer in in_no_time(&hands, all).await.0 {
            let similarity = answer.unwrap().cached.unwrap().similarity;
            assert!((0.6..0.999).contains(&similarity), "{similarity}");
        }
        let stats = cache.stats();
        assert_eq!((stats.exact_hits, stats.semantic_hits, stats.misses), (0, 4, 1));
    }
}

/// Fails in the middle of an answer, as one does that turns out dearer than what is left.
struct Poor(ErrorKind);

impl Budget for Poor {
    async fn reserve(&self, _plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        Ok(Box::new(Poor(self.0)))
    }
}

impl Reservation for Poor {
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
        match spent.usage.total_output() {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Error::new(self.0, "this caller's own")),
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_caller_is_not_told_to_others() {
    use ErrorKind::{BudgetExceeded, Cancelled, Session, ToolLimit};
    for (kind, streamed) in [BudgetExceeded, Cancelled, Session, ToolLimit]
        .into_iter()
        .flat_map(|kind| [(kind, false), (kind, true)])
    {
        let hands = ManualClock::new();
        let slow = |text: &str| FakeReply::new().text(text).delay(secs(1)).clock(hands.clock());
        let fake = FakeProvider::new().reply(slow("one two")).reply(slow("three four"));
        let rich = Client::new(fake.clone()).semantic_cache(cache().clock(hands.clock()));
        let poor = rich.clone().budget(Poor(kind));
        let both = async {
            let rich = join_all((0..3).map(|_| ask(&rich, RESET, streamed)));
            tokio::join!(ask(&poor, RESET, streamed), rich)
        };
        let ((poor, rich), _) = in_no_time(&hands, both).await;
        assert_eq!(poor.unwrap_err().kind(), kind);
        assert!(rich.iter().all(|answer| answer.as_ref().unwrap().text() == "three four"));
        assert_eq!(fake.requests().len(), 2, "one of the others asks for all of them");
    }
}

#[tokio::test]
async fn nothing_is_embedded_for_whoever_has_no_money_left() {
    for streamed in [false, true] {
        let embedded = Arc::new(AtomicUsize::new(0));
        let cache = SemanticCache::new(Slow(embedded.clone(), Clock::default())).threshold(0.6);
        let limit = SpendLimit::per_day("0.001".parse().unwrap());
        let client = Client::builder()
            .provider(
                FakeProvider::new()
                    .reply(FakeReply::new().text("At settings.").usage(Usage::new(60, 40))),
            )
            .cost(CostConfig::new().price("fake", Price::per_million("10", "10").unwrap()))
            .build()
            .unwrap();
        let client = client.semantic_cache(cache).budget(limit.account("key"));
        ask(&client, RESET, streamed).await.unwrap();
        assert_eq!(limit.spent().to_string(), "0.001");
        assert_eq!(embedded.load(Ordering::SeqCst), 1);
        for question in ["Why is the sky blue?", "Where is Paris?", RESET_AGAIN] {
            let error = ask(&client, question, streamed).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        }
        assert_eq!(embedded.load(Ordering::SeqCst), 1);
        assert!(ask(&client, RESET, streamed).await.unwrap().cached.is_some(), "costs nothing");
    }
}

#[tokio::test]
async fn an_abandoned_stream_keeps_nothing_and_leaves_the_turn_to_another() {
    let (fake, cache) = (counting(), cache());
    let client = Client::new(fake.clone()).semantic_cache(cache.clone());
    let mut stream = client.stream(RESET).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert_eq!(cache.stats().entries, 0);
    assert!(client.complete(RESET).await.unwrap().cached.is_none());
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn answers_expire_and_make_room() {
    let hands = ManualClock::new();
    let cache = cache().ttl(secs(60)).max_entries(2).clock(hands.clock());
    let client = Client::new(counting()).semantic_cache(cache.clone());
    client.ask(RESET).await.unwrap();
    hands.advance(secs(59));
    assert!(client.complete(RESET_AGAIN).await.unwrap().cached.is_some());
    hands.advance(secs(1));
    assert!(client.complete(RESET_AGAIN).await.unwrap().cached.is_none());
    for question in ["Why is the sky blue?", "Who wrote Hamlet?"] {
        client.ask(question).await.unwrap();
    }
    assert_eq!(cache.stats().entries, 2);
    assert!(client.complete(RESET_AGAIN).await.unwrap().cached.is_none(), "it made room");
    cache.clear();
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
}

/// A vector of few dimensions, for many questions.
struct Narrow;

impl Embedder for Narrow {
    fn name(&self) -> &str {
        "narrow"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, Error> {
        let vector = |text: &str| -> Vec<f32> {
            let number: f32 = text.split(' ').next_back().unwrap().parse().unwrap();
            let angle = number / 5_000.0 * std::f32::consts::TAU;
            vec![angle.cos(), angle.sin()]
        };
        Ok(Embeddings::new(texts.iter().map(|text| vector(text.as_ref())).collect()))
    }
}

#[tokio::test]
async fn a_large_space_is_searched_beside_the_worker() {
    // An angle of a 5,000th turn is 1 - 8e-7.
    let cache = SemanticCache::new(Narrow).threshold(0.999_999_5).without_guards();
    let client = Client::new(counting()).semantic_cache(cache.clone());
    for number in 0..4_300 {
        assert!(client.complete(format!("question {number}")).await.unwrap().cached.is_none());
    }
    let near = client.complete("another 4200").await.unwrap();
    assert!(near.text().starts_with("answer 4200 ") && near.cached.is_some(), "{near:?}");
    assert_eq!(cache.stats().semantic_hits, 1);
}
