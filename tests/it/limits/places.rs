//! Limits where they stand: on routes, blueprints and applications, for each caller, in a bucket of several.

use super::*;

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
