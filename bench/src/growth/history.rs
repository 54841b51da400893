//! Messages that a conversation has already, by the store that keeps it.
//!
//! A turn is whole: it waits for the conversation, loads it, makes the request of all its messages,
//! asks a model that answers at once, and remembers both. It does not hold what a provider's adapter
//! makes of the messages. Loading and writing are shown alone as well: the first is in proportion to
//! the history, as a model is sent all of it; the second is to be flat.
//!
//! Each of sixteen conversations has so many messages at first, written turn by turn, and then
//! sixteen turns more, so that the store has tidied up once on average.

use super::silent::{ANSWER, Silent};
use super::{Area, Work};
use crate::Result;
use crate::process::STORED;
use ember::bytes::Bytes;
use ember::llm::{
    Client, MemorySessionStore, Message, Session, SessionChange, SessionStore, StoreSessions,
};
use ember::store::{Capability, MemoryStore, ScanPage, SqliteStore, Store};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

pub(super) const AREA: Area = Area {
    name: "history",
    title: "One turn of a conversation that has so many messages",
    cases: &[
        "MemorySessionStore: turn",
        "MemorySessionStore: load",
        "MemorySessionStore: write",
        "StoreSessions in memory: turn",
        "StoreSessions in memory: load",
        "StoreSessions in memory: write",
        "StoreSessions in SQLite: turn",
        "StoreSessions in SQLite: load",
        "StoreSessions in SQLite: write",
    ],
    sizes: &[2, 20, 200, 2_000],
    times: |_| (CONVERSATIONS, CONVERSATIONS * TURNS),
    ready,
    writes: true,
};

const CONVERSATIONS: usize = 16;
const TURNS: usize = 16;

const QUESTION: &str = "What does the model say next, and how does it go on?";

fn ready(case: &str, length: usize) -> Result<Work> {
    let (store, what) = case.split_once(": ").ok_or("there is no such case")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match store {
        "MemorySessionStore" => work(runtime, MemorySessionStore::new(), what, length, None),
        "StoreSessions in memory" => {
            let store = StoreSessions::new(Counting(MemoryStore::new()))?;
            work(runtime, store, what, length, None)
        }
        _ => {
            let folder = Folder::new()?;
            let file = SqliteStore::new(folder.0.join("store.sqlite"));
            work(runtime, StoreSessions::new(Counting(file))?, what, length, Some(folder))
        }
    }
}

fn work<S: SessionStore>(
    runtime: Runtime,
    store: S,
    what: &str,
    length: usize,
    folder: Option<Folder>,
) -> Result<Work> {
    let ids: Vec<String> = (0..CONVERSATIONS).map(|number| format!("{number:032x}")).collect();
    let mut versions = runtime.block_on(seed(&store, &ids, length))?;
    let mut lengths = [length; CONVERSATIONS];
    let mut next = 0;
    let mut turn = move || {
        next = (next + 1) % CONVERSATIONS;
        next
    };
    Ok(match what {
        "turn" => {
            let client = Client::new(Silent { calls: None }).sessions(store);
            let sessions: Vec<Session> = ids.iter().map(|id| client.session(id.as_str())).collect();
            Box::new(move || {
                // The file lives as long as what is kept in it.
                let _ = &folder;
                let answer = runtime.block_on(sessions[turn()].ask(QUESTION))?;
                if answer == ANSWER { Ok(()) } else { Err("an answer is wrong".into()) }
            })
        }
        "load" => Box::new(move || {
            let _ = &folder;
            let at = turn();
            let history = runtime.block_on(store.load(&ids[at]))?;
            match history.messages.len() == lengths[at] {
                true => Ok(()),
                false => Err("a conversation is not what it was".into()),
            }
        }),
        _ => Box::new(move || {
            let _ = &folder;
            let at = turn();
            lengths[at] += 2;
            versions[at] = runtime.block_on(store.write(&ids[at], versions[at], said()))?;
            Ok(())
        }),
    })
}

/// Begins the conversations, turn by turn; returns their versions.
async fn seed<S: SessionStore>(store: &S, ids: &[String], length: usize) -> Result<Vec<u64>> {
    let mut versions = vec![0; ids.len()];
    for _ in 0..length / 2 {
        for (id, version) in ids.iter().zip(&mut versions) {
            *version = store.write(id, *version, said()).await?;
        }
    }
    Ok(versions)
}

/// One turn.
fn said() -> SessionChange {
    SessionChange::append(vec![Message::user(QUESTION), Message::assistant(ANSWER)])
}

/// A folder that is removed in the end: in memory where the machine has such, so that no disk is
/// measured.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = parent.join(format!("ember-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left behind, and seen there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Stored<T> = std::result::Result<T, ember::Error>;

/// Counts the bytes that are handed to a store.
struct Counting<S>(S);

impl<S: Store> Store for Counting<S> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn capabilities(&self) -> &'static [Capability] {
        self.0.capabilities()
    }

    async fn check(&self) -> Stored<String> {
        self.0.check().await
    }

    async fn get(&self, key: &str) -> Stored<Option<Bytes>> {
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Stored<()> {
        STORED.fetch_add(value.len() as u64, Relaxed);
        self.0.set(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Stored<bool> {
        self.0.delete(key).await
    }

    async fn exists(&self, key: &str) -> Stored<bool> {
        self.0.exists(key).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Stored<bool> {
        STORED.fetch_add(value.len() as u64, Relaxed);
        self.0.compare_and_set(key, expected, value, ttl).await
    }

    async fn scan(&self, prefix: &str, cursor: Option<&str>, limit: usize) -> Stored<ScanPage> {
        self.0.scan(prefix, cursor, limit).await
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Stored<Option<u64>> {
        self.0.try_lock(key, hold).await
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Stored<bool> {
        self.0.renew(key, token, hold).await
    }

    async fn unlock(&self, key: &str, token: u64) -> Stored<bool> {
        self.0.unlock(key, token).await
    }
}
