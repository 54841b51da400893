//! Limits of tokens and money: on routes, blueprints and applications, by caller, under a crowd.

use ember::base::clock::ManualClock;
use ember::llm::{ChatRequest, Client, ErrorKind, FakeProvider, FakeReply, SpendLimit, Usage, Usd};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::{Ember, GlobalTokenBucket, RateLimit, TokenBucket};
use ember_tests::{Trusting, ask_on_socket, model, moody, number, priced, usd};
use futures_util::future::join_all;
use proptest::prelude::*;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Barrier;

async fn post(app: &TestClient, target: &str, user: &str) -> TestResponse {
    let request = app.post(target).body("Hi");
    match user {
        "" => request.send().await,
        user => request.header("x-user", user).send().await,
    }
}

mod scopes {
    use super::*;

    /// Routes below a blueprint with a limit of its own.
    mod below {
        use super::*;

        ember::blueprint! { prefix = "/below", token_limits = TokenLimits::per_minute(1_000).max_completion_tokens(60) }

        #[ai_route("/one")]
        async fn one(client: Client, message: String) -> ember::Result<String> {
            Ok(client.ask(message).await?)
        }

        #[ai_route("/two", token_limits = TokenLimits::per_minute(700).max_completion_tokens(50))]
        async fn two(
            conversation: ConversationContext,
            message: String,
        ) -> ember::Result<TokenStream> {
            conversation.stream(message).await
        }
    }

    #[ai_route("/outside")]
    async fn outside(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[tokio::test]
    async fn the_limits_of_the_application_of_blueprints_and_of_routes_all_hold() {
        let fake = model(450);
        let app: Ember = ember::app!().client(Client::new(fake.clone()));
        let limits = TokenLimits::per_minute(5_000).max_completion_tokens(70);
        let app = TestClient::new(app.token_limits(limits).build().unwrap());
        let first = post(&app, "/below/two", "").await;
        assert_eq!(first.status(), 200);
        assert_eq!(number(&first, "ratelimit-limit"), 700, "the tightest is told");
        first.text().await;
        let one = post(&app, "/below/one", "").await;
        assert_eq!((number(&one, "ratelimit-limit"), one.status().as_u16()), (1_000, 200));
        assert!((100..=150).contains(&number(&one, "ratelimit-remaining")));
        let outside = post(&app, "/outside", "").await;
        assert_eq!(number(&outside, "ratelimit-limit"), 5_000);
        assert!((3_650..3_900).contains(&number(&outside, "ratelimit-remaining")));
        let asked: Vec<_> = fake.requests().iter().map(|request| request.max_tokens).collect();
        assert_eq!(asked, [Some(50), Some(60), Some(70)]);
        assert_eq!(post(&app, "/below/one", "").await.status(), 200);
        for (target, limit) in [("/below/one", 1_000), ("/below/two", 1_000)] {
            let refused = post(&app, target, "").await;
            assert_eq!(refused.status(), 429, "{target}");
            assert!(number(&refused, "retry-after") >= 1);
            assert_eq!(number(&refused, "ratelimit-limit"), limit, "{target}");
            let problem = refused.text().await;
            assert!(problem.contains("used up") && !problem.contains("bucket"), "{problem}");
        }
        assert_eq!(post(&app, "/outside", "").await.status(), 200);
    }
}

mod callers {
    use super::*;

    #[ai_route("/each", token_limits = TokenLimits::per_day(500).max_completion_tokens(100).per_principal())]
    async fn each(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[tokio::test]
    async fn each_caller_has_the_tokens_of_its_own() {
        let app: Ember = ember::app!().client(Client::new(model(450))).middleware(Trusting);
        let app = TestClient::new(app.build().unwrap());
        for user in ["ada", "bob", ""] {
            let served = post(&app, "/each", user).await;
            assert_eq!(
                (served.status().as_u16(), number(&served, "ratelimit-remaining")),
                (200, 50)
            );
            assert_eq!(post(&app, "/each", user).await.status(), 429, "{user}");
        }
    }

    #[tokio::test]
    async fn each_caller_has_money_of_its_own() {
        let limit = SpendLimit::per_day(usd("500")).per_principal();
        let app: Ember = ember::app!().client(priced(model(450))).middleware(Trusting);
        let app = TestClient::new(app.spend_limit(limit.clone()).build().unwrap());
        for (user, account) in [("ada", "key ada"), ("bob", "key bob"), ("", "no address")] {
            assert_eq!(post(&app, "/each", user).await.status(), 200);
            assert_eq!(limit.account(account).spent(), usd("451"), "{user}");
        }
        assert_eq!(limit.spent(), usd("1353"));
    }
}

mod shared_bucket {
    use super::*;

    static BUCKET: LazyLock<GlobalTokenBucket> = LazyLock::new(|| {
        GlobalTokenBucket::with_clock("shared", 1_000, secs(60), ManualClock::new().clock())
    });

    #[ai_route("/one", token_limits = BUCKET.clone())]
    async fn one(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[ai_route("/two", token_limits = BUCKET.clone())]
    async fn two(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
        conversation.stream(message).await
    }

    #[tokio::test]
    async fn routes_of_several_applications_draw_from_one_bucket() {
        let app = || {
            let app: Ember = ember::app!().client(Client::new(model(300)));
            TestClient::new(app.build().unwrap())
        };
        let (first, second) = (app(), app());
        post(&first, "/one", "").await.text().await;
        post(&second, "/two", "").await.text().await;
        assert_eq!(BUCKET.available(), 400);
        let third = post(&second, "/one", "").await;
        assert_eq!((third.status().as_u16(), number(&third, "ratelimit-remaining")), (200, 100));
        assert_eq!(post(&first, "/two", "").await.status(), 429);
        assert_eq!(BUCKET.available(), 100);
    }
}

mod bodies {
    use super::*;

    #[post("/length")]
    async fn length(body: String) -> String {
        body.len().to_string()
    }

    #[ai_route("/ask")]
    async fn ask(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[ai_route("/stream")]
    async fn stream(
        conversation: ConversationContext,
        message: String,
    ) -> ember::Result<TokenStream> {
        conversation.stream(message).await
    }

    fn app(bucket: &GlobalTokenBucket) -> TestClient {
        let limit = RateLimit::tokens(bucket.clone()).estimate_from_body();
        let app: Ember = ember::app!().client(Client::new(model(300))).middleware(limit);
        TestClient::new(app.build().unwrap())
    }

    fn bucket() -> GlobalTokenBucket {
        GlobalTokenBucket::with_clock("bodies", 1_000, secs(60), ManualClock::new().clock())
    }

    #[tokio::test]
    async fn a_body_is_estimated_and_handed_on() {
        let bucket = bucket();
        let app = app(&bucket);
        let small = app.post("/length").body("x".repeat(400)).send().await;
        assert_eq!(number(&small, "ratelimit-limit"), 1_000);
        assert_eq!(number(&small, "ratelimit-remaining"), 900);
        assert_eq!(small.text().await, "400");
        assert_eq!(bucket.available(), 900, "nobody knew better");
        // More than stays in memory, and more than the bucket holds when it is full.
        let large = app.post("/length").body("x".repeat(400_000)).send().await;
        assert_eq!(large.status(), 429);
        assert!(number(&large, "retry-after") >= 1);
        let bytes = app.post("/length").header("content-type", "image/png").body("x".repeat(4_000));
        bytes.send().await;
        assert_eq!(bucket.available(), 899, "no text");
    }

    #[tokio::test]
    async fn a_large_body_is_replayed_from_a_file() {
        let bucket = GlobalTokenBucket::per_day("large", 1_000_000);
        let large = app(&bucket).post("/length").body("x".repeat(400_000)).send().await;
        assert_eq!(large.text().await, "400000");
        assert!((899_000..901_000).contains(&bucket.available()), "{}", bucket.available());
    }

    #[tokio::test]
    async fn what_a_model_has_used_is_settled_in_place_of_the_estimate() {
        for target in ["/ask", "/stream"] {
            let bucket = bucket();
            let app = app(&bucket);
            let response = app.post(target).body("x".repeat(400)).send().await;
            if target == "/stream" {
                assert!(bucket.available() <= 644, "the answer is set aside as well");
            }
            response.text().await;
            assert_eq!(bucket.available(), 700, "{target}");
            let response = app.post(target).body("x".repeat(2_000)).send().await;
            assert_eq!(response.status(), 429, "{target}: the answer has no room");
            drop(response);
            assert_eq!(bucket.available(), 700, "{target}: nothing was asked");
        }
    }
}

mod crowd {
    use super::*;

    /// How much there is at first; a hundredth of it comes back every second.
    const CAPACITY: u64 = 100_000;

    /// How many requests there are at once.
    const CROWD: usize = 2_000;

    static HANDS: LazyLock<ManualClock> = LazyLock::new(ManualClock::new);
    static BUCKET: LazyLock<GlobalTokenBucket> = LazyLock::new(|| {
        GlobalTokenBucket::with_clock("crowd", CAPACITY, secs(100), HANDS.clock())
    });

    #[ai_route("/ask", token_limits = BUCKET.clone())]
    async fn ask(client: Client, message: String) -> ember::Result<String> {
        let request = ChatRequest::from(message).max_tokens(200);
        Ok(client.complete(request).await?.into_text()?)
    }

    #[ai_route("/stream", token_limits = BUCKET.clone())]
    async fn stream(
        mut conversation: ConversationContext,
        message: String,
    ) -> ember::Result<TokenStream> {
        conversation.with(|request| request.max_tokens(200));
        conversation.stream(message).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn two_thousand_requests_at_once_never_overdraw() {
        let (provider, used) = moody();
        let app: Ember = ember::app!().client(Client::new(provider));
        let app = TestClient::new(app.build().unwrap());
        let start = std::sync::Arc::new(Barrier::new(CROWD));
        let mut tasks = Vec::new();
        for n in 0..CROWD {
            let (app, start) = (app.clone(), start.clone());
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                // Time goes on a little meanwhile: fifty tokens each of a hundred times.
                if n % 20 == 0 {
                    HANDS.advance(millis(50));
                }
                let target = if n % 2 == 0 { "/ask" } else { "/stream" };
                let message = ["good", "good", "fail", "break", "hang"][n / 2 % 5];
                // An unary call of a silent model is abandoned before it is answered.
                let request = app.post(target).body(message).send();
                let Ok(response) = tokio::time::timeout(millis(200), request).await else {
                    return (n, 0);
                };
                let status = response.status().as_u16();
                if message == "hang" {
                    drop(response);
                } else if status == 200 {
                    response.text().await;
                }
                (n, status)
            }));
        }
        let outcomes: Vec<_> =
            join_all(tasks).await.into_iter().map(|outcome| outcome.unwrap()).collect();
        let of = |wanted: u16| outcomes.iter().filter(|(_, status)| *status == wanted).count();
        assert!(of(200) > 0 && of(429) > 0 && of(503) > 0, "{} {} {}", of(200), of(429), of(503));
        let refill = 100 * 50;
        assert!(used.load(SeqCst) <= CAPACITY + refill, "{} were used", used.load(SeqCst));
        assert!(BUCKET.until_full() <= BUCKET.period(), "there is no debt");
        // Nothing is left set aside: what is missing is what was used, and it comes back with time.
        HANDS.advance(secs(100));
        assert_eq!(BUCKET.available(), CAPACITY);
        HANDS.advance(secs(1_000));
        assert_eq!(BUCKET.available(), CAPACITY, "and no more than it holds");
    }
}

mod crowd_without_time {
    use super::*;

    const CAPACITY: u64 = 50_000;

    static BUCKET: LazyLock<GlobalTokenBucket> = LazyLock::new(|| {
        GlobalTokenBucket::with_clock("still", CAPACITY, secs(60), ManualClock::new().clock())
    });

    #[ai_route("/stream", token_limits = BUCKET.clone())]
    async fn stream(client: Client, message: String) -> ember::Result<TokenStream> {
        let request = ChatRequest::from(message).max_tokens(200);
        Ok(sse_stream(client.stream_text(request).await?))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn after_a_crowd_the_bucket_holds_exactly_what_was_not_used() {
        let used = std::sync::Arc::new(AtomicU64::new(0));
        let count = used.clone();
        let provider = FakeProvider::new().respond(move |request| {
            let tokens = 1 + request.messages[0].text().len() as u64 % 97;
            count.fetch_add(20 + tokens, SeqCst);
            let usage = Usage::new(20, tokens);
            // The usage comes first, so that it is known of a stream that is dropped as well.
            FakeReply::new()
                .event(ember::llm::ChatEvent::Usage(usage))
                .text("word ".repeat(3))
                .usage(usage)
        });
        let app: Ember = ember::app!().client(Client::new(provider));
        let app = TestClient::new(app.build().unwrap());
        let tasks = (0..2_000).map(|n| {
            let app = app.clone();
            tokio::spawn(async move {
                let response = app.post("/stream").body("x".repeat(n % 61 + 1)).send().await;
                let refused = response.status() == 429;
                let mut response = response;
                match n % 3 {
                    // Dropped in the middle, once its beginning is there.
                    0 if !refused => drop(response.chunk().await),
                    _ => while response.chunk().await.is_some() {},
                }
                refused
            })
        });
        let refused: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        assert!(refused.contains(&true) && refused.contains(&false));
        assert_eq!(BUCKET.available(), CAPACITY - used.load(SeqCst));
    }
}

mod crowd_on_sockets {
    use super::*;
    use std::net::TcpListener;

    const CAPACITY: u64 = 20_000;

    static BUCKET: LazyLock<GlobalTokenBucket> = LazyLock::new(|| {
        GlobalTokenBucket::with_clock("sockets", CAPACITY, secs(60), ManualClock::new().clock())
    });

    #[ai_route("/stream", token_limits = BUCKET.clone())]
    async fn stream(client: Client, message: String) -> ember::Result<TokenStream> {
        let request = ChatRequest::from(message).max_tokens(200);
        Ok(sse_stream(client.stream_text(request).await?))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connections_that_are_closed_in_the_middle_leave_nothing_set_aside() {
        let used = std::sync::Arc::new(AtomicU64::new(0));
        let count = used.clone();
        let provider = FakeProvider::new().respond(move |_| {
            let usage = Usage::new(20, 40);
            count.fetch_add(usage.total(), SeqCst);
            let reply = FakeReply::new().event(ember::llm::ChatEvent::Usage(usage));
            reply.text("word ".repeat(40)).usage(usage).delay(millis(1))
        });
        let app: Ember = ember::app!().client(Client::new(provider)).workers(2);
        let server = app.serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = server.address();
        let asked = (0..200).map(|n| tokio::spawn(ask_on_socket(address, n % 3 == 0)));
        let answers: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        let of = |start: &str| answers.iter().filter(|answer| answer.starts_with(start)).count();
        assert_eq!(of("HTTP/1.1 200") + of("HTTP/1.1 429"), 200);
        assert!(of("HTTP/1.1 200") > 50 && of("HTTP/1.1 429") > 0);
        // The server ends when all its streams have.
        tokio::task::spawn_blocking(move || {
            server.stop().gracefully();
            server.join();
        })
        .await
        .unwrap();
        let missing = CAPACITY - BUCKET.available();
        assert_eq!(missing, used.load(SeqCst));
    }
}

mod money {
    use super::*;

    #[ai_route("/ask")]
    async fn ask(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[ai_route("/stream")]
    async fn stream(
        conversation: ConversationContext,
        message: String,
    ) -> ember::Result<TokenStream> {
        conversation.stream(message).await
    }

    #[tokio::test]
    async fn a_running_stream_is_stopped_at_the_cap_and_billed() {
        // It takes no notice of how long its answer may be.
        let fake = FakeProvider::new().text("word ".repeat(50));
        let limit = SpendLimit::per_day(usd("45"));
        let client = priced(fake.clone());
        let app: Ember = ember::app!().client(client.clone()).spend_limit(limit.clone());
        let app = TestClient::new(app.build().unwrap());
        let events = post(&app, "/stream", "").await.events().await;
        assert_eq!(
            fake.requests()[0].max_tokens,
            Some(20),
            "five for the prompt, twenty times two"
        );
        let (last, tokens) = events.split_last().unwrap();
        assert_eq!(last.event, "error");
        assert!(last.data.contains("429") && last.data.contains("used up"), "{}", last.data);
        assert_eq!(tokens.len(), 21, "what was sent when the money was gone");
        assert_eq!(limit.spent(), usd("47"));
        assert_eq!(client.usage().total_cost_usd(), Some(usd("47")), "the bill says the same");
        let refused = post(&app, "/stream", "").await;
        assert_eq!(refused.status(), 429);
        assert!(number(&refused, "retry-after") >= 1);
        assert_eq!(fake.requests().len(), 1);
    }

    #[tokio::test]
    async fn a_whole_answer_that_is_too_dear_is_withheld_and_billed() {
        let limit = SpendLimit::per_day(usd("45"));
        let client = priced(FakeProvider::new().text("word ".repeat(50)));
        let app: Ember = ember::app!().client(client.clone()).spend_limit(limit.clone());
        let app = TestClient::new(app.build().unwrap());
        let refused = post(&app, "/ask", "").await;
        assert_eq!(refused.status(), 429);
        let problem = refused.text().await;
        assert!(!problem.contains("45") && !problem.contains("fake"), "{problem}");
        assert_eq!(limit.spent(), client.usage().total_cost_usd().unwrap());
        assert!(limit.spent() > usd("45"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_never_spends_more_than_there_is_beyond_what_models_exceed_their_bound_by() {
        for (streamed, exceeds) in [(false, 0), (false, 3), (true, 0), (true, 3)] {
            let limit = SpendLimit::per_day(usd("1000"));
            let provider = FakeProvider::new().respond(move |request| {
                let tokens = request.max_tokens.unwrap() + exceeds;
                // All are under way at the same time.
                FakeReply::new().text("x").usage(Usage::new(5, tokens)).delay(secs(1))
            });
            let client = priced(provider.clone()).budget(limit.clone());
            let asked = (0..500).map(|_| async {
                let request = ChatRequest::from("Hi").max_tokens(40);
                match streamed {
                    false => client.complete(request).await,
                    true => client.stream(request).await?.collect().await,
                }
            });
            let outcomes = join_all(asked).await;
            // Eleven times five and forty times two; of what is left, five and thirty times two.
            assert_eq!(provider.requests().len(), 12);
            let bounds: Vec<_> = provider.requests().iter().map(|one| one.max_tokens).collect();
            assert_eq!((bounds[0], bounds[11]), (Some(40), Some(30)));
            let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert!(if exceeds == 0 { served == 12 } else { served < 12 }, "{served}");
            let beyond = usd("2").times(12 * exceeds);
            assert_eq!(limit.spent(), usd("1000") + beyond, "streamed: {streamed}");
            assert_eq!(Some(limit.spent()), client.usage().total_cost_usd());
            assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
            assert_eq!(limit.account("").left(), Usd::ZERO);
        }
    }

    /// Adds two numbers.
    #[tool]
    async fn add(a: i64, b: i64) -> i64 {
        a + b
    }

    #[tokio::test]
    async fn the_next_round_of_tools_is_not_sent_without_money() {
        for streamed in [false, true] {
            let round = FakeReply::new()
                .tool_call("add", serde_json::json!({"a": 1, "b": 2}))
                .usage(Usage::new(60, 10));
            let fake = FakeProvider::new().reply(round).text("3");
            let limit = SpendLimit::per_hour(usd("120"));
            let client = priced(fake.clone()).tools([add {}]).budget(limit.clone());
            let request = ChatRequest::from("1 + 2?").max_tokens(10);
            let error = match streamed {
                false => client.complete(request).await.unwrap_err(),
                true => client.stream(request).await.unwrap().collect().await.unwrap_err(),
            };
            assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
            assert_eq!(fake.requests().len(), 1);
            assert_eq!(limit.spent(), usd("80"));
        }
    }

    #[tokio::test]
    async fn a_limit_of_nothing_does_not_start() {
        let app: Ember = ember::app!().client(priced(FakeProvider::new()));
        let error = app.spend_limit(SpendLimit::per_day(Usd::ZERO)).build().unwrap_err();
        assert!(error.to_string().contains("spend limit of zero"), "{error}");
        let app: Ember = ember::app!().client(priced(FakeProvider::new()));
        let error = app.token_limits(TokenLimits::per_minute(0)).build().unwrap_err();
        assert!(error.to_string().contains("token limits of zero"), "{error}");
        let bucket = GlobalTokenBucket::per_minute("empty", 0);
        let app: Ember = ember::app!().client(priced(FakeProvider::new()));
        let error = app.middleware(RateLimit::tokens(bucket)).build().unwrap_err();
        assert!(error.to_string().contains("`empty`"), "{error}");
    }
}

mod back_pressure {
    use super::*;
    use futures_util::stream;

    static HANDS: LazyLock<ManualClock> = LazyLock::new(ManualClock::new);
    static BUCKET: LazyLock<GlobalTokenBucket> =
        LazyLock::new(|| GlobalTokenBucket::with_clock("slow", 2, secs(2), HANDS.clock()));

    #[get("/slow")]
    async fn slow() -> TokenStream {
        sse_stream(stream::iter(["a", "b", "c", "d"])).bucket(BUCKET.clone())
    }

    #[tokio::test]
    async fn a_stream_is_sent_as_quickly_as_its_bucket_allows() {
        let app = TestClient::new(ember::app!().build().unwrap());
        let mut response = app.get("/slow").send().await;
        let first = response.chunk().await.unwrap();
        assert_eq!(first, "data: a\n\ndata: b\n\n");
        for expected in ["data: c\n\n", "data: d\n\ndata: [DONE]\n\n"] {
            let waiting = tokio::spawn(async move {
                let piece = response.chunk().await.unwrap();
                (piece, response)
            });
            while HANDS.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
            HANDS.advance(secs(1));
            let (piece, rest) = waiting.await.unwrap();
            assert_eq!(piece, expected);
            response = rest;
        }
        assert!(response.chunk().await.is_none());
    }
}

/// What is done to a bucket.
#[derive(Debug, Clone)]
enum Step {
    Consume(u64),
    Settle(u64, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..150_u64).prop_map(Step::Consume),
        (0..150_u64, 0..200_u64).prop_map(|(estimate, used)| Step::Settle(estimate, used)),
        (0..100_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// A bucket of a hundred tokens that regains a quarter of one each second, and whole numbers of quarters.
    #[test]
    fn a_bucket_does_what_a_simple_model_of_it_does(steps in prop::collection::vec(step(), 0..80)) {
        const FULL: i64 = 100 * 4;
        let hands = ManualClock::new();
        let bucket = TokenBucket::new(100.0, 0.25).clock(hands.clock());
        let mut quarters = FULL;
        for step in steps {
            match step {
                Step::Consume(tokens) => {
                    let wanted = 4 * tokens as i64;
                    let expected = if wanted > FULL {
                        Err(Duration::MAX)
                    } else if wanted <= quarters {
                        quarters -= wanted;
                        Ok(())
                    } else {
                        Err(secs((wanted - quarters) as u64))
                    };
                    prop_assert_eq!(bucket.try_consume(tokens), expected);
                }
                Step::Settle(estimate, used) => {
                    bucket.settle(estimate, used);
                    quarters = (quarters + 4 * (estimate as i64 - used as i64)).min(FULL);
                }
                Step::Wait(seconds) => {
                    hands.advance(secs(seconds));
                    quarters = (quarters + seconds as i64).min(FULL);
                }
            }
            prop_assert_eq!(bucket.available(), quarters.max(0) as u64 / 4);
            prop_assert_eq!(bucket.until_full(), secs((FULL - quarters) as u64));
        }
    }
}
