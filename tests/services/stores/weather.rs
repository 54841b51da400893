//! Stores, and applications, whose server is behind a bad network.

use super::http::{self, Answer};
use super::proxy::{Proxy, Weather};
use super::server::Server;
use super::together::{pairs, process, turn};
use super::{BOUND, LIMIT, memcached_at, redis_at, run};
use ember::base::clock::{millis, secs};
use ember::bytes::Bytes;
use ember::store::{Capability, Store};
use ember_tests::stores::until;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// Everything that keeps operations from ending well.
const BAD: [Weather; 5] =
    [Weather::Silent, Weather::Closed, Weather::Reset, Weather::Cut(3), Weather::Slow(secs(3))];

pub fn redis() {
    let server = Server::redis(&[]);
    let proxy = Proxy::before(server.port);
    run(async {
        let store = redis_at(proxy.port);
        operations_end(&store, &proxy).await;
        writes_are_not_done_twice(&store, &proxy).await;
        answers_are_to_the_question(store, &proxy).await;
    });
}

pub fn memcached() {
    let server = Server::memcached();
    let proxy = Proxy::before(server.port);
    run(async {
        let store = memcached_at(proxy.port);
        operations_end(&store, &proxy).await;
        writes_are_not_done_twice(&store, &proxy).await;
        answers_are_to_the_question(store, &proxy).await;
    });
}

/// Each operation ends in time and says 503, and none needs to be told that the weather is fine again.
async fn operations_end(store: &impl Store, proxy: &Proxy) {
    for weather in BAD {
        store.set("a", "one".into(), secs(100)).await.unwrap();
        proxy.turn(weather);
        let begun = Instant::now();
        let value = || Bytes::from_static(b"two");
        let outcomes = [
            store.get("a").await.map(drop),
            store.set("a", value(), secs(100)).await,
            store.delete("b").await.map(drop),
            store.exists("a").await.map(drop),
            store.compare_and_set("a", Some("x".into()), value(), secs(100)).await.map(drop),
            store.check().await.map(drop),
        ];
        for outcome in outcomes {
            let error = outcome.expect_err("nothing came back");
            let told = (error.status().as_u16(), error.retry_after());
            assert_eq!(told, (503, Some(secs(1))), "{weather:?}: {error}");
        }
        if store.capabilities().contains(&Capability::Lock) {
            assert_eq!(store.try_lock("a", secs(1)).await.unwrap_err().status(), 503);
        }
        assert!(begun.elapsed() < 7 * BOUND, "{weather:?}: {:?}", begun.elapsed());
        proxy.turn(Weather::Fine);
        until(async || store.get("a").await.is_ok()).await;
    }
    // What comes late, but within the limit, comes.
    store.set("a", "one".into(), secs(100)).await.unwrap();
    proxy.turn(Weather::Slow(LIMIT / 10));
    assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"one"[..]));
    proxy.turn(Weather::Fine);
}

/// What was done by a connection that broke before it told so is not tried again behind the back of
/// whoever asked, who would be told that somebody else had been first.
async fn writes_are_not_done_twice(store: &impl Store, proxy: &Proxy) {
    store.set("a", "one".into(), secs(100)).await.unwrap();
    proxy.turn(Weather::Gust);
    let added = store.compare_and_set("new", None, "one".into(), secs(100)).await;
    assert_eq!(added.expect_err("nothing came back").status(), 503);
    let there = store.get("new").await.unwrap();
    assert_eq!(there.as_deref(), Some(&b"one"[..]), "it was done");
    proxy.turn(Weather::Fine);
    assert!(store.exists("new").await.unwrap());
    proxy.turn(Weather::Gust);
    assert_eq!(store.delete("new").await.expect_err("nothing came back").status(), 503);
    assert!(!store.exists("new").await.unwrap());
    // Connections that were closed while nobody used them are no reason to say 503.
    store.set("a", "one".into(), secs(100)).await.unwrap();
    proxy.turn(Weather::Closed);
    // Longer than a connection may be unused without being tried.
    tokio::time::sleep(millis(1500)).await;
    proxy.turn(Weather::Fine);
    assert!(store.compare_and_set("other", None, "one".into(), secs(100)).await.unwrap());
}

/// Many ask at a time while connections break in the middle of answers: whoever is answered is
/// answered what was asked.
async fn answers_are_to_the_question(store: impl Store + Clone, proxy: &Proxy) {
    const KEYS: usize = 40;
    let value = |key: usize| Bytes::from(format!("value {key} ").repeat(1 + key * 7));
    for key in 0..KEYS {
        store.set(&format!("key {key}"), value(key), secs(1000)).await.unwrap();
    }
    let (good, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let asking = (0..KEYS).map(|key| {
        let (store, good, failed) = (store.clone(), Arc::clone(&good), Arc::clone(&failed));
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            let name = format!("key {key}");
            let answered = |is_good: bool| {
                let count = if is_good { &good } else { &failed };
                count.fetch_add(1, Ordering::Relaxed);
            };
            while !is_over.load(Ordering::Relaxed) {
                match store.get(&name).await {
                    Ok(found) => {
                        assert_eq!(found, Some(value(key)), "the answer to another question")
                    }
                    Err(error) => {
                        assert_eq!(error.status(), 503, "{error}");
                        answered(false);
                        tokio::time::sleep(millis(5)).await;
                        continue;
                    }
                }
                answered(true);
                // Whoever does not wait for the answer leaves it to nobody.
                let _ = tokio::time::timeout(millis(1), store.get("key 39")).await;
                if let Ok(is_there) = store.exists(&name).await {
                    assert!(is_there);
                }
                let wrong = Some(Bytes::from_static(b"another value"));
                let changed = store.compare_and_set(&name, wrong, Bytes::new(), secs(100)).await;
                if let Ok(changed) = changed {
                    assert!(!changed);
                }
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    for round in 0..40_usize {
        let weather = match round % 4 {
            0 => Weather::Cut(round * 97 % 2500),
            1 => Weather::Reset,
            2 => Weather::Cut(1 + round % 7),
            _ => Weather::Slow(millis(30)),
        };
        proxy.turn(weather);
        tokio::time::sleep(millis(30)).await;
        // So long that somebody connects in spite of the pauses after failures.
        let before = good.load(Ordering::Relaxed);
        proxy.turn(Weather::Fine);
        until(async || good.load(Ordering::Relaxed) > before + KEYS).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for task in asking {
        task.await.unwrap();
    }
    let (good, failed) = (good.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    let connections = proxy.connections();
    println!("{good} answers to what was asked, {failed} failures, {connections} connections");
    assert!(failed > 0 && connections > 10);
}

/// An application behind such a network: conversations and sessions say 503, caches do without, and
/// all of it works again by itself.
pub fn application() {
    const ID: &str = "0123456789abcdef0123456789abcdef";
    let server = Server::redis(&[]);
    let proxy = Proxy::before(server.port);
    let serving = process(&format!("redis://127.0.0.1:{}", proxy.port));
    let address = &*serving.address;
    let works = || {
        let answer = turn(address, "/stream", ID, "works").unwrap();
        answer.is_good() && http::get(address, "/visits", &[]).unwrap().status == 200
    };
    assert!(works());
    let mut asked = 0;
    let mut acknowledged = BTreeSet::new();
    for weather in BAD {
        proxy.turn(weather);
        for path in ["/stream", "/whole"] {
            is_told(&turn(address, path, ID, "in bad weather").unwrap(), weather);
        }
        is_told(&http::get(address, "/visits", &[]).unwrap(), weather);
        is_told(&http::get(address, &format!("/conversations/{ID}"), &[]).unwrap(), weather);
        for path in ["/kept/a", "/redis/a"] {
            let answer = http::get(address, path, &[]).unwrap();
            assert!(answer.is_good(), "{weather:?}: {answer:?}");
        }
        proxy.turn(Weather::Fine);
        let begun = Instant::now();
        while !works() {
            assert!(begun.elapsed() < secs(30), "it does not recover from {weather:?}");
        }
        let kept = || http::get(address, "/kept/b", &[]).unwrap().body;
        while kept() != kept() {
            assert!(begun.elapsed() < secs(30), "nothing is kept after {weather:?}");
        }
    }
    // In the middle of turns: what was acknowledged is there, and nothing is half.
    for round in 0..30_usize {
        std::thread::scope(|scope| {
            let path = if round % 2 == 0 { "/stream" } else { "/whole" };
            asked += 1;
            let text = format!("turn {asked}");
            let said = scope.spawn(move || turn(address, path, ID, &text).unwrap());
            std::thread::sleep(millis(round as u64 % 15));
            proxy.turn(if round % 3 == 0 { Weather::Reset } else { Weather::Cut(round * 7) });
            std::thread::sleep(millis(5));
            proxy.turn(Weather::Fine);
            if said.join().unwrap().is_good() {
                acknowledged.insert(format!("turn {asked}"));
            }
        });
    }
    let begun = Instant::now();
    while !works() {
        assert!(begun.elapsed() < secs(30), "it does not recover");
    }
    let said = pairs(address, ID);
    let mut questions = BTreeSet::new();
    for (place, (question, answer)) in said.iter().enumerate() {
        assert_eq!(*answer, format!("after {}: {question}", 2 * place));
        assert!(question == "works" || questions.insert(question.clone()), "twice: {question}");
    }
    assert!(acknowledged.is_subset(&questions), "lost: {acknowledged:?} of {questions:?}");
    println!("{asked} turns were cut, {} acknowledged, none lost, none half", acknowledged.len());
}

fn is_told(answer: &Answer, weather: Weather) {
    assert_eq!(answer.status, 503, "{weather:?}: {answer:?}");
    assert!(answer.header("retry-after").is_some(), "{weather:?}: {answer:?}");
    assert!(!answer.body.contains("127.0.0.1"), "{answer:?}");
}
