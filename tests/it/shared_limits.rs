//! Limits that hold for the sum of several processes, and what becomes of them while the store is away.
//!
//! A process is an application, or a client, with a [`BoxStore`] of its own over the one store.

use ember::base::clock::ManualClock;
use ember::llm::{
    ChatEvent, ChatRequest, Client, ErrorKind, FakeProvider, FakeReply, SpendLimit, Usage, Usd,
};
use ember::prelude::*;
use ember::store::{BoxStore, Bucket, Capability, Draw, MemoryStore, OnStoreFailure, Store};
use ember::testing::{TestClient, TestResponse};
use ember::{Ember, GlobalTokenBucket, RateLimit};
use ember_tests::flaky::Flaky;
use ember_tests::stores::until;
use ember_tests::{ask_on_socket, model, moody, number, priced, usd};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[ai_route("/ask")]
async fn ask(client: Client, message: String) -> ember::Result<String> {
    let request = ChatRequest::from(message).max_tokens(200);
    Ok(client.complete(request).await?.into_text()?)
}

#[ai_route("/stream")]
async fn stream(client: Client, message: String) -> ember::Result<TokenStream> {
    let request = ChatRequest::from(message).max_tokens(200);
    Ok(sse_stream(client.stream_text(request).await?))
}

#[get("/hello")]
async fn hello() -> &'static str {
    "hello"
}

/// An application with the routes of this module, as one of several processes.
fn process(store: impl Into<BoxStore>, client: Client) -> Ember {
    let app = Ember::new().route(ask {}).route(stream {}).route(hello {});
    app.store(store).client(client)
}

/// A store that can be away, and can do everything else.
fn flaky() -> Flaky {
    Flaky::new().capable(Capability::ALL).retry_after(secs(1))
}

fn built(app: Ember) -> TestClient {
    TestClient::new(app.build().unwrap())
}

async fn post(app: &TestClient, target: &str, message: &str) -> TestResponse {
    app.post(target).body(message.to_owned()).send().await
}

/// What is left of a bucket, as another process would find it.
async fn left(store: &impl Store, key: &str, bucket: Bucket) -> i64 {
    store.draw(key, bucket, Draw::Take(0)).await.unwrap().left
}

/// The key of the limit of an application: all its processes must know it by the same.
const OF_APPLICATION: &str = "limit:application:tokens per minute:";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_requests_of_two_processes_never_overdraw() {
    const CAPACITY: u64 = 60_000;
    let hands = ManualClock::new();
    let store = MemoryStore::new().clock(hands.clock());
    let (provider, used) = moody();
    let limits = TokenLimits::per_minute(CAPACITY);
    let app = || built(process(store.clone(), Client::new(provider.clone())).token_limits(limits));
    let apps = [app(), app()];
    let tasks = (0..2_000).map(|n| {
        let (app, hands) = (apps[n % 2].clone(), hands.clone());
        tokio::spawn(async move {
            // Time goes on a little meanwhile: fifty tokens each of a hundred times.
            if n % 20 == 0 {
                hands.advance(millis(50));
            }
            let target = if n / 2 % 2 == 0 { "/ask" } else { "/stream" };
            let message = ["good", "good", "fail", "break", "hang"][n / 4 % 5];
            // A call of a silent model is abandoned.
            let asked = tokio::time::timeout(millis(300), post(&app, target, message)).await;
            let Ok(response) = asked else { return 0 };
            let status = response.status().as_u16();
            if message == "hang" {
                drop(response);
            } else if status == 200 {
                response.text().await;
            }
            status
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let statuses: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert!(of(200) > 0 && of(429) > 0 && of(503) > 0, "{} {} {}", of(200), of(429), of(503));
    let refill = 100 * 50;
    assert!(used.load(SeqCst) <= CAPACITY + refill, "{} were used", used.load(SeqCst));
    // Nothing stays set aside: what is missing is what was used, and it comes back with time.
    hands.advance(secs(60));
    let bucket = Bucket::refilling(CAPACITY, secs(60));
    let full = i64::try_from(CAPACITY).unwrap();
    until(async || left(&store, OF_APPLICATION, bucket).await == full).await;
    // A full bucket is not kept, but for what was done last.
    hands.advance(secs(60));
    assert!(!store.exists(OF_APPLICATION).await.unwrap(), "a full bucket is not kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_crowd_the_store_holds_exactly_what_was_not_used() {
    const CAPACITY: u64 = 50_000;
    let store = MemoryStore::new().clock(ManualClock::new().clock());
    let used = Arc::new(AtomicU64::new(0));
    let count = used.clone();
    let provider = FakeProvider::new().respond(move |request| {
        // Some use more than was set aside for them.
        let tokens = 1 + request.messages[0].text().len() as u64 * 37 % 400;
        count.fetch_add(20 + tokens, SeqCst);
        let usage = Usage::new(20, tokens);
        // The usage comes first, so that it is known of a stream that is dropped as well.
        FakeReply::new().event(ChatEvent::Usage(usage)).text("word ".repeat(3)).usage(usage)
    });
    let limits = TokenLimits::per_minute(CAPACITY);
    let app = || built(process(store.clone(), Client::new(provider.clone())).token_limits(limits));
    let apps = [app(), app()];
    let tasks = (0..1_000).map(|n| {
        let app = apps[n % 2].clone();
        tokio::spawn(async move {
            let target = if n / 2 % 2 == 0 { "/ask" } else { "/stream" };
            let mut response = post(&app, target, &"x".repeat(n % 61 + 1)).await;
            let is_refused = response.status() == 429;
            match n % 3 {
                // Dropped in the middle, once its beginning is there.
                0 if !is_refused => drop(response.chunk().await),
                _ => while response.chunk().await.is_some() {},
            }
            is_refused
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let refused: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert!(refused.contains(&true) && refused.contains(&false));
    let bucket = Bucket::refilling(CAPACITY, secs(60));
    let expected = i64::try_from(CAPACITY).unwrap() - i64::try_from(used.load(SeqCst)).unwrap();
    until(async || left(&store, OF_APPLICATION, bucket).await == expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_together_never_spend_more_than_there_is() {
    for streamed in [false, true] {
        let store = MemoryStore::new();
        // Five tokens for the prompt, and as many as may be for the answer.
        let talker = FakeProvider::new().respond(|request| {
            let usage = Usage::new(5, request.max_tokens.unwrap());
            FakeReply::new().text("word ".repeat(3)).usage(usage)
        });
        let limit = || SpendLimit::per_month(usd("3000")).name("crowd").store(store.clone());
        let limits = [limit(), limit()];
        let clients: Vec<_> =
            limits.iter().map(|limit| priced(talker.clone()).budget(limit.clone())).collect();
        let tasks = (0..400).map(|n| {
            let client = clients[n % 2].clone();
            tokio::spawn(async move {
                let request = ChatRequest::from("Hi").max_tokens(10 + n as u64 % 20);
                let outcome = match streamed {
                    false => client.complete(request).await,
                    true => match client.stream(request).await {
                        Ok(mut stream) if n % 5 == 0 => {
                            let _ = stream.next().await;
                            return true;
                        }
                        Ok(stream) => stream.collect().await,
                        Err(error) => Err(error),
                    },
                };
                outcome.map_err(|error| assert_eq!(error.kind(), ErrorKind::BudgetExceeded)).is_ok()
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let passed: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        assert!(passed.contains(&true) && passed.contains(&false));
        let spent = || limits[0].spent() + limits[1].spent();
        let rest = || Usd::from_picos(usd("3000").picos() - spent().picos());
        assert!(spent() <= usd("3000"), "{} were spent", spent());
        let account = limits[1].account("");
        until(async || account.ask_left().await.unwrap() == rest()).await;
        // What is left is to be had: an answer is bounded by it.
        let before = rest();
        if before >= usd("37") {
            clients[0].complete(ChatRequest::from("Hi").max_tokens(4_000)).await.unwrap();
            assert!(spent() <= usd("3000"));
            until(async || account.ask_left().await.unwrap() == rest()).await;
        }
    }
}

#[tokio::test]
async fn an_answer_is_bounded_by_what_another_process_has_left() {
    let store = MemoryStore::new();
    let limit = || SpendLimit::per_day(usd("105")).name("api").store(store.clone());
    let reply = || FakeReply::new().text("x").usage(Usage::new(5, 20));
    let there = priced(FakeProvider::new().reply(reply())).budget(limit());
    there.complete(ChatRequest::from("Hi").max_tokens(20)).await.unwrap();
    let fake = FakeProvider::new().reply(reply());
    let account = limit().account("");
    until(async || account.ask_left().await.unwrap() == usd("60")).await;
    assert_eq!(account.left(), usd("105"), "this process has spent nothing");
    let here = priced(fake.clone()).budget(limit());
    here.complete(ChatRequest::from("Hi").max_tokens(100)).await.unwrap();
    assert_eq!(fake.requests()[0].max_tokens, Some(27), "five, and 27 times two, of 60");
}

#[tokio::test]
async fn a_stream_that_turns_out_dearer_ends_where_the_money_of_all_does() {
    let store = MemoryStore::new();
    let limit = SpendLimit::per_day(usd("45")).name("api").store(store);
    // It takes no notice of how long its answer may be.
    let client = priced(FakeProvider::new().text("word ".repeat(50))).budget(limit.clone());
    let outcome = client.stream("Hi").await.unwrap().collect().await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    assert_eq!(limit.spent(), usd("47"));
    let error = client.ask("Hi").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(limit.account("").ask_left().await.unwrap(), Usd::ZERO);
}

#[tokio::test]
async fn requests_are_counted_by_the_name_of_their_limit() {
    let hands = ManualClock::new();
    let store = MemoryStore::new().clock(hands.clock());
    let app = |limit: RateLimit| {
        built(process(store.clone(), Client::new(model(10))).middleware(limit.global()))
    };
    let named = || RateLimit::per_minute(4).name("api");
    let (one, two) = (app(named()), app(named()));
    let hello = async |app: &TestClient| app.get("/hello").send().await;
    for (app, left) in [(&one, 3), (&two, 2), (&two, 1), (&one, 0)] {
        let answer = hello(app).await;
        assert_eq!((answer.status().as_u16(), number(&answer, "ratelimit-remaining")), (200, left));
        assert_eq!(number(&answer, "ratelimit-limit"), 4);
    }
    for app in [&one, &two] {
        let refused = hello(app).await;
        assert_eq!((refused.status().as_u16(), number(&refused, "retry-after")), (429, 15));
    }
    hands.advance(secs(15));
    assert_eq!(hello(&two).await.status(), 200);
    assert_eq!(hello(&one).await.status(), 429);
    // One of another name, and one of none, count for themselves.
    assert_eq!(hello(&app(RateLimit::per_minute(4).name("other"))).await.status(), 200);
    assert_eq!(hello(&app(RateLimit::per_minute(1))).await.status(), 200);
    assert_eq!(hello(&app(RateLimit::per_minute(1))).await.status(), 200);
}

#[tokio::test]
async fn buckets_and_keys_are_counted_by_their_names() {
    let store = MemoryStore::new().clock(ManualClock::new().clock());
    let app = || {
        let bucket = GlobalTokenBucket::per_minute("bodies", 1_000);
        let keys = ember::ai::VirtualKey::new("team", "sk-team").requests_per_minute(3);
        process(store.clone(), Client::new(model(300)))
            .middleware(RateLimit::tokens(bucket).estimate_from_body())
            .openai_api(ember::ai::OpenAiApi::new("/v1").keys(keys))
    };
    let apps = [built(app()), built(app())];
    let bodies = Bucket::refilling(1_000, secs(60));
    for (place, target, expected) in [(0, "/ask", 700), (1, "/stream", 400), (0, "/ask", 100)] {
        let answer = post(&apps[place], target, &"x".repeat(100)).await;
        assert_eq!(answer.status(), 200);
        answer.text().await;
        until(async || left(&store, "bucket:bodies", bodies).await == expected).await;
    }
    assert_eq!(post(&apps[1], "/ask", "x").await.status(), 429, "the answer has no room");
    let models = async |app: &TestClient| {
        let request = app.get("/v1/models").header("authorization", "Bearer sk-team");
        request.send().await.status().as_u16()
    };
    let statuses = [
        models(&apps[0]).await,
        models(&apps[1]).await,
        models(&apps[1]).await,
        models(&apps[0]).await,
    ];
    assert_eq!(statuses, [200, 200, 200, 429]);
}

mod places {
    use super::*;

    mod below {
        use super::*;

        ember::blueprint! { prefix = "/below", token_limits = TokenLimits::per_minute(1_000) }

        #[ai_route("/one", token_limits = TokenLimits::per_day(5_000).per_principal())]
        async fn one(client: Client, message: String) -> ember::Result<String> {
            Ok(client.ask(message).await?)
        }

        #[ai_route("/two")]
        async fn two(client: Client, message: String) -> ember::Result<String> {
            Ok(client.ask(message).await?)
        }
    }

    #[tokio::test]
    async fn limits_are_known_by_the_place_where_they_stand() {
        let store = MemoryStore::new().clock(ManualClock::new().clock());
        let app = || {
            let app: Ember = ember::app!().client(Client::new(model(100)));
            built(app.store(store.clone()).token_limits(TokenLimits::per_minute(9_000)))
        };
        let apps = [app(), app()];
        for (place, target) in [(0, "/below/one"), (1, "/below/two"), (1, "/below/one")] {
            assert_eq!(post(&apps[place], target, "Hi").await.status(), 200);
        }
        let minute = |tokens| Bucket::refilling(tokens, secs(60));
        let day = Bucket::refilling(5_000, secs(24 * 60 * 60));
        let module = module_path!();
        let blueprint = format!("limit:blueprint {module}::below /below:tokens per minute:");
        for (key, bucket, expected) in [
            (OF_APPLICATION, minute(9_000), 8_700),
            (&*blueprint, minute(1_000), 700),
            ("limit:POST /below/one:tokens per day:no address", day, 4_800),
        ] {
            until(async || left(&store, key, bucket).await == expected).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_shared_is_told_once_and_a_store_needs_a_name() {
    let app = |store: Option<MemoryStore>| {
        let app = Ember::new().route(ask {}).route(stream {}).client(priced(model(10)));
        let app =
            app.middleware(RateLimit::per_minute(7)).middleware(RateLimit::per_hour(9).name("x"));
        let app = app.spend_limit(SpendLimit::per_day(usd("5")));
        match store {
            Some(store) => app.store(store),
            None => app,
        }
    };
    assert!(app(None).build().unwrap().notes().is_empty(), "there is nothing to share");
    let of_memory = app(None).env(ember::Env::of([("EMBER_STORE", "memory")]));
    assert!(of_memory.build().unwrap().notes().is_empty(), "nor in the memory of the process");
    let ready = app(Some(MemoryStore::new())).build().unwrap();
    let notes = ready.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("`RateLimit` of 7 requests") && notes[0].contains(".name("));
    assert!(notes[1].contains("`SpendLimit` of $5 per day") && notes[1].contains(".name("));
    let wrong = Ember::new().middleware(RateLimit::per_minute(7).store(MemoryStore::new()));
    assert!(wrong.build().unwrap_err().to_string().contains("has a store, and no name"));
    let limit = SpendLimit::per_day(usd("5")).store(MemoryStore::new());
    let wrong = Ember::new().route(ask {}).client(priced(model(10))).spend_limit(limit);
    assert!(wrong.build().unwrap_err().to_string().contains("has a store, and no name"));
}

#[tokio::test]
async fn the_limit_of_the_applications_client_is_kept_in_its_store() {
    let store = MemoryStore::new();
    let limit = || SpendLimit::per_day(usd("1000")).name("of all");
    let app = |limit| built(process(store.clone(), priced(model(10)).budget(limit)));
    assert_eq!(post(&app(limit()), "/ask", "Hi").await.status(), 200);
    let other = limit();
    let _app = app(other.clone());
    // Nine for the prompt, and two for the answer.
    let account = other.account("");
    until(async || account.ask_left().await.unwrap() == usd("989")).await;
    assert_eq!(other.spent(), Usd::ZERO);
    let unnamed = process(store, priced(model(10)).budget(SpendLimit::per_day(usd("5"))));
    let ready = unnamed.build().unwrap();
    assert!(
        ready.notes().iter().any(|note| note.contains("`SpendLimit` of $5")),
        "{:?}",
        ready.notes()
    );
}

#[tokio::test]
async fn limits_of_one_name_and_different_numbers_are_found() {
    let app = |requests, money, tokens, of_key| {
        let key = ember::ai::VirtualKey::new("team", "sk-team").requests_per_minute(of_key);
        process(MemoryStore::new(), priced(model(10)))
            .middleware(RateLimit::per_minute(4).name("r"))
            .middleware(RateLimit::per_minute(requests).name("r"))
            .middleware(RateLimit::tokens(GlobalTokenBucket::per_minute("b", 100)))
            .token_limits(GlobalTokenBucket::per_minute("b", tokens))
            .spend_limit(SpendLimit::per_day(usd("5")).name("m"))
            .spend_limit(SpendLimit::per_day(usd(money)).name("m"))
            .spend_limit(SpendLimit::per_month(usd("50")).name("m"))
            .openai_api(ember::ai::OpenAiApi::new("/v1").keys(key.clone()))
            .openai_api(ember::ai::OpenAiApi::new("/v2").keys(key.requests_per_minute(3)))
    };
    assert!(app(4, "5", 100, 3).build().is_ok(), "the same limits");
    let wrong = app(5, "6", 101, 2).build().unwrap_err().to_string();
    for part in [
        "the `RateLimit` `r` stands",
        "4 in 60s, and 5 in 60s",
        "the bucket `b` stands",
        "the `SpendLimit` `m` per day stands",
        "$5, and $6",
        "of the API key `team` stands",
    ] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    assert!(!wrong.contains("per month"), "{wrong}");
}

#[tokio::test]
async fn money_in_a_store_that_forgets_is_told() {
    let limit = || SpendLimit::per_day(usd("5")).name("m");
    let notes = |app: Ember| app.spend_limit(limit()).build().unwrap().notes().to_vec();
    let memory = notes(process(MemoryStore::new(), priced(model(10))));
    assert!(memory.len() == 1 && memory[0].contains("`m` is kept in memory"), "{memory:?}");
    assert!(notes(process(flaky(), priced(model(10)))).is_empty());
}

/// The limits that there are, each by itself, on an application whose store may be away.
fn limited(store: &Flaky, policy: OnStoreFailure) -> Vec<(&'static str, TestClient)> {
    let app = || process(store.clone(), priced(model(10)));
    let bucket = || GlobalTokenBucket::per_minute("b", 10_000).on_store_failure(policy);
    let money = SpendLimit::per_day(usd("10000")).name("m").on_store_failure(policy);
    let tokens = TokenLimits::per_minute(10_000).on_store_failure(policy);
    vec![
        ("tokens", built(app().token_limits(tokens))),
        ("callers", built(app().token_limits(tokens.per_principal()))),
        ("bucket", built(app().token_limits(bucket()))),
        ("money", built(app().spend_limit(money))),
        ("bodies", built(app().middleware(RateLimit::tokens(bucket())))),
        (
            "requests",
            built(app().middleware(RateLimit::per_minute(100).name("r").on_store_failure(policy))),
        ),
    ]
}

#[tokio::test]
async fn without_the_store_nothing_passes_unless_it_is_said_and_then_everything_does() {
    for (policy, status) in [(OnStoreFailure::Deny, 503), (OnStoreFailure::Allow, 200)] {
        let store = flaky();
        for (name, app) in limited(&store, policy) {
            for target in ["/ask", "/stream"] {
                store.go_away(false);
                assert_eq!(post(&app, target, "Hi").await.status(), 200, "{name} {target}");
                store.go_away(true);
                let answer = post(&app, target, "Hi").await;
                assert_eq!(answer.status(), status, "{name} {target} {policy:?}");
                if policy == OnStoreFailure::Deny {
                    assert_eq!(number(&answer, "retry-after"), 1, "{name} {target}");
                    assert!(!answer.text().await.contains("flaky"));
                } else {
                    assert!(answer.text().await.contains('a'), "{name} {target}");
                }
                // It needs no restart.
                store.go_away(false);
                assert_eq!(post(&app, target, "Hi").await.status(), 200, "{name} {target}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_goes_away_in_the_middle_of_an_answer_does_not_end_it() {
    let store = MemoryStore::new().clock(ManualClock::new().clock());
    let store = flaky().memory(store);
    let app = process(store.clone(), Client::new(model(10)));
    let app = built(app.token_limits(TokenLimits::per_minute(1_000)));
    let response = post(&app, "/stream", "Hi").await;
    assert_eq!(response.status(), 200);
    store.go_away(true);
    assert!(response.text().await.contains("[DONE]"));
    store.go_away(false);
    // It is given back as soon as the store is there, and once.
    let bucket = Bucket::refilling(1_000, secs(60));
    until(async || left(&store, OF_APPLICATION, bucket).await == 990).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_has_settled_what_its_workers_held() {
    const CAPACITY: u64 = 9_000;
    let store = MemoryStore::new().clock(ManualClock::new().clock());
    let used = Arc::new(AtomicU64::new(0));
    let count = used.clone();
    let provider = FakeProvider::new().respond(move |_| {
        let usage = Usage::new(20, 40);
        count.fetch_add(usage.total(), SeqCst);
        let reply = FakeReply::new().event(ChatEvent::Usage(usage));
        reply.text("word ".repeat(40)).usage(usage).delay(millis(1))
    });
    let app = || {
        let app = process(store.clone(), Client::new(provider.clone())).workers(2);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        app.token_limits(TokenLimits::per_minute(CAPACITY)).serve(listener).unwrap()
    };
    let servers = [app(), app()];
    let addresses = servers.each_ref().map(|server| server.address());
    let asked = (0..100).map(|n| tokio::spawn(ask_on_socket(addresses[n % 2], n % 3 == 0)));
    let asked: Vec<_> = asked.collect();
    let answers: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    let of = |start: &str| answers.iter().filter(|answer| answer.starts_with(start)).count();
    assert_eq!(of("HTTP/1.1 200") + of("HTTP/1.1 429"), 100);
    assert!(of("HTTP/1.1 200") > 20 && of("HTTP/1.1 429") > 0);
    tokio::task::spawn_blocking(move || {
        for server in servers {
            server.stop().gracefully();
            server.join();
        }
    })
    .await
    .unwrap();
    // Nothing is waited for: the end of a server has waited.
    let bucket = Bucket::refilling(CAPACITY, secs(60));
    let missing = i64::try_from(CAPACITY).unwrap() - left(&store, OF_APPLICATION, bucket).await;
    assert_eq!(missing, i64::try_from(used.load(SeqCst)).unwrap());
}
