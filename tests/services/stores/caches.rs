//! Caches of two applications on one server: what is made once, and what becomes of it without the server.

use super::server::Server;
use super::{BOUND, until};
use ember::base::clock::millis;
use ember::futures_util::future::join_all;
use ember::llm::layer::CacheConfig;
use ember::llm::{Client, FakeProvider, FakeReply, SemanticCache};
use ember::store::BoxStore;
use ember::testing::{NgramEmbedder, TestClient};
use ember::web::Route;
use ember::web::cache::CacheEngine;
use ember::{Ember, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A hundred concurrent misses run the handler once; a server that is paused or gone delays and fails nothing,
/// and is used again when it is back.
pub async fn applications(caches: [impl CacheEngine; 2], mut server: Server) {
    let runs = Arc::new(AtomicU32::new(0));
    let mut clients = Vec::new();
    for cache in caches {
        let runs = runs.clone();
        let handler = move || {
            let runs = runs.clone();
            async move {
                let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(millis(300)).await;
                Ok::<_, Error>(run.to_string())
            }
        };
        let app = Ember::new().route(Route::get("/{*path}", handler).cache(cache));
        clients.push(TestClient::start(app).await.unwrap());
    }
    let get = async |client: &TestClient, path: &str| client.get(path).send().await.text().await;
    let asked = (0..100).map(|index| get(&clients[index % 2], "/a"));
    let answers = join_all(asked).await;
    assert!(answers.iter().all(|answer| answer == "1"), "{answers:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    server.pause();
    let begun = Instant::now();
    let answers = join_all(clients.iter().map(|client| get(client, "/a"))).await;
    assert!(answers.iter().all(|answer| answer != "1"), "{answers:?}");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    server.go_on();
    until(async || get(&clients[0], "/a").await == get(&clients[1], "/a").await).await;

    let kept = get(&clients[0], "/a").await;
    server.stop();
    assert_ne!(get(&clients[0], "/a").await, kept);
    server.start_again();
    until(async || get(&clients[0], "/b").await == get(&clients[1], "/b").await).await;
    for client in clients {
        client.stop().await;
    }
}

/// Both caches of models' answers, in both forms.
pub async fn models(stores: [BoxStore; 2], mut server: Server) {
    let fake = FakeProvider::new().respond(|_| {
        FakeReply::new().text("At settings, security, as it stands there.").delay(millis(200))
    });
    let clients = stores.map(|store| {
        let config = CacheConfig::new().store(store.clone());
        let layered = Client::builder().provider(fake.clone()).cache(config).build().unwrap();
        let cache = SemanticCache::new(NgramEmbedder::new()).threshold(0.6).store(store);
        (layered, Client::new(fake.clone()).semantic_cache(cache))
    });
    let ask = async |client: &Client, question: &str, streamed: bool| match streamed {
        true => client.stream(question).await.unwrap().collect().await.unwrap(),
        false => client.complete(question).await.unwrap(),
    };
    let of = |index: usize| &clients[index % 2];
    let asked = (0..20).map(|index| ask(&of(index).0, "How are you?", index % 3 == 0));
    join_all(asked).await;
    assert_eq!(fake.requests().len(), 1);
    let question = "How do I reset my password?";
    join_all((0..20).map(|index| ask(&of(index).1, question, index % 3 == 0))).await;
    assert_eq!(fake.requests().len(), 2);
    for streamed in [false, true] {
        let near = ask(&of(1).1, "how can I reset my password", streamed).await;
        assert!(near.cached.unwrap().similarity < 1.0);
    }
    // Enough for several pages, of which each process has written half.
    let square = |number: usize| format!("What is the square of {number}?");
    let asked = (0..150).map(|number| {
        let question = square(number);
        async move { ask(&of(number).1, &question, false).await }
    });
    join_all(asked).await;
    for index in [0, 1] {
        let all = async |number: usize| ask(&of(index).1, &square(number), true).await.cached;
        until(async || join_all((0..150).map(all)).await.iter().all(Option::is_some)).await;
    }
    let begun = fake.requests().len();
    server.pause();
    let (paused, fresh) = (Instant::now(), "Who wrote Hamlet?");
    for index in [0, 1] {
        ask(&of(index).0, fresh, index == 0).await;
        ask(&of(index).1, fresh, index == 1).await;
    }
    assert_eq!(fake.requests().len(), begun + 4, "each is by itself");
    assert!(paused.elapsed() < 4 * BOUND, "{:?}", paused.elapsed());
    server.go_on();
    server.stop();
    assert!(ask(&of(0).1, question, true).await.cached.is_some(), "it is in memory");
    server.start_again();
    let number = AtomicU32::new(0);
    until(async || {
        let question = format!("Where is street {}?", number.fetch_add(1, Ordering::SeqCst));
        ask(&of(0).1, &question, false).await;
        ask(&of(1).1, &question, true).await.cached.is_some()
    })
    .await;
}
