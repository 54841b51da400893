use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// What an engine knows of the times at which something was forgotten: another value after each of them that
/// may concern a key.
///
/// It is asked for before a handler runs, and brought along with the answer, so that an answer is not kept
/// which was begun before it was to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(Arc<str>);

impl Generation {
    /// A generation that has this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key that was chosen, without the lines by which its variants differ.
pub(super) fn chosen(key: &str) -> &str {
    key.split('\n').next().unwrap_or_default()
}

/// How many counters there are. Keys that share one end each other's generations.
const COUNTERS: usize = 256;

/// The generations of a cache in the memory of one process: numbers, as it is asked often.
#[derive(Debug)]
pub(super) struct Generations {
    all: u64,
    by_key: Box<[u64; COUNTERS]>,
}

impl Generations {
    pub(super) fn new() -> Self {
        Self { all: 0, by_key: Box::new([0; COUNTERS]) }
    }

    /// The present one of a key.
    pub(super) fn of(&self, key: &str) -> Generation {
        let of_key = self.by_key.get(place(key)).copied().unwrap_or_default();
        Generation::new(format!("{} {of_key}", self.all))
    }

    /// Ends those of a key.
    pub(super) fn end(&mut self, key: &str) {
        if let Some(of_key) = self.by_key.get_mut(place(key)) {
            *of_key += 1;
        }
    }

    /// Ends those of all keys.
    pub(super) fn end_all(&mut self) {
        self.all += 1;
    }
}

fn place(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    chosen(key).hash(&mut hasher);
    usize::try_from(hasher.finish() % COUNTERS as u64).unwrap_or_default()
}
