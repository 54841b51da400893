//! A Redis cluster one of whose nodes is killed.

use super::server::Cluster;
use super::{BOUND, run};
use ember::base::clock::{millis, secs};
use ember::store::{RedisStore, Store as _};
use ember_tests::stores::until;
use std::time::{Duration, Instant};

const LIMIT: Duration = secs(1);

fn keys() -> impl Iterator<Item = String> {
    (0..60).map(|number| format!("key {number}"))
}

/// Keys that a node has, and those that the others have.
struct Shares {
    of_node: Vec<String>,
    of_others: Vec<String>,
}

/// Keeps each key under itself.
async fn fill(store: &RedisStore, cluster: &Cluster, node: usize) -> Shares {
    for key in keys() {
        store.set(&key, key.clone().into(), secs(1000)).await.unwrap();
    }
    let listed = cluster.ask(&cluster.nodes[node], &["keys", "*"]);
    let is_there = |key: &String| listed.lines().any(|line| line == format!("ember:v:{key}"));
    let (of_node, of_others): (Vec<_>, Vec<_>) = keys().partition(is_there);
    assert!(!of_node.is_empty() && !of_others.is_empty());
    Shares { of_node, of_others }
}

/// Whether all of these are kept under themselves.
async fn are_there(store: &RedisStore, keys: &[String]) -> bool {
    for key in keys {
        if !store.get(key).await.is_ok_and(|found| found.as_deref() == Some(key.as_bytes())) {
            return false;
        }
    }
    true
}

/// Whether the first node, which the store was told of, or the last, which it found, goes away: keys
/// of the others are there all the time, and its own are again when it is.
pub fn one_goes_away() {
    let mut cluster = Cluster::start();
    run(async {
        for node in [0, 2] {
            let store = RedisStore::cluster(cluster.urls()).unwrap().timeout(LIMIT);
            let shares = fill(&store, &cluster, node).await;
            cluster.nodes[node].stop();
            is_missed(&store, &shares).await;
            // Somebody who comes only now gets on with what there is.
            let late = RedisStore::cluster(cluster.urls()).unwrap().timeout(LIMIT);
            is_missed(&late, &shares).await;
            cluster.nodes[node].start_again();
            for store in [&store, &late] {
                until(async || store.get(&shares.of_node[0]).await.is_ok()).await;
            }
            // It has come back empty.
            until(async || store.set(&shares.of_node[0], "new".into(), secs(9)).await.is_ok())
                .await;
            let found = async || late.get(&shares.of_node[0]).await;
            until(async || found().await.is_ok_and(|found| found.as_deref() == Some(b"new"))).await;
            assert!(are_there(&store, &shares.of_others).await);
        }
    });
}

/// A node that says nothing any more, as on a machine that hangs, delays the others no longer than
/// the limit allows.
pub fn one_hangs() {
    let cluster = Cluster::start();
    run(async {
        let store = RedisStore::cluster(cluster.urls()).unwrap().timeout(LIMIT);
        let shares = fill(&store, &cluster, 2).await;
        cluster.nodes[2].pause();
        is_missed(&store, &shares).await;
        cluster.nodes[2].go_on();
        until(async || are_there(&store, &shares.of_node).await).await;
    });
}

async fn is_missed(store: &RedisStore, shares: &Shares) {
    // The connection may have to be made first.
    until(async || are_there(store, &shares.of_others).await).await;
    for (round, key) in shares.of_node.iter().enumerate() {
        let begun = Instant::now();
        let error = match round % 2 {
            0 => store.get(key).await.unwrap_err(),
            _ => store.set(key, "x".into(), secs(100)).await.unwrap_err(),
        };
        assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(secs(1))), "{error}");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        for key in &shares.of_others {
            let found = store.get(key).await.unwrap();
            assert_eq!(found.as_deref(), Some(key.as_bytes()));
        }
        if round == 5 {
            break;
        }
    }
}

/// A replica takes the place of the primary that is killed, and has what that had.
pub fn one_is_replaced() {
    let mut cluster = Cluster::with_replicas(1);
    run(async {
        let store = RedisStore::cluster(cluster.urls()).unwrap().timeout(LIMIT);
        let shares = fill(&store, &cluster, 0).await;
        let copied = cluster.ask(&cluster.nodes[0], &["wait", "1", "10000"]);
        assert_eq!(copied.trim(), "1");
        cluster.nodes[0].stop();
        let begun = Instant::now();
        until(async || are_there(&store, &shares.of_node).await).await;
        println!("keys of a primary that was killed were there again after {:?}", begun.elapsed());
        assert!(are_there(&store, &shares.of_others).await);
        // It comes back as a replica, and nothing changes.
        cluster.nodes[0].start_again();
        for _ in 0..20 {
            until(async || are_there(&store, &shares.of_node).await).await;
            tokio::time::sleep(millis(100)).await;
        }
        store.set(&shares.of_node[0], "new".into(), secs(100)).await.unwrap();
    });
}
