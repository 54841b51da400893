//! Limits under a crowd: nothing is overdrawn, and nothing stays set aside.

use super::*;

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
