//! Limits of several processes on one server, and without it.

use super::{BOUND, LIMIT, Server};
use ember::base::clock::{millis, secs};
use ember::llm::layer::CostConfig;
use ember::llm::{
    ChatRequest, Client, ErrorKind, FakeProvider, FakeReply, Price, SpendLimit, Usage,
};
use ember::store::{BoxStore, BucketError, OnStoreFailure};
use ember::testing::TestClient;
use ember::{Ember, GlobalTokenBucket, RateLimit};
use ember_tests::stores::until;
use std::time::{Duration, Instant};

/// How long a bucket of the tests takes to fill: what grows meanwhile is counted.
const PERIOD: Duration = Duration::from_secs(100);

fn bucket(store: &BoxStore, policy: OnStoreFailure) -> GlobalTokenBucket {
    let bucket = GlobalTokenBucket::new("shared", 1_000, PERIOD);
    bucket.on_store_failure(policy).store(store.clone())
}

/// Two processes with connections of their own, and many who ask at once.
pub async fn hold_for_the_sum(store: impl Fn() -> BoxStore) {
    let stores = [store(), store()];
    tokens(&stores).await;
    money(&stores).await;
}

async fn tokens(stores: &[BoxStore; 2]) {
    let buckets = stores.each_ref().map(|store| bucket(store, OnStoreFailure::Deny));
    for store in stores {
        store.check().await.unwrap();
    }
    let begun = Instant::now();
    let tasks = (0..200).map(|number: usize| {
        let bucket = buckets[number % 2].clone();
        tokio::spawn(async move {
            let Ok(mut held) = bucket.reserve(20).await else { return 0 };
            tokio::task::yield_now().await;
            // Some use less than they had set aside, some more, and some are abandoned.
            let used = [20, 5, 23, 0][number / 2 % 4];
            held.used(used);
            used
        })
    });
    let mut used = 0;
    for task in tasks.collect::<Vec<_>>() {
        used += task.await.unwrap();
    }
    // Those who go beyond what they had set aside leave a debt, of three for each of them at most.
    let capacity = 1_000.0;
    let refill = |begun: Instant| begun.elapsed().as_secs_f64() / PERIOD.as_secs_f64() * capacity;
    assert!(used > 400, "{used} were used");
    assert!(used as f64 <= capacity + refill(begun) + 1.0 + 150.0, "{used} were used");
    // All of it is settled, and nothing twice.
    until(async || {
        // To ask for what there never is tells how much there is.
        let wait = buckets[0].reserve(1_000).await.map(drop).unwrap_err().wait().unwrap();
        let missing = wait.as_secs_f64() / PERIOD.as_secs_f64() * capacity;
        (missing + refill(begun) - used as f64).abs() < 8.0
    })
    .await;
}

async fn money(stores: &[BoxStore; 2]) {
    let prices = CostConfig::new().price("fake", Price::per_million("1000000", "2000000").unwrap());
    let limits = stores.each_ref().map(|store| {
        SpendLimit::per_month("1000".parse().unwrap()).name("team").store(store.clone())
    });
    let clients = limits.each_ref().map(|limit| {
        let provider = FakeProvider::new().respond(|request| {
            let usage = Usage::new(5, request.max_tokens.unwrap() / 2);
            FakeReply::new().text("a b c").usage(usage)
        });
        let cost = prices.clone().default_model("fake");
        let client = Client::builder().provider(provider).cost(cost).build().unwrap();
        client.budget(limit.clone())
    });
    let tasks = (0..100).map(|number: usize| {
        let client = clients[number % 2].clone();
        tokio::spawn(async move {
            let request = ChatRequest::from("Hi").max_tokens(20);
            let outcome = match number / 2 % 2 {
                0 => client.complete(request).await.map(drop),
                _ => match client.stream(request).await {
                    Ok(stream) => stream.collect().await.map(drop),
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = &outcome {
                assert_eq!(error.kind(), ErrorKind::BudgetExceeded, "{error}");
            }
            outcome.is_ok()
        })
    });
    let mut passed = 0;
    for task in tasks.collect::<Vec<_>>() {
        passed += usize::from(task.await.unwrap());
    }
    let spent = limits[0].spent() + limits[1].spent();
    assert!(passed > 10 && spent <= "1000".parse().unwrap(), "{spent} by {passed}");
    let account = limits[0].account("");
    until(async || account.ask_left().await.unwrap() + spent == "1000".parse().unwrap()).await;
}

/// What is given back while the server sleeps is done when it wakes up, long after nobody waits for
/// the answer any more: it must not be done again. What is taken then is given back.
pub async fn are_settled_once(store: BoxStore, server: Server) {
    let bucket = bucket(&store, OnStoreFailure::Deny);
    let mut held = bucket.reserve(600).await.unwrap();
    let begun = Instant::now();
    let kept = bucket.reserve(350).await.unwrap();
    held.used(100);
    server.pause();
    drop(held);
    assert!(matches!(bucket.reserve(45).await, Err(BucketError::Away(_))), "there is no answer");
    // Longer than the limit of an answer, and the pauses before further tries.
    tokio::time::sleep(LIMIT + millis(700)).await;
    server.go_on();
    let missing = async || match bucket.reserve(1_000).await.map(drop) {
        Err(BucketError::Empty { wait }) => wait.as_secs_f64() / PERIOD.as_secs_f64() * 1_000.0,
        Err(BucketError::Away(_)) => f64::INFINITY,
        other => panic!("{other:?}"),
    };
    let expected = || 450.0 - begun.elapsed().as_secs_f64() / PERIOD.as_secs_f64() * 1_000.0;
    until(async || (missing().await - expected()).abs() < 20.0).await;
    tokio::time::sleep(millis(700)).await;
    assert!((missing().await - expected()).abs() < 20.0, "it was done again");
    drop(kept);
}

/// Paused, stopped, restarted: nobody waits long, nothing passes unless it is said, and nobody needs a
/// restart.
pub async fn are_denied_or_allowed(store: BoxStore, other: BoxStore, mut server: Server) {
    let strict = bucket(&store, OnStoreFailure::Deny);
    let lenient = bucket(&store, OnStoreFailure::Allow);
    let limited = |policy| {
        let limit = RateLimit::per_hour(1_000).name("web").on_store_failure(policy);
        let app = Ember::new().store(other.clone()).middleware(limit).route(hello {});
        TestClient::new(app.build().unwrap())
    };
    let (denying, allowing) = (limited(OnStoreFailure::Deny), limited(OnStoreFailure::Allow));
    let status = async |app: &TestClient| app.get("/hello").send().await.status().as_u16();
    let mut held = strict.reserve(600).await.unwrap();
    held.used(100);
    assert_eq!((status(&denying).await, status(&allowing).await), (200, 200));

    for is_paused in [true, false] {
        if is_paused {
            server.pause()
        } else {
            server.stop()
        }
        let begun = Instant::now();
        let denied = strict.reserve(1).await.unwrap_err();
        let BucketError::Away(error) = denied else { panic!("{denied}") };
        assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(secs(1))));
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        drop(lenient.reserve(1).await.unwrap());
        assert_eq!((status(&denying).await, status(&allowing).await), (503, 200));
        // Many at once do not wait for each other.
        let begun = Instant::now();
        let all = ember::futures_util::future::join_all((0..50).map(|_| strict.reserve(1))).await;
        assert!(all.iter().all(Result::is_err));
        assert!(begun.elapsed() < 2 * BOUND, "{:?}", begun.elapsed());
        if is_paused {
            server.go_on()
        } else {
            server.start_again()
        }
        until(async || strict.reserve(1).await.is_ok()).await;
        until(async || status(&denying).await == 200).await;
    }
    // The server was restarted empty, so that the bucket is full again; what was held is not given
    // back beyond that.
    until(async || strict.reserve(990).await.is_ok()).await;
    drop(held);
    tokio::time::sleep(millis(50)).await;
    assert!(strict.reserve(1_001).await.is_err());
}

#[ember::get("/hello")]
async fn hello() -> &'static str {
    "hello"
}
