//! Stores on real servers: what they must do, and what becomes of them when the server goes away.

mod caches;
#[cfg(all(feature = "sqlite", target_os = "linux"))]
mod files;
mod http;
mod limits;
mod nodes;
mod proxy;
mod server;
mod together;
mod weather;

use ember::base::clock::{millis, secs};
use ember::http::{HeaderMap, StatusCode};
use ember::llm::{Message, Sessions, StoreSessions};
use ember::store::{BoxStore, MemcachedStore, RedisStore, Store};
use ember::web::cache::{CacheEngine, CachedResponse, MemcachedCache, RedisCache};
use ember_tests::stores::{conforms, until};
use libtest_mimic::Trial;
use server::Server;
use std::time::{Duration, Instant};

/// How long an operation may take while the server is away: its limit for connecting and for the
/// answer, and as much again for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

const LIMIT: Duration = Duration::from_secs(1);

pub fn tests() -> Vec<Trial> {
    #[allow(unused_mut, reason = "some are behind features")]
    let mut tests = vec![
        super::needing(&["redis-server"], "redis_is_a_store", || {
            let server = Server::redis(&[]);
            run(conforms(redis(&server)));
        }),
        super::needing(&["redis-server", "redis-cli"], "a_redis_cluster_is_a_store", || {
            let cluster = server::Cluster::start();
            run(conforms(RedisStore::cluster(cluster.urls()).unwrap()));
        }),
        super::needing(
            &["redis-server", "redis-cli"],
            "a_redis_cluster_loses_a_node",
            nodes::one_goes_away,
        ),
        super::needing(
            &["redis-server", "redis-cli"],
            "a_node_of_a_redis_cluster_hangs",
            nodes::one_hangs,
        ),
        super::needing(
            &["redis-server", "redis-cli"],
            "a_redis_cluster_promotes_a_replica",
            nodes::one_is_replaced,
        ),
        super::needing(&["redis-server"], "redis_over_tls_is_checked", tls),
        super::needing(&["redis-server"], "redis_goes_away_and_comes_back", || {
            let server = Server::redis(&[]);
            run(goes_away(redis(&server), server));
        }),
        super::needing(&["redis-server"], "redis_with_a_password", password),
        super::needing(&["redis-server"], "conversations_are_shared_by_redis", || {
            let server = Server::redis(&[]);
            run(conversations(&server));
        }),
        super::needing(&["redis-server"], "answers_are_shared_by_redis", || {
            let server = Server::redis(&[]);
            let url = format!("redis://127.0.0.1:{}", server.port);
            let cache = || RedisCache::new(&url, secs(100));
            run(answers(cache(), cache(), server));
        }),
        super::needing(&["redis-server"], "two_processes_share_a_redis", || {
            together::share(Server::redis(&[]));
        }),
        super::offered("valkey-server", "valkey_is_a_store", || {
            let server = Server::valkey();
            run(async {
                let store = redis(&server);
                let told = store.check().await.unwrap();
                assert!(told.starts_with("Valkey "), "{told}");
                conforms(store).await;
            });
        }),
        super::offered("valkey-server", "valkey_goes_away_and_comes_back", || {
            let server = Server::valkey();
            run(goes_away(redis(&server), server));
        }),
        super::offered("valkey-server", "two_processes_share_a_valkey", || {
            together::share(Server::valkey());
        }),
        super::needing(&["redis-server"], "redis_behind_a_bad_network", weather::redis),
        super::needing(&["memcached"], "memcached_behind_a_bad_network", weather::memcached),
        super::needing(
            &["redis-server"],
            "an_application_whose_redis_is_behind_a_bad_network",
            weather::application,
        ),
        super::needing(&["redis-server"], "limits_are_shared_by_redis", || {
            let server = Server::redis(&[]);
            run(limits::hold_for_the_sum(|| redis(&server).into()));
        }),
        super::needing(&["redis-server"], "limits_without_redis", || {
            let server = Server::redis(&[]);
            let store = || BoxStore::from(redis(&server));
            let (one, other) = (store(), store());
            run(limits::are_denied_or_allowed(one, other, server));
        }),
        super::needing(&["redis-server"], "limits_are_settled_once", || {
            let server = Server::redis(&[]);
            run(limits::are_settled_once(redis(&server).into(), server));
        }),
        super::needing(
            &["redis-server", "redis-cli"],
            "limits_are_shared_by_a_redis_cluster",
            || {
                let cluster = server::Cluster::start();
                run(limits::hold_for_the_sum(|| {
                    RedisStore::cluster(cluster.urls()).unwrap().into()
                }));
            },
        ),
        super::needing(&["memcached"], "limits_are_shared_by_memcached", || {
            let server = Server::memcached();
            run(limits::hold_for_the_sum(|| memcached(&server).into()));
        }),
        super::needing(&["memcached"], "limits_without_memcached", || {
            let server = Server::memcached();
            let store = || BoxStore::from(memcached(&server));
            let (one, other) = (store(), store());
            run(limits::are_denied_or_allowed(one, other, server));
        }),
        super::needing(&["redis-server"], "applications_share_answers_by_redis", || {
            let server = Server::redis(&[]);
            let url = format!("redis://127.0.0.1:{}", server.port);
            let cache = || RedisCache::new(&url, secs(100));
            run(caches::applications([cache(), cache()], server));
        }),
        super::needing(&["memcached"], "applications_share_answers_by_memcached", || {
            let server = Server::memcached();
            let cache = || MemcachedCache::new("127.0.0.1", server.port, secs(100));
            run(caches::applications([cache(), cache()], server));
        }),
        super::needing(&["redis-server"], "models_answers_are_shared_by_redis", || {
            let server = Server::redis(&[]);
            let store = || redis(&server).into();
            run(caches::models([store(), store()], server));
        }),
        super::needing(&["memcached"], "models_answers_are_shared_by_memcached", || {
            let server = Server::memcached();
            let store = || memcached(&server).into();
            run(caches::models([store(), store()], server));
        }),
        super::needing(&["redis-server"], "a_check_tells_of_a_cache", || {
            let server = Server::redis(&[]);
            let checked = std::process::Command::new(env!("CARGO_BIN_EXE_cached"))
                .arg("check")
                .env("CACHE_URL", format!("redis://127.0.0.1:{}", server.port))
                .env_remove("EMBER_STORE")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success() && text.contains("cache: Redis "), "{text}");
            assert_eq!(text.matches("cache: ").count(), 1, "{text}");
        }),
        super::needing(&["memcached"], "answers_are_shared_by_memcached", || {
            let server = Server::memcached();
            let cache = || MemcachedCache::new("127.0.0.1", server.port, secs(100)).pool_size(2);
            run(answers(cache(), cache(), server));
        }),
        super::needing(&["memcached"], "memcached_is_a_store", || {
            let server = Server::memcached();
            run(conforms(memcached(&server)));
        }),
        super::needing(&["memcached"], "memcached_goes_away_and_comes_back", || {
            let server = Server::memcached();
            run(goes_away(memcached(&server), server));
        }),
    ];
    #[cfg(all(feature = "sqlite", target_os = "linux"))]
    tests.extend([
        super::needing(&["setpriv"], "sqlite_on_what_may_only_be_read", files::read_only),
        super::needing(&[], "sqlite_in_a_file_that_is_locked", files::locked),
        super::trying(&["mount", "umount"], "sqlite_on_a_disk_that_is_full", files::full),
    ]);
    tests
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

fn redis(server: &Server) -> RedisStore {
    redis_at(server.port)
}

fn redis_at(port: u16) -> RedisStore {
    RedisStore::new(format!("redis://127.0.0.1:{port}")).unwrap().timeout(LIMIT)
}

fn memcached(server: &Server) -> MemcachedStore {
    memcached_at(server.port)
}

fn memcached_at(port: u16) -> MemcachedStore {
    MemcachedStore::new("127.0.0.1", port).timeout(LIMIT)
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

/// Turns of one conversation, taken by two processes at a time, follow each other; the lock of one
/// that has died expires, and what it has not committed is nowhere.
async fn conversations(server: &Server) {
    let sessions = || StoreSessions::new(redis(server)).unwrap().hold(millis(400));
    let processes = [Sessions::new(sessions()), Sessions::new(sessions())];
    let turns = (0..20).map(|number| {
        let sessions = processes[number % 2].clone();
        tokio::spawn(async move {
            let (mut turn, before) = sessions.begin("shared", secs(20)).await.unwrap();
            tokio::time::sleep(millis(2)).await;
            let question = Message::user(format!("{number}"));
            let answer = Message::assistant(format!("{number} after {}", before.len()));
            turn.commit(vec![question, answer]).await.unwrap();
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        turn.await.unwrap();
    }
    let history = processes[0].load("shared").await.unwrap();
    assert_eq!(history.messages.len(), 40);
    for (place, pair) in history.messages.chunks(2).enumerate() {
        let number = pair[0].text();
        assert_eq!(pair[1].text(), format!("{number} after {}", 2 * place));
    }
    // A runtime that ends in the middle of a turn is a process that dies: nobody gives the lock back.
    let dying = Sessions::new(sessions());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let turn = runtime.block_on(dying.begin("shared", secs(20))).unwrap();
        drop(runtime);
        drop(turn);
    })
    .join()
    .unwrap();
    let (mut turn, before) = processes[1].begin("shared", secs(20)).await.unwrap();
    assert_eq!(before.len(), 40);
    turn.commit(vec![Message::user("next")]).await.unwrap();
}

/// What one process has kept the other gives; without the server there is nothing, and no error.
async fn answers(one: impl CacheEngine, other: impl CacheEngine, mut server: Server) {
    let answer = CachedResponse::new(StatusCode::OK, HeaderMap::new(), "made once");
    one.put("/a\nhost", answer.clone()).await;
    until(async || other.get("/a\nhost").await == Some(answer.clone())).await;
    other.invalidate("/a").await;
    assert_eq!(one.get("/a\nhost").await, None);
    one.put("/b\nhost", answer.clone()).await;
    server.pause();
    let begun = Instant::now();
    assert_eq!(other.get("/b\nhost").await, None);
    assert!(begun.elapsed() < BOUND);
    server.go_on();
    until(async || other.get("/b\nhost").await.is_some()).await;
    server.stop();
    assert_eq!(one.get("/b\nhost").await, None);
    one.put("/b\nhost", answer.clone()).await;
    server.start_again();
    until(async || {
        one.put("/b\nhost", answer.clone()).await;
        other.get("/b\nhost").await == Some(answer.clone())
    })
    .await;
}
