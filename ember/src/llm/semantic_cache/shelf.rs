//! The answers that are kept: until they expire, and as many as there is room for.

use super::guard::{Guard, Marks};
use super::index::{Index, Match};
use super::key::Key;
use crate::llm::chat::ChatResponse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What an entry takes beside its question, answer and vector: keys, places in orders.
const OVERHEAD: usize = 512;

/// Answers under the keys of their questions, and the vectors of those.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<u64, Entry>,
    by_exact: HashMap<String, u64>,
    spaces: HashMap<String, Arc<Index>>,
    /// By when they were last used.
    by_use: BTreeMap<u64, u64>,
    by_expiry: BTreeSet<(Instant, u64)>,
    /// The next id, and the next moment of use.
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    space: String,
    exact: String,
    /// Where the question can be found by its meaning.
    marks: Option<Marks>,
    answer: Arc<ChatResponse>,
    expires: Instant,
    used: u64,
    bytes: usize,
}

/// An answer to be kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) answer: Arc<ChatResponse>,
    /// How large the answer is, in bytes.
    pub(super) size: usize,
    /// The vector of the question, of the length 1.
    pub(super) vector: Option<Vec<f32>>,
    pub(super) marks: Option<Marks>,
    pub(super) expires: Instant,
}

/// What was found among the nearest.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub(super) answer: Option<(Arc<ChatResponse>, f32)>,
    /// What kept nearer ones apart.
    pub(super) guards: Vec<Guard>,
}

impl Shelf {
    /// The answer to the same request.
    pub(super) fn exact(&self, key: &Key, now: Instant) -> Option<Arc<ChatResponse>> {
        let mut state = self.lock();
        state.forget_expired(now);
        let id = *state.by_exact.get(&key.exact)?;
        state.renew(id)
    }

    /// The vectors of a space.
    pub(super) fn space(&self, key: &Key) -> Option<Arc<Index>> {
        self.lock().spaces.get(&key.space).cloned()
    }

    /// The first of the nearest that no guard keeps apart; without marks, the first.
    pub(super) fn pick(&self, nearest: &[Match], marks: Option<&Marks>, now: Instant) -> Picked {
        let mut state = self.lock();
        state.forget_expired(now);
        let mut picked = Picked::default();
        for found in nearest {
            // It may be gone since it was found.
            let Some(entry) = state.entries.get(&found.id) else { continue };
            let marks = marks.zip(entry.marks.as_ref());
            match marks.and_then(|(asked, kept)| asked.conflict(kept)) {
                Some(guard) => picked.guards.push(guard),
                None => {
                    picked.answer = state.renew(found.id).map(|answer| (answer, found.similarity));
                    break;
                }
            }
        }
        picked
    }

    /// Keeps an answer, and drops what has expired or is too much, the least recently used first.
    pub(super) fn insert(&self, kept: Kept, max_entries: usize, max_bytes: usize, now: Instant) {
        let Kept { key, answer, size, vector, marks, expires } = kept;
        let question = key.question.as_ref().map_or(0, String::len);
        let vector_bytes = vector.as_ref().map_or(0, |vector| Index::bytes_of(vector.len()));
        // A question stands here as its marks, whose words are kept several times.
        let bytes = size + vector_bytes + 6 * question + OVERHEAD;
        let mut state = self.lock();
        state.forget_expired(now);
        if let Some(id) = state.by_exact.get(&key.exact).copied() {
            state.remove(id);
        }
        if bytes > max_bytes || max_entries == 0 {
            return;
        }
        while state.entries.len() >= max_entries || state.bytes + bytes > max_bytes {
            let Some((_, id)) = state.by_use.first_key_value() else { break };
            let id = *id;
            state.remove(id);
        }
        let id = state.next;
        state.next += 1;
        if let Some(vector) = vector {
            let index = state.spaces.entry(key.space.clone());
            index.or_insert_with(|| Arc::new(Index::new(vector.len()))).insert(id, &vector);
        }
        state.bytes += bytes;
        state.by_exact.insert(key.exact.clone(), id);
        state.by_use.insert(id, id);
        state.by_expiry.insert((expires, id));
        let Key { space, exact, .. } = key;
        let entry = Entry { space, exact, marks, answer, expires, used: id, bytes };
        state.entries.insert(id, entry);
    }

    /// Forgets all answers of a space.
    pub(super) fn forget_space(&self, space: &str) {
        let mut state = self.lock();
        let ids = state.entries.iter().filter(|(_, entry)| entry.space == space);
        for id in ids.map(|(id, _)| *id).collect::<Vec<_>>() {
            state.remove(id);
        }
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock();
        let next = state.next;
        *state = State { next, ..State::default() };
    }

    /// How many answers there are, and how many bytes they take.
    pub(super) fn size(&self) -> (usize, usize) {
        let state = self.lock();
        (state.entries.len(), state.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that an answer was used, and returns it.
    fn renew(&mut self, id: u64) -> Option<Arc<ChatResponse>> {
        let entry = self.entries.get_mut(&id)?;
        self.by_use.remove(&entry.used);
        entry.used = self.next;
        self.by_use.insert(self.next, id);
        self.next += 1;
        Some(entry.answer.clone())
    }

    fn forget_expired(&mut self, now: Instant) {
        while let Some((expires, id)) = self.by_expiry.first().copied()
            && expires <= now
        {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.by_exact.remove(&entry.exact);
        self.by_use.remove(&entry.used);
        self.by_expiry.remove(&(entry.expires, id));
        self.bytes -= entry.bytes;
        if let Some(index) = self.spaces.get(&entry.space) {
            index.remove(id);
            if index.len() == 0 {
                self.spaces.remove(&entry.space);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::secs;
    use crate::llm::semantic_cache::key::Tenant;

    fn key(text: &str) -> Key {
        Key::of(&Tenant::Program, "p", None, &text.into()).unwrap()
    }

    fn kept(text: &str, vector: Option<Vec<f32>>, expires: Instant) -> Kept {
        let answer = Arc::new(ChatResponse::text_answer(text));
        Kept { key: key(text), answer, size: 100, vector, marks: None, expires }
    }

    #[test]
    fn the_least_recently_used_makes_room_and_leaves_nothing_behind() {
        let (shelf, now) = (Shelf::default(), Instant::now());
        let expires = now + secs(10);
        for text in ["a", "b", "c"] {
            shelf.insert(kept(text, Some(vec![1.0, 0.0]), expires), 2, usize::MAX, now);
            assert!(text == "c" || shelf.exact(&key("a"), now).is_some(), "a is used");
        }
        let there = ["a", "b", "c"].map(|text| shelf.exact(&key(text), now).is_some());
        assert_eq!((there, shelf.size().0), ([true, false, true], 2));
        assert_eq!(shelf.space(&key("a")).unwrap().len(), 2);
        let room = shelf.size().1 + 1;
        shelf.insert(kept("d", None, expires), 9, room, now);
        assert_eq!(shelf.size().0, 2, "bytes are bounded as well");
        shelf.insert(kept("d", None, expires), 9, 50, now);
        assert!(shelf.exact(&key("d"), now).is_none(), "larger than everything may be");
        assert!(shelf.exact(&key("c"), now + secs(10)).is_none());
        assert_eq!((shelf.size(), shelf.space(&key("a")).is_none()), ((0, 0), true));
    }

    #[test]
    fn a_newer_answer_takes_the_place_of_the_older() {
        let (shelf, now) = (Shelf::default(), Instant::now());
        for seconds in [5, 9] {
            shelf.insert(kept("a", Some(vec![1.0]), now + secs(seconds)), 9, usize::MAX, now);
        }
        assert_eq!((shelf.size().0, shelf.space(&key("a")).unwrap().len()), (1, 1));
        assert!(shelf.exact(&key("a"), now + secs(8)).is_some());
        // Vectors of another length, as of another embedder, are not among these.
        shelf.insert(kept("b", Some(vec![1.0, 0.0]), now + secs(9)), 9, usize::MAX, now);
        assert_eq!((shelf.size().0, shelf.space(&key("a")).unwrap().len()), (2, 1));
        shelf.clear();
        assert_eq!(shelf.size(), (0, 0));
    }
}
