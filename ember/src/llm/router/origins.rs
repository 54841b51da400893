use crate::base::Clock;
use crate::llm::message::{Message, Role};
use crate::store::BoundedMap;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which model has called which tools, so that the results go back to the model that waits for them.
///
/// A model's calls carry marks that only its provider understands, and what it has thought is lost to any other.
/// The last 10,000 turns are kept, each for ten minutes; a turn that is forgotten goes on wherever the strategy
/// says.
pub(super) struct Origins(Mutex<BoundedMap<usize>>);

const MAX_TURNS: usize = 10_000;
const KEPT: Duration = Duration::from_secs(10 * 60);

impl Default for Origins {
    fn default() -> Self {
        Self(Mutex::new(BoundedMap::new(MAX_TURNS)))
    }
}

impl Origins {
    fn lock(&self) -> MutexGuard<'_, BoundedMap<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers who has made the calls of an answer to these messages.
    pub(super) fn keep(&self, asked: &[Message], calls: &Calls, place: usize, clock: &Clock) {
        if let Some(key) = calls.key(asked) {
            self.lock().insert(&key, place, clock.after(KEPT), clock.now());
        }
    }

    /// Tells who has made the calls whose results these messages end in.
    pub(super) fn of(&self, messages: &[Message], clock: &Clock) -> Option<usize> {
        let turn = messages.iter().rposition(|message| message.role != Role::Tool)?;
        if turn + 1 == messages.len() {
            return None;
        }
        let mut calls = Calls::default();
        messages[turn].tool_calls().for_each(|call| calls.add(&call.id, &call.name));
        self.lock().get(&calls.key(&messages[..turn])?, clock.now()).copied()
    }
}

/// The calls of one turn.
#[derive(Default)]
pub(super) struct Calls(Option<Sha256>);

impl Calls {
    pub(super) fn add(&mut self, id: &str, name: &str) {
        let hash = self.0.get_or_insert_default();
        for part in [id, name] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }

    /// What the turn is remembered by, if it has calls: not every provider has ids that are unique, so what
    /// was asked counts as well.
    fn key(&self, asked: &[Message]) -> Option<String> {
        let mut hash = self.0.clone()?;
        hash.update((asked.len() as u64).to_le_bytes());
        if let Some(question) = asked.iter().rfind(|message| message.role == Role::User) {
            hash.update(question.text().as_bytes());
        }
        Some(format!("{:x}", hash.finalize()))
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origins")
    }
}
