//! Stores: how long one get and one set of a value of 1 KiB take, one after the other.
//!
//! Redis and Memcached are started here, pinned to the core of what is measured, on the loopback
//! interface and without anything on disk; where one is not installed its rows are missing, and it is
//! said. SQLite's file is in the temporary folder, and its set is on the disk when it returns.

use crate::process::Foreign;
use crate::table::{self, median};
use crate::Result;
use crate::options::Options;
use ember::bytes::Bytes;
use ember::store::{BoxStore, MemcachedStore, MemoryStore, RedisStore, SqliteStore};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

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

/// The durations of a round, in microseconds: the middle, and what 99 of 100 keep below.
#[derive(Clone, Copy)]
struct Figures {
    median: f64,
    p99: f64,
}

pub(crate) async fn measure(options: &Options) -> Result {
    let folder = Folder::new()?;
    let file = folder.0.join("store.db");
    let subject = |name, store, sets| Subject { name, store, sets, _server: None };
    let mut subjects = vec![
        subject("memory", BoxStore::new(MemoryStore::new()), OPERATIONS),
        subject("SQLite", BoxStore::new(SqliteStore::new(file)), ON_DISK),
    ];
    subjects.extend(redis(&folder.0).await?);
    subjects.extend(memcached().await?);
    let mut figures = vec![(Vec::new(), Vec::new()); subjects.len()];
    for _ in 0..options.rounds {
        for (subject, (gets, sets)) in subjects.iter().zip(&mut figures) {
            fill(&subject.store).await?;
            gets.push(get(&subject.store, OPERATIONS * options.scale).await?);
            sets.push(set(&subject.store, subject.sets * options.scale).await?);
        }
    }
    let rows: Vec<_> = subjects
        .iter()
        .zip(&figures)
        .map(|(subject, (gets, sets))| {
            let of = |rounds: &[Figures], pick: fn(&Figures) -> f64| {
                let picked: Vec<_> = rounds.iter().map(pick).collect();
                format!("{:.1}", median(&picked).unwrap_or(f64::NAN))
            };
            vec![
                subject.name.to_owned(),
                of(gets, |figures| figures.median),
                of(gets, |figures| figures.p99),
                of(sets, |figures| figures.median),
                of(sets, |figures| figures.p99),
            ]
        })
        .collect();
    let columns = ["store", "get median µs", "get p99 µs", "set median µs", "set p99 µs"];
    let title = format!("Latency of a store, values of 1 KiB ({} rounds)", options.rounds);
    table::print(&title, &columns, &rows);
    Ok(())
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

async fn get(store: &BoxStore, times: usize) -> Result<Figures> {
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
    Ok(figures(durations))
}

async fn set(store: &BoxStore, times: usize) -> Result<Figures> {
    let mut durations = Vec::with_capacity(times);
    for number in 0..times {
        let (key, value) = (key(number), value());
        let begun = Instant::now();
        store.set(&key, value, TTL).await?;
        durations.push(begun.elapsed());
    }
    Ok(figures(durations))
}

fn figures(mut durations: Vec<Duration>) -> Figures {
    durations.sort_unstable();
    let at = |part: usize| {
        let place = (durations.len() * part / 100).min(durations.len().saturating_sub(1));
        durations.get(place).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e6)
    };
    Figures { median: at(50), p99: at(99) }
}

async fn redis(folder: &Path) -> Result<Option<Subject>> {
    let Some(program) = find("redis-server") else { return Ok(None) };
    let port = free_port()?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no"]).current_dir(folder);
    let server = Foreign::start(command)?;
    let store = BoxStore::new(RedisStore::new(format!("redis://127.0.0.1:{port}"))?);
    started("Redis", store, server).await.map(Some)
}

async fn memcached() -> Result<Option<Subject>> {
    let Some(program) = find("memcached") else { return Ok(None) };
    let port = free_port()?;
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

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A folder that goes away with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ember-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder hurts nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
