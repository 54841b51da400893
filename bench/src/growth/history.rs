//! Messages that a conversation has already, by the store that keeps it.
//!
//! A turn is whole: it waits for the conversation, loads it, makes the request of all its messages,
//! asks a model that answers at once, and remembers both. It does not hold what a provider's adapter
//! makes of the messages. Loading and writing are shown alone as well: the first is in proportion to
//! the history, as a model is sent all of it; the second is to be flat.
//!
//! There are as many conversations as turns, so that each has one turn beyond its size and no more.
//! `StoreSessions` tidies up with every sixteenth turn. So that this is in the figures with its share, the
//! long conversations differ in length, by up to sixteen messages around the size.

use super::counting::Counting;
use super::silent::{ANSWER, Silent};
use super::{Area, Case, Work, Writes};
use crate::Result;
use crate::folder::Folder;
use ember::llm::{
    Client, MemorySessionStore, Message, Session, SessionChange, SessionStore, StoreSessions,
};
use ember::store::{MemoryStore, SqliteStore, Store};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

pub(super) const AREA: Area = Area {
    name: "history",
    title: "One turn of a conversation that has so many messages",
    cases: &[
        Case::new("MemorySessionStore: turn"),
        Case::new("MemorySessionStore: load"),
        Case::new("MemorySessionStore: write"),
        Case::new("StoreSessions in memory: turn").writes(Writes::ToStore),
        Case::new("StoreSessions in memory: load"),
        Case::new("StoreSessions in memory: write").writes(Writes::ToStore),
        Case::new("StoreSessions in SQLite: turn").writes(Writes::ToFiles),
        Case::new("StoreSessions in SQLite: load"),
        Case::new("StoreSessions in SQLite: write").writes(Writes::ToFiles),
    ],
    sizes: &[2, 20, 200, 2_000],
    times: |_| (WARM, TURNS),
    ready,
};

/// How many conversations have their turn before it counts, and while it does.
const WARM: usize = 16;
const TURNS: usize = 256;

/// By how many turns the long conversations differ, and how many messages a long one has.
const DIFFERENT: usize = 16;
const LONG: usize = 200;

/// The store in memory has to have room for all of them: bytes, and keys of each.
const ROOM: u64 = 8 << 30;
const PIECES: usize = 100;

const QUESTION: &str = "What does the model say next, and how does it go on?";

/// How long what is copied is kept: longer than a run.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn ready(case: &str, length: usize, conversations: usize) -> Result<Work> {
    let (store, what) = case.split_once(": ").ok_or("there is no such case")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let begun = Begun::new(length, conversations);
    if store == "MemorySessionStore" {
        let store = MemorySessionStore::new().max_sessions(conversations).max_bytes(ROOM);
        let versions = runtime.block_on(begun.write(&store))?;
        return Ok(work(Subject { runtime, store, begun, versions, folder: None }, what));
    }
    // What is in memory is copied to a file, as writing it there turn by turn takes minutes.
    let memory = MemoryStore::new().max_entries(conversations * PIECES).max_bytes(ROOM);
    let versions = runtime.block_on(begun.write(&StoreSessions::new(memory.clone())?))?;
    if store == "StoreSessions in memory" {
        let store = StoreSessions::new(Counting(memory))?;
        return Ok(work(Subject { runtime, store, begun, versions, folder: None }, what));
    }
    let folder = Folder::in_memory()?;
    let file = SqliteStore::new(folder.path().join("store.sqlite"));
    runtime.block_on(copy(&memory, &file))?;
    let store = StoreSessions::new(Counting(file))?;
    Ok(work(Subject { runtime, store, begun, versions, folder: Some(folder) }, what))
}

/// Conversations as they are before they are measured.
struct Begun {
    ids: Vec<String>,
    /// How many messages each has.
    lengths: Vec<usize>,
}

impl Begun {
    fn new(length: usize, conversations: usize) -> Self {
        let around = |number: usize| match length < LONG {
            true => length,
            false => length - DIFFERENT + 2 * (number % DIFFERENT),
        };
        Self {
            ids: (0..conversations).map(|number| format!("{number:032x}")).collect(),
            lengths: (0..conversations).map(around).collect(),
        }
    }

    /// Writes them, turn by turn; returns their versions.
    async fn write<S: SessionStore>(&self, store: &S) -> Result<Vec<u64>> {
        let mut versions = Vec::new();
        for (id, length) in self.ids.iter().zip(&self.lengths) {
            let mut version = 0;
            for _ in 0..length / 2 {
                version = store.write(id, version, said()).await?;
            }
            versions.push(version);
        }
        Ok(versions)
    }
}

/// Copies every key.
async fn copy(from: &MemoryStore, to: &impl Store) -> Result {
    let mut cursor = None::<String>;
    loop {
        let page = from.scan("", cursor.as_deref(), usize::MAX).await?;
        for key in &page.keys {
            let value = from.get(key).await?.ok_or("a conversation is gone")?;
            to.set(key, value, DAY).await?;
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Conversations in a store.
struct Subject<S> {
    runtime: Runtime,
    store: S,
    begun: Begun,
    versions: Vec<u64>,
    /// What lives as long as the store.
    folder: Option<Folder>,
}

/// Each time it is the turn of the next conversation.
fn work<S: SessionStore>(subject: Subject<S>, what: &str) -> Work {
    let Subject { runtime, store, begun: Begun { ids, lengths }, versions, folder } = subject;
    let mut next = 0..ids.len();
    let mut turn = move || next.next().ok_or("every conversation has had its turn");
    match what {
        "turn" => {
            let client = Client::new(Silent { calls: None }).sessions(store);
            let sessions: Vec<Session> = ids.iter().map(|id| client.session(id.as_str())).collect();
            Box::new(move || {
                let _ = &folder;
                let answer = runtime.block_on(sessions[turn()?].ask(QUESTION))?;
                if answer == ANSWER { Ok(()) } else { Err("an answer is wrong".into()) }
            })
        }
        "load" => Box::new(move || {
            let _ = &folder;
            let at = turn()?;
            let history = runtime.block_on(store.load(&ids[at]))?;
            match history.messages.len() == lengths[at] {
                true => Ok(()),
                false => Err("a conversation is not what it was".into()),
            }
        }),
        _ => Box::new(move || {
            let _ = &folder;
            let at = turn()?;
            runtime.block_on(store.write(&ids[at], versions[at], said()))?;
            Ok(())
        }),
    }
}

/// One turn.
fn said() -> SessionChange {
    SessionChange::append(vec![Message::user(QUESTION), Message::assistant(ANSWER)])
}
