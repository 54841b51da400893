//! Stores: how long one get and one set of a value of 1 KiB take, one after the other.
//!
//! What asks runs in this program, on the driver's core, and so do the stores that are libraries: memory
//! and SQLite. Redis and Memcached are started here, pinned to the core of what is measured, on the
//! loopback interface and without anything on disk; where one is not installed its rows are missing, and
//! it is said. SQLite's file is in the temporary folder, and its set is on the disk when it returns.

use crate::folder::Folder;
use crate::process::{Foreign, free_address};
use crate::table::{self, middle, percentile};
use crate::{Options, Result, whose};
use ember::bytes::Bytes;
use ember::store::{BoxStore, MemcachedStore, MemoryStore, RedisStore, SqliteStore};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) async fn measure(options: &Options) -> Result {
    let folder = Folder::new()?;
    let file = folder.path().join("store.db");
    let subject = |name, store, sets| Subject { name, store, sets, _server: None };
    let mut subjects = vec![
        subject("memory, in this process", BoxStore::new(MemoryStore::new()), OPERATIONS),
        subject("SQLite, in this process", BoxStore::new(SqliteStore::new(file)), ON_DISK),
    ];
    subjects.extend(redis(folder.path()).await?);
    subjects.extend(memcached().await?);
    let mut figures: Vec<Vec<Figures>> = subjects.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            let seen = round(subject, options.scale).await;
            figures.push(seen.map_err(whose(subject.name, "get and set", number))?);
        }
    }
    let row = |(subject, rounds): (&Subject, &Vec<Figures>)| {
        let micros = |pick: fn(&Figures) -> f64| format!("{:.1}", middle(rounds, pick));
        vec![
            subject.name.to_owned(),
            micros(|figures| figures.get.median),
            micros(|figures| figures.get.p99),
            micros(|figures| figures.set.median),
            micros(|figures| figures.set.p99),
        ]
    };
    let rows: Vec<_> = subjects.iter().zip(&figures).map(row).collect();
    let columns = ["store", "get median µs", "get p99 µs", "set median µs", "set p99 µs"];
    let title = format!("Latency of a store, values of 1 KiB ({} rounds)", options.rounds);
    table::print(&title, &columns, &rows);
    Ok(())
}

/// How many operations are measured in a round, and of those that wait for the disk.
const OPERATIONS: usize = 5_000;
const ON_DISK: usize = 500;

/// How many keys they go to.
const KEYS: usize = 1_000;

const TTL: Duration = Duration::from_secs(3600);

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store, and the server behind it.
struct Subject {
    name: &'static str,
    store: BoxStore,
    sets: usize,
    _server: Option<Foreign>,
}

/// What one round has shown of a store.
struct Figures {
    get: Latency,
    set: Latency,
}

/// In microseconds: the middle, and what 99 of 100 keep below.
struct Latency {
    median: f64,
    p99: f64,
}

async fn round(subject: &Subject, scale: usize) -> Result<Figures> {
    let Subject { store, sets, .. } = subject;
    fill(store).await?;
    Ok(Figures { get: get(store, OPERATIONS * scale).await?, set: set(store, sets * scale).await? })
}

fn key(number: usize) -> String {
    format!("key {}", number % KEYS)
}

fn value() -> Bytes {
    vec![0xa5; 1024].into()
}

/// Puts something under each key. SQLite is not asked to do so in every round.
async fn fill(store: &BoxStore) -> Result {
    for number in 0..KEYS {
        if !store.exists(&key(number)).await? {
            store.set(&key(number), value(), TTL).await?;
        }
    }
    Ok(())
}

async fn get(store: &BoxStore, times: usize) -> Result<Latency> {
    let mut durations = Vec::with_capacity(times);
    for number in 0..times {
        let key = key(number);
        let begun = Instant::now();
        let found = store.get(&key).await?;
        durations.push(begun.elapsed());
        if found.is_none_or(|found| found.len() != 1024) {
            return Err(format!("{} has lost a value", store.name()).into());
        }
    }
    Ok(Latency::of(durations))
}

async fn set(store: &BoxStore, times: usize) -> Result<Latency> {
    let mut durations = Vec::with_capacity(times);
    for number in 0..times {
        let (key, value) = (key(number), value());
        let begun = Instant::now();
        store.set(&key, value, TTL).await?;
        durations.push(begun.elapsed());
    }
    Ok(Latency::of(durations))
}

impl Latency {
    fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |percent: usize| {
            percentile(&durations, percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        Self { median: at(50), p99: at(99) }
    }
}

async fn redis(folder: &Path) -> Result<Option<Subject>> {
    let Some(program) = find("redis-server") else { return Ok(None) };
    let port = free_address()?.port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no"]).current_dir(folder);
    let server = Foreign::start(command)?;
    let store = BoxStore::new(RedisStore::new(format!("redis://127.0.0.1:{port}"))?);
    started("Redis", store, server).await.map(Some)
}

async fn memcached() -> Result<Option<Subject>> {
    let Some(program) = find("memcached") else { return Ok(None) };
    let port = free_address()?.port();
    let mut command = Command::new(program);
    command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0", "-u", "nobody"]);
    let server = Foreign::start(command)?;
    let store = BoxStore::new(MemcachedStore::new("127.0.0.1", port));
    started("Memcached", store, server).await.map(Some)
}

/// Waits until a server answers.
async fn started(name: &'static str, store: BoxStore, mut server: Foreign) -> Result<Subject> {
    let begun = Instant::now();
    loop {
        match store.check().await {
            Ok(answered) => {
                println!("{answered}");
                return Ok(Subject { name, store, sets: OPERATIONS, _server: Some(server) });
            }
            Err(error) if begun.elapsed() > PATIENCE || server.has_ended()? => {
                return Err(format!("{name} does not start: {error}").into());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Where a program is; says so when it is nowhere.
fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&folders).map(|folder| folder.join(program));
    let found = places.find(|path| path.is_file());
    if found.is_none() {
        println!("{program} is not installed, and not measured.");
    }
    found
}
