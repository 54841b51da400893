//! What processes tell each other of: for each space a log in a store, which each of them reads to its end
//! before it searches its own memory.
//!
//! Entries are numbered. Whoever has an answer puts it under the next number, if nobody has taken that one,
//! and then moves the head of the log, which says how far it goes. A reader looks at the head, and fetches
//! the entries that it has not seen. This takes nothing of a store but values that are compared and set, so
//! that it works on each of them, Memcached too. An entry that has expired is a gap.
//!
//! The head also names the log and its era. A store that was emptied has no head, and the next one has
//! another name; clearing begins an era, with which all heads of earlier ones end.
//!
//! Searching where the vectors are stored (vector sets of Redis, `pgvector`) was refused: it would be another
//! mechanism for each store, and none for two of them; their indexes are approximate, where the search here
//! is exact; and up to a hundred thousand vectors the search here takes less time than a way to a server
//! and back.

use super::entry::Entry;
use super::guard::Marks;
use super::key::Key;
use super::shelf::{Kept, Shelf};
use crate::base::{Clock, random_id, task};
use crate::store::{BoundedMap, BoxStore, Claims, Era, LenientStore};
use bytes::Bytes;
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long a question waits until the end of its log is reached. What was not fetched by then is, with
/// the next question.
const LIMIT: Duration = Duration::from_secs(1);

/// How many entries are fetched at the same time.
const PAGE: u64 = 64;

/// How many numbers are tried for an entry, and how often a head is tried to be moved, while others do the same.
const TRIES: u64 = 32;

/// How many spaces are remembered. One that is forgotten is read from its beginning.
const MAX_SPACES: usize = 10_000;

/// How much longer a head is kept than the entries before it.
const SLACK: Duration = Duration::from_secs(60);

/// The logs of all spaces, as one process has read them.
pub(super) struct Log {
    store: LenientStore,
    prefix: String,
    /// Where the era stands that all processes know.
    told: Era,
    pub(super) claims: Claims,
    state: Mutex<State>,
}

struct State {
    /// The era that was met last; `None` before any.
    era: Option<String>,
    /// The era is one that was begun here, and the store may not know of it yet.
    is_untold: bool,
    places: BoundedMap<Arc<tokio::sync::Mutex<Place>>>,
}

/// How far a log was read.
#[derive(Default)]
struct Place {
    log: String,
    seen: u64,
}

/// How far a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    era: String,
    log: String,
    last: u64,
}

/// What a reader brings along.
pub(super) struct Reader<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) clock: &'a Clock,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
}

impl Log {
    pub(super) fn new(store: BoxStore, prefix: &str) -> Self {
        let store = LenientStore::new(store);
        let claims = Claims::lenient(store.clone(), format!("claim:{prefix}"));
        let told = Era::new(store.clone(), format!("{prefix}era"));
        let places = BoundedMap::new(MAX_SPACES);
        let state = Mutex::new(State { era: None, is_untold: false, places });
        Self { store, prefix: prefix.to_owned(), told, claims, state }
    }

    pub(super) fn store(&self) -> &BoxStore {
        self.store.store()
    }

    /// The era that was met last.
    pub(super) fn era(&self) -> Option<String> {
        self.lock().era.clone()
    }

    /// Reads the log of a space to its end, as far as there is time. Where the store is away, nothing
    /// happens.
    pub(super) async fn catch_up(&self, space: &str, key: &Key, reader: &Reader<'_>) {
        let reading = self.read(space, key, reader);
        if tokio::time::timeout(LIMIT, reading).await.is_err() {
            tracing::debug!("the end of a log was not reached in time");
        }
    }

    async fn read(&self, space: &str, key: &Key, reader: &Reader<'_>) -> Option<()> {
        self.tell_era().await?;
        let (mut era, mut head) = self.look(space).await?;
        self.meet(&era, reader.shelf);
        let place = self.place(space, reader.clock);
        let mut place = place.lock().await;
        if !place.is_of(&head, &era) && !place.log.is_empty() {
            // While this one waited, another may have read further, or begun the log: what is forgotten, is so
            // by what the store says now.
            (era, head) = self.look(space).await?;
            if self.meet(&era, reader.shelf) {
                *place = Place::default();
            }
        }
        let head = head.filter(|head| head.era == era);
        if !place.is_of(&head, &era) {
            // The store was emptied, or set back: what came from it is as if it had never been.
            if !place.log.is_empty() {
                reader.shelf.forget_space(&key.space);
            }
            let log = head.as_ref().map_or_else(String::new, |head| head.log.clone());
            *place = Place { log, seen: 0 };
        }
        let head = head?;
        let most = u64::try_from(reader.max_entries).unwrap_or(u64::MAX);
        place.seen = place.seen.max(head.last.saturating_sub(most));
        while place.seen < head.last {
            let last = head.last.min(place.seen.saturating_add(PAGE));
            let page = place.seen + 1..=last;
            let names: Vec<_> =
                page.map(|number| self.name_of_entry(space, &head.log, number)).collect();
            let entries = join_all(names.iter().map(|name| self.store.get(name))).await;
            let entries: Option<Vec<_>> = entries.into_iter().collect();
            for entry in entries?.into_iter().flatten() {
                self.take(&entry, &era, key, reader);
                // Entries may be large, and other requests of this worker go on between them.
                tokio::task::yield_now().await;
            }
            place.seen = last;
        }
        Some(())
    }

    /// Puts an entry on the shelf, if its era has not ended meanwhile.
    fn take(&self, bytes: &[u8], era: &str, key: &Key, reader: &Reader<'_>) {
        let entry = match Entry::read(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                return tracing::warn!(
                    error,
                    "an entry of a semantic cache cannot be read, and is passed over"
                );
            }
        };
        let Some(kept) = kept(entry, bytes.len(), key, reader.clock) else { return };
        let state = self.lock();
        if state.era.as_deref() == Some(era) {
            let now = reader.clock.now();
            reader.shelf.insert(kept, reader.max_entries, reader.max_bytes, now);
        }
    }

    /// Adds an entry to the log of a space, if the era is still the one in which it was asked for.
    pub(super) async fn append(
        &self,
        space: &str,
        entry: Vec<u8>,
        ttl: Duration,
        asked_in: &str,
        clock: &Clock,
    ) -> Option<()> {
        let entry = Bytes::from(entry);
        for _ in 0..TRIES {
            let (era, head) = self.look(space).await?;
            if era != asked_in || self.era().as_deref() != Some(asked_in) {
                return None;
            }
            let head = match head.filter(|head| head.era == era) {
                Some(head) => head,
                None => match self.begin(space, &era, ttl).await? {
                    Some(head) => head,
                    None => continue,
                },
            };
            let claimed = self.claim_number(space, &head, &entry, ttl).await?;
            // Where many write at once, the log has grown meanwhile.
            let Some(number) = claimed else { continue };
            self.move_head(space, &head, number, ttl).await?;
            // What was written here need not be read.
            let place = self.place(space, clock);
            let mut place = place.lock().await;
            if place.log == head.log && place.seen == number - 1 {
                place.seen = number;
            }
            return Some(());
        }
        None
    }

    /// Begins a log; `Some(None)` if another one did so at the same time.
    async fn begin(&self, space: &str, era: &str, ttl: Duration) -> Option<Option<Head>> {
        let name = self.name_of_head(space);
        let there = self.store.get(&name).await?;
        if there.as_deref().and_then(Head::read).is_some_and(|head| head.era == era) {
            return Some(None);
        }
        let head = Head { era: era.to_owned(), log: random_id().ok()?, last: 0 };
        let begun = self.store.compare_and_set(&name, there, head.write(), head_ttl(ttl)).await?;
        Some(begun.then_some(head))
    }

    /// Puts an entry under the next number that nobody has taken; `Some(None)` if many have been.
    async fn claim_number(
        &self,
        space: &str,
        head: &Head,
        entry: &Bytes,
        ttl: Duration,
    ) -> Option<Option<u64>> {
        for number in head.last.saturating_add(1)..=head.last.saturating_add(TRIES) {
            let name = self.name_of_entry(space, &head.log, number);
            if self.store.compare_and_set(&name, None, entry.clone(), ttl).await? {
                return Some(Some(number));
            }
        }
        Some(None)
    }

    /// Says that a log goes at least so far.
    async fn move_head(&self, space: &str, head: &Head, last: u64, ttl: Duration) -> Option<()> {
        let name = self.name_of_head(space);
        let mut known = head.clone();
        for _ in 0..TRIES {
            let moved = Head { last, ..known.clone() };
            let expected = Some(known.write());
            if self.store.compare_and_set(&name, expected, moved.write(), head_ttl(ttl)).await? {
                return Some(());
            }
            known = self.store.get(&name).await?.as_deref().and_then(Head::read)?;
            if known.log != head.log || known.last >= last {
                return Some(());
            }
        }
        None
    }

    /// The present era, and the head of a log. Where there is no era, one begins that is like none before: what
    /// was kept in those is not found again.
    async fn look(&self, space: &str) -> Option<(String, Option<Head>)> {
        let name_of_head = self.name_of_head(space);
        let (era, head) = self.store.get_both(self.told.key(), &name_of_head).await?;
        let era = match era.and_then(|era| String::from_utf8(era.into()).ok()) {
            Some(era) => era,
            None => self.told.begin_first().await?,
        };
        Some((era, head.as_deref().and_then(Head::read)))
    }

    /// Forgets everything if another era has begun; tells whether it has.
    fn meet(&self, era: &str, shelf: &Shelf) -> bool {
        let mut state = self.lock();
        // One that was begun here meanwhile is newer.
        if state.is_untold || state.era.as_deref() == Some(era) {
            return false;
        }
        let is_another = state.era.is_some();
        if is_another {
            shelf.clear();
            state.places = BoundedMap::new(MAX_SPACES);
        }
        state.era = Some(era.to_owned());
        is_another
    }

    /// Forgets everything, here at once, and in all other processes when the store has been told.
    pub(super) fn clear(self: &Arc<Self>, shelf: &Shelf) {
        let Ok(era) = random_id() else {
            tracing::error!("no randomness for a new era: other processes keep their answers");
            return shelf.clear();
        };
        let mut state = self.lock();
        shelf.clear();
        state.places = BoundedMap::new(MAX_SPACES);
        (state.era, state.is_untold) = (Some(era), true);
        drop(state);
        // Otherwise the next question tells it.
        if let Ok(runtime) = Handle::try_current() {
            let log = self.clone();
            task::spawn(&runtime, async move {
                let _ = log.tell_era().await;
            });
        }
    }

    /// Tells the store of an era that was begun here. Until it knows, nothing is read.
    async fn tell_era(&self) -> Option<()> {
        let era = {
            let state = self.lock();
            state.era.clone().filter(|_| state.is_untold)
        };
        let Some(era) = era else { return Some(()) };
        self.told.tell(era.clone()).await?;
        let mut state = self.lock();
        if state.era.as_ref() == Some(&era) {
            state.is_untold = false;
        }
        Some(())
    }

    fn place(&self, space: &str, clock: &Clock) -> Arc<tokio::sync::Mutex<Place>> {
        let (now, never) = (clock.now(), clock.after(Duration::MAX));
        let mut state = self.lock();
        if let Some(place) = state.places.get(space, now) {
            return place.clone();
        }
        let place = Arc::default();
        state.places.insert(space, Arc::clone(&place), never, now);
        place
    }

    fn name_of_head(&self, space: &str) -> String {
        format!("{}{space}", self.prefix)
    }

    fn name_of_entry(&self, space: &str, log: &str, number: u64) -> String {
        format!("{}{space}:{log}:{number}", self.prefix)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Tells whether a log is the one that was read, and goes no less far.
    fn is_of(&self, head: &Option<Head>, era: &str) -> bool {
        match head.as_ref().filter(|head| head.era == era) {
            Some(head) => self.log == head.log && head.last >= self.seen,
            None => self.log.is_empty(),
        }
    }
}

/// What a space is called in a store: vectors of two embedders are not compared.
pub(super) fn name_of_space(embedder: &str, key: &Key) -> String {
    let mut digest = Sha256::new();
    digest.update(key.space.as_bytes());
    digest.update(embedder.as_bytes());
    format!("{:x}", digest.finalize())
}

/// An entry as the shelf takes it; `None` if it has expired.
fn kept(entry: Entry, size: usize, key: &Key, clock: &Clock) -> Option<Kept> {
    let left = entry.expires.duration_since(clock.date()).ok().filter(|left| !left.is_zero())?;
    let (question, vector) = entry.question.unzip();
    let marks = question.as_deref().map(Marks::of);
    let expires: Instant = clock.after(left);
    let key = Key { space: key.space.clone(), exact: entry.exact, question };
    Some(Kept { key, answer: Arc::new(entry.answer), size, vector, marks, expires })
}

fn head_ttl(ttl: Duration) -> Duration {
    ttl.saturating_add(SLACK)
}

impl Head {
    fn write(&self) -> Bytes {
        format!("{} {} {}", self.era, self.log, self.last).into()
    }

    /// `None` if it is something else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(bytes).ok()?.split(' ');
        let (era, log) = (words.next()?.to_owned(), words.next()?.to_owned());
        let last = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { era, log, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::ChatResponse;
    use crate::store::MemoryStore;
    use crate::store::flaky::Flaky;
    use futures_util::FutureExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const TTL: Duration = Duration::from_secs(600);

    /// A process.
    struct Process {
        log: Arc<Log>,
        shelf: Shelf,
        key: Key,
        clock: Clock,
    }

    impl Process {
        fn on(store: &Flaky) -> Self {
            let log = Arc::new(Log::new(store.clone().into(), "semantic:"));
            let key = Key { space: "space".into(), exact: "asked".into(), question: None };
            Self { log, shelf: Shelf::default(), key, clock: Clock::system() }
        }

        async fn catch_up(&self) {
            let Self { shelf, clock, .. } = self;
            let reader = Reader { shelf, clock, max_entries: 1_000, max_bytes: 1 << 20 };
            self.log.catch_up("space", &self.key, &reader).await;
        }

        async fn append(&self, number: usize) {
            let entry = Entry {
                exact: format!("entry {number}"),
                question: None,
                answer: ChatResponse::text_answer("an answer"),
                expires: self.clock.date() + TTL,
            };
            let (entry, era) = (entry.write().unwrap(), self.log.era().unwrap());
            self.log.append("space", entry, TTL, &era, &self.clock).await.unwrap();
        }

        fn entries(&self) -> usize {
            self.shelf.size().0
        }
    }

    #[tokio::test]
    async fn a_reader_that_was_slow_forgets_nothing() {
        let store = Flaky::new(MemoryStore::new());
        let (process, other) = (Process::on(&store), Process::on(&store));
        other.catch_up().await;
        other.append(1).await;
        process.catch_up().await;
        // One has looked how far the log goes, and is told so late.
        let gate = store.hold_answers();
        let mut slow = Box::pin(process.catch_up());
        assert!(slow.as_mut().now_or_never().is_none());
        store.hold_no_more();
        other.append(2).await;
        process.catch_up().await;
        assert_eq!(process.entries(), 2);
        gate.add_permits(9);
        slow.await;
        assert_eq!(process.entries(), 2);
    }

    #[tokio::test]
    async fn what_was_cleared_does_not_come_back_with_the_loss_of_the_era() {
        let memory = MemoryStore::new();
        let store = Flaky::new(memory.clone());
        let process = Process::on(&store);
        process.catch_up().await;
        process.append(1).await;
        let other = Process::on(&store);
        other.catch_up().await;
        assert_eq!(other.entries(), 1);
        process.log.clear(&process.shelf);
        process.catch_up().await;
        assert!(BoxStore::new(memory).delete("semantic:era").await.unwrap());
        for reader in [&process, &other, &Process::on(&store)] {
            reader.catch_up().await;
            assert_eq!(reader.entries(), 0);
        }
    }

    #[tokio::test]
    async fn others_have_their_turn_while_much_is_read() {
        let store = Flaky::new(MemoryStore::new());
        let process = Process::on(&store);
        process.catch_up().await;
        for number in 0..64 {
            process.append(number).await;
        }
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        let other = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
        process.catch_up().await;
        other.abort();
        assert_eq!(process.entries(), 64);
        let turns = turns.load(Ordering::SeqCst);
        assert!(turns >= 60, "{turns} between 64 entries");
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = Head { era: "e".into(), log: "ab".into(), last: u64::MAX - TRIES };
        assert_eq!(Head::read(&head.write()), Some(head));
        for other in ["", "0", "0 a", "0 a b", "0 a 1 2", "0 a -1", "\u{fffd}"] {
            assert_eq!(Head::read(other.as_bytes()), None, "{other}");
        }
    }
}
