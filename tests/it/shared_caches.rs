//! Caches that several processes share: two applications on one store, as two processes are.

use ember::prelude::*;
use ember::store::{BoxStore, Claims, MemoryStore};
use ember::testing::TestClient;
use ember::web::Route;
use ember::web::cache::{CacheEngine, CacheRules, CachedResponse, EngineId, StoreCache};
use ember_tests::flaky::Flaky;
use ember_tests::gated::{Gated, all, ask_often, settle};
use ember_tests::stores::until;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Semaphore;

/// Two processes with one handler, and caches of this kind on one store.
fn processes(gated: &Gated, store: &Flaky, first: fn() -> Response) -> [TestClient; 2] {
    [(); 2].map(|()| gated.app(cache(store), first))
}

fn cache(store: &Flaky) -> StoreCache {
    StoreCache::new(BoxStore::new(store.clone()), secs(600))
}

#[tokio::test]
async fn a_hundred_misses_of_two_processes_run_the_handler_once() {
    let (gated, store) = (Gated::new(), Flaky::new());
    let processes = processes(&gated, &store, || "first".into_response());
    let asking: Vec<_> = processes.iter().flat_map(|client| ask_often(client, 50)).collect();
    gated.wait_for_runs(1).await;
    settle().await;
    gated.let_go(1000);
    assert!(all(asking).await.iter().all(|answer| answer == "first"));
    assert_eq!(gated.runs(), 1);
    until(async || store.keys("claim:").await.is_empty()).await;
}

#[tokio::test]
async fn a_leader_that_goes_away_frees_the_other_process() {
    let (gated, store) = (Gated::new(), Flaky::new());
    let [here, there] = processes(&gated, &store, || "first".into_response());
    let leader = tokio::spawn(here.get("/").send());
    gated.wait_for_runs(1).await;
    let asking = ask_often(&there, 50);
    settle().await;
    leader.abort();
    gated.let_go(1000);
    assert!(all(asking).await.iter().all(|answer| answer == "2"));
    assert_eq!(gated.runs(), 2);
}

#[tokio::test]
async fn a_leader_that_panics_frees_the_other_process() {
    let (gated, store) = (Gated::new(), Flaky::new());
    let [here, there] = processes(&gated, &store, || panic!("in the handler"));
    let leader = tokio::spawn(here.get("/").send());
    gated.wait_for_runs(1).await;
    let asking = ask_often(&there, 50);
    settle().await;
    gated.let_go(1000);
    assert_eq!(leader.await.unwrap().status(), 500);
    let answers = all(asking).await;
    assert!(answers.iter().all(|answer| !answer.contains("500")), "{answers:?}");
}

#[tokio::test]
async fn what_is_not_kept_is_waited_for_by_nobody() {
    let (gated, store) = (Gated::new(), Flaky::new());
    let [here, there] = processes(&gated, &store, || Error::unavailable("later").into_response());
    let leader = tokio::spawn(here.get("/").send());
    gated.wait_for_runs(1).await;
    let asking = ask_often(&there, 50);
    settle().await;
    gated.let_go(1);
    assert_eq!(leader.await.unwrap().status(), 503);
    // All of them are in the handler at the same time.
    gated.wait_for_runs(51).await;
    gated.let_go(1000);
    let answers = all(asking).await;
    assert!(answers.iter().all(|answer| !answer.contains("later")));
}

#[tokio::test]
async fn what_is_too_large_for_the_store_is_waited_for_by_nobody() {
    let (gated, store) = (Gated::new(), Flaky::new());
    let processes =
        [(); 2].map(|()| gated.app(cache(&store).max_size(64), || "x".repeat(65).into_response()));
    let leader = tokio::spawn(processes[0].get("/").send());
    gated.wait_for_runs(1).await;
    let asking = ask_often(&processes[1], 50);
    settle().await;
    gated.let_go(1);
    leader.await.unwrap();
    gated.wait_for_runs(51).await;
    gated.let_go(1000);
    all(asking).await;
    assert!(store.keys("cache:/").await.is_empty());
}

#[tokio::test]
async fn what_was_forgotten_while_a_handler_ran_is_not_put_back() {
    for lists in [false, true] {
        let (gated, store) = (Gated::new(), Flaky::new());
        let memory = BoxStore::new(MemoryStore::new());
        let cache = || match lists {
            false => cache(&store),
            true => StoreCache::new(memory.clone(), secs(600)),
        };
        let [here, there] = [(); 2].map(|()| gated.app(cache(), || "old".into_response()));
        let old = tokio::spawn(here.get("/").send());
        gated.wait_for_runs(1).await;
        cache().invalidate("/").await;
        // Nobody who comes now waits for the answer from before.
        let new = [&here, &there].map(|client| tokio::spawn(client.get("/").send()));
        gated.wait_for_runs(2).await;
        gated.let_go(1000);
        assert_eq!(old.await.unwrap().text().await, "old");
        for new in new {
            assert_eq!(new.await.unwrap().text().await, "2", "{lists}");
        }
        settle().await;
        for client in [&here, &there] {
            assert_eq!(client.get("/").send().await.text().await, "2", "{lists}");
        }
    }
}

#[tokio::test]
async fn the_answers_of_two_routes_with_one_key_stay_apart() {
    let store = BoxStore::new(MemoryStore::new());
    let cache = || StoreCache::new(store.clone(), secs(600)).key(|_| Some("ann".to_owned()));
    let route = |path: &'static str| Route::get(path, move || async move { path }).cache(cache());
    let app = Ember::new().route(route("/orders")).route(route("/profile"));
    let client = TestClient::new(app.build().unwrap());
    for path in ["/orders", "/profile", "/orders"] {
        assert_eq!(client.get(path).send().await.text().await, path);
    }
    assert_eq!(store.scan("cache:ann", None, 9).await.unwrap().keys.len(), 2);
    cache().invalidate("ann").await;
    assert!(store.scan("cache:ann", None, 9).await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn an_answer_does_not_wait_until_it_is_kept() {
    /// An engine that keeps nothing before it is let go.
    #[derive(Clone)]
    struct Slow(Arc<Semaphore>, Arc<AtomicU32>);

    impl CacheEngine for Slow {
        async fn get(&self, _: &str) -> Option<CachedResponse> {
            None
        }

        async fn put(&self, _: &str, _: CachedResponse) {
            self.0.acquire().await.unwrap().forget();
            self.1.fetch_add(1, Ordering::SeqCst);
        }

        async fn invalidate_prefix(&self, _: &str) {}
    }

    let (slow, runs) = (Slow(Arc::new(Semaphore::new(0)), Arc::default()), Arc::default());
    let (counted, run): (_, Arc<AtomicU32>) = (slow.clone(), Arc::clone(&runs));
    let handler = move || {
        let run = run.fetch_add(1, Ordering::SeqCst);
        async move { run.to_string() }
    };
    let app = Ember::new().route(Route::get("/", handler).cache(slow));
    let client = TestClient::new(app.build().unwrap());
    for _ in 0..2 {
        let asked = tokio::time::timeout(secs(20), client.get("/").send()).await;
        // The second one gets it from the first, which has its turn still.
        assert_eq!(asked.unwrap().text().await, "0");
    }
    assert_eq!(counted.1.load(Ordering::SeqCst), 0);
    counted.0.add_permits(1);
    until(async || counted.1.load(Ordering::SeqCst) == 1).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_the_store_handlers_run_as_without_a_cache() {
    let (gated, store) = (Gated::new(), Flaky::new());
    gated.let_go(1000);
    let [here, there] = processes(&gated, &store, || "first".into_response());
    assert_eq!(here.get("/").send().await.text().await, "first");
    assert_eq!(there.get("/").send().await.text().await, "first");
    store.go_away(true);
    assert_eq!(here.get("/").send().await.text().await, "2");
    assert_eq!(there.get("/").send().await.text().await, "3");
    store.go_away(false);
    assert_eq!(there.get("/").send().await.text().await, "first", "it is used again");
}

/// A cache whose claims end soon if nobody renews them.
#[derive(Clone)]
struct Mortal(StoreCache, BoxStore);

impl CacheEngine for Mortal {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        self.0.get(key).await
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        self.0.put(key, response).await;
    }

    async fn invalidate_prefix(&self, prefix: &str) {
        self.0.invalidate_prefix(prefix).await;
    }

    fn rules(&self) -> CacheRules {
        self.0.rules()
    }

    fn claims(&self) -> Option<Claims> {
        Some(Claims::new(self.1.clone(), "claim:").hold(millis(200)))
    }
}

#[tokio::test]
async fn the_claim_of_a_process_that_dies_ends() {
    let (gated, store) = (Gated::new(), BoxStore::new(MemoryStore::new()));
    let cache = || Mortal(StoreCache::new(store.clone(), secs(600)), store.clone());
    let process = || gated.app(cache(), || "first".into_response());
    // A runtime that ends is a process that dies: nobody gives the claim back.
    let dying = process();
    let (running, asked) = (gated.clone(), dying.get("/").send());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.spawn(asked);
        runtime.block_on(running.wait_for_runs(1));
    })
    .join()
    .unwrap();
    let alive = process();
    let asking = ask_often(&alive, 50);
    gated.let_go(1000);
    assert!(all(asking).await.iter().all(|answer| answer == "2"));
    assert_eq!(gated.runs(), 2);
}

#[tokio::test]
async fn a_claim_is_renewed_while_the_handler_runs() {
    let (gated, store) = (Gated::new(), BoxStore::new(MemoryStore::new()));
    let cache = || Mortal(StoreCache::new(store.clone(), secs(600)), store.clone());
    let processes = [(); 2].map(|()| gated.app(cache(), || "first".into_response()));
    let asking: Vec<_> = processes.iter().flat_map(|client| ask_often(client, 50)).collect();
    gated.wait_for_runs(1).await;
    // Three times as long as a claim is held.
    tokio::time::sleep(millis(600)).await;
    gated.let_go(1000);
    assert!(all(asking).await.iter().all(|answer| answer == "first"));
    assert_eq!(gated.runs(), 1);
}

/// An engine that counts how often it is started and stopped.
#[derive(Clone)]
struct Counted {
    id: EngineId,
    started: Arc<AtomicU32>,
    stopped: Arc<AtomicU32>,
    refuses: bool,
}

impl Counted {
    fn new(refuses: bool) -> Self {
        let id = EngineId::new("counted");
        Self { id, started: Arc::default(), stopped: Arc::default(), refuses }
    }

    fn counts(&self) -> (u32, u32) {
        (self.started.load(Ordering::SeqCst), self.stopped.load(Ordering::SeqCst))
    }
}

impl CacheEngine for Counted {
    async fn get(&self, _: &str) -> Option<CachedResponse> {
        None
    }

    async fn put(&self, _: &str, _: CachedResponse) {}

    async fn invalidate_prefix(&self, _: &str) {}

    async fn start(&self) -> Result<Option<String>> {
        self.started.fetch_add(1, Ordering::SeqCst);
        match self.refuses {
            true => Err(Error::unavailable("nobody answers")),
            false => Ok(Some("it answers".to_owned())),
        }
    }

    async fn stop(&self) {
        self.stopped.fetch_add(1, Ordering::SeqCst);
    }

    fn id(&self) -> Option<EngineId> {
        Some(self.id.clone())
    }
}

#[tokio::test]
async fn an_engine_is_started_and_stopped_once_however_many_routes_have_it() {
    let (shared, other, away) = (Counted::new(false), Counted::new(false), Counted::new(true));
    let mut app = Ember::new();
    for (path, cache) in
        [("/a", &shared), ("/b", &shared), ("/c", &other), ("/d", &away), ("/e", &shared)]
    {
        app = app.route(Route::get(path, async || "made").cache(cache.clone()));
    }
    let client = TestClient::start(app).await.unwrap();
    let counts = || [&shared, &other, &away].map(Counted::counts);
    assert_eq!(counts(), [(1, 0); 3]);
    assert_eq!(client.get("/d").send().await.text().await, "made", "what is away is gone without");
    client.stop().await;
    assert_eq!(counts(), [(1, 1); 3]);
}

#[tokio::test]
async fn the_store_of_a_cache_is_closed_at_the_end() {
    let store = Flaky::new();
    store.go_away(true);
    let app = Ember::new().route(Route::get("/", async || "made").cache(cache(&store)));
    let client = TestClient::start(app).await.unwrap();
    assert_eq!(client.get("/").send().await.text().await, "made");
    assert!(!store.is_closed());
    client.stop().await;
    assert!(store.is_closed());
}

#[cfg(feature = "redis")]
mod redis {
    use ember::prelude::*;
    use ember::web::Route;
    use ember::web::cache::RedisCache;

    #[get("/rates", cache = RedisCache::new("reddis://:s3cret@localhost", secs(30)))]
    async fn rates() -> &'static str {
        "1.08"
    }

    #[test]
    fn an_address_that_is_none_is_a_problem_of_the_route() {
        let error = Ember::new().route(rates {}).build().unwrap_err();
        let [finding] = error.findings() else { panic!("{error}") };
        assert!(finding.message.contains("a `RedisCache` cannot be used"), "{error}");
        assert!(finding.places[0].contains("`rates` (tests/it/shared_caches.rs:"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        // One that two routes share is one problem.
        let cache = RedisCache::new("", secs(30)).key_prefix("a:").max_size(9);
        let route = |path: &str| Route::get(path, async || "x").cache(cache.clone());
        let error = Ember::new().route(route("/a")).route(route("/b")).build().unwrap_err();
        assert_eq!((error.findings().len(), error.findings()[0].places.len()), (1, 2));
    }
}
