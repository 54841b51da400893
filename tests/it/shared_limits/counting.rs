//! What is counted together, and by which names.

use super::*;

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
