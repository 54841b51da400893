//! Stores on real servers: what they must do, and what becomes of them when the server goes away.

mod server;

use ember::base::clock::secs;
use ember::store::{BoxStore, MemcachedStore, RedisStore, Store};
use ember_tests::stores::{conforms, until};
use libtest_mimic::Trial;
use server::Server;
use std::time::{Duration, Instant};

/// How long an operation may take while the server is away: its limit for connecting and for the
/// answer, and as much again for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

const LIMIT: Duration = Duration::from_secs(1);

pub fn tests() -> Vec<Trial> {
    vec![
        super::needing(&["redis-server"], "redis_is_a_store", || {
            let server = Server::redis(&[]);
            run(conforms(redis(&server)));
        }),
        super::needing(&["redis-server", "redis-cli"], "a_redis_cluster_is_a_store", || {
            let cluster = server::Cluster::start();
            run(conforms(RedisStore::cluster(cluster.urls()).unwrap()));
        }),
        super::needing(&["redis-server"], "redis_over_tls_is_checked", tls),
        super::needing(&["redis-server"], "redis_goes_away_and_comes_back", || {
            let server = Server::redis(&[]);
            run(goes_away(redis(&server), server));
        }),
        super::needing(&["redis-server"], "redis_with_a_password", password),
        super::needing(&["memcached"], "memcached_is_a_store", || {
            let server = Server::memcached();
            run(conforms(memcached(&server)));
        }),
        super::needing(&["memcached"], "memcached_goes_away_and_comes_back", || {
            let server = Server::memcached();
            run(goes_away(memcached(&server), server));
        }),
    ]
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

fn redis(server: &Server) -> RedisStore {
    RedisStore::new(format!("redis://127.0.0.1:{}", server.port)).unwrap().timeout(LIMIT)
}

fn memcached(server: &Server) -> MemcachedStore {
    MemcachedStore::new("127.0.0.1", server.port).timeout(LIMIT)
}

/// Stopped, paused, restarted empty: told in time, and used again without a word.
async fn goes_away(store: impl Store, mut server: Server) {
    store.set("a", "one".into(), secs(100)).await.unwrap();

    server.pause();
    is_told(&store).await;
    // Many at once do not wait for each other.
    let begun = Instant::now();
    let all = (0..20).map(|_| store.get("a"));
    let outcomes = ember::futures_util::future::join_all(all).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    server.go_on();
    until(async || store.get("a").await.is_ok_and(|value| value.is_some())).await;

    server.stop();
    is_told(&store).await;
    is_told(&store).await;
    server.start_again();
    until(async || store.get("a").await.is_ok()).await;
    assert_eq!(store.get("a").await.unwrap(), None, "it was restarted empty");
    store.set("a", "two".into(), secs(100)).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"two"[..]));

    // It goes and comes while nobody looks: who comes first must not be told of it for ever.
    server.stop();
    server.start_again();
    until(async || store.set("a", "three".into(), secs(100)).await.is_ok()).await;
}

async fn is_told(store: &impl Store) {
    let begun = Instant::now();
    let error = store.get("a").await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(secs(1))), "{error}");
    assert!(error.source().is_some(), "the log is told why");
    let error = store.check().await.unwrap_err();
    assert_eq!(error.status(), 503);
    assert!(begun.elapsed() < 2 * BOUND, "{:?}", begun.elapsed());
}

fn password() {
    let server = Server::redis(&["--requirepass", "s3cret"]);
    run(async {
        let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/", server.port);
        let error = BoxStore::from_url(&url("wrong")).unwrap().check().await.unwrap_err();
        assert_eq!(error.status(), 503);
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let store = BoxStore::from_url(&url("s3cret")).unwrap();
        let answered = store.check().await.unwrap();
        assert!(answered.contains(&server.port.to_string()), "{answered}");
        assert!(!answered.contains("s3cret"), "{answered}");
    });
}

/// A certificate that nobody vouches for is refused, and one that the system trusts is taken.
fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let server = Server::redis_over_tls(&certificate, &key);
    run(async {
        let store = RedisStore::new(format!("rediss://localhost:{}", server.port)).unwrap();
        let error = store.timeout(LIMIT).check().await.unwrap_err();
        assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    });
    // Which certificates the system trusts is read from the environment, that of another process.
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_store_check"))
        .arg(format!("rediss://localhost:{}", server.port))
        .env("SSL_CERT_FILE", certificate)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&program.stdout);
    assert!(text.contains("Redis"), "{text}{}", String::from_utf8_lossy(&program.stderr));
}
