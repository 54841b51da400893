//! Crowds in two processes: together they never take more than there is.

use super::*;

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
