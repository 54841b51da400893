//! What one request knows of its session, and does to it.

use super::config::SessionConfig;
use super::engine::SessionRecord;
use crate::base::Error;
use http::HeaderValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A session as a request found it, with the changes since.
#[derive(Default)]
pub(super) struct State {
    /// The id, if the engine knows one.
    pub(super) id: Option<String>,
    /// The record of that id, as it was loaded or last saved.
    pub(super) base: Option<SessionRecord>,
    pub(super) changes: Changes,
    /// Ids that are to be forgotten.
    pub(super) dead: Vec<String>,
    /// The client does not know the present state of its cookie.
    pub(super) cookie: CookieNews,
    /// What was put on the response for it.
    pub(super) told: Option<HeaderValue>,
    /// It could not be saved, and the client has been told so.
    pub(super) is_given_up: bool,
}

/// What the client is to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CookieNews {
    #[default]
    Nothing,
    Keep,
    Forget,
}

/// What a request does to a session.
#[derive(Default)]
pub(super) struct Changes {
    /// Nothing of what was there before is kept.
    pub(super) cleared: bool,
    /// The session gets another id.
    pub(super) renewed: bool,
    /// Values that are set, and keys that are removed.
    written: BTreeMap<String, Option<Value>>,
    /// Keys whose values the request has seen.
    read: BTreeSet<String>,
}

impl State {
    /// The value of a key, which counts as read.
    pub(super) fn get(&mut self, key: &str) -> Option<Value> {
        if let Some(written) = self.changes.written.get(key) {
            return written.clone();
        }
        if self.changes.cleared {
            return None;
        }
        self.changes.read.insert(key.to_owned());
        self.base.as_ref()?.values.get(key).cloned()
    }

    pub(super) fn write(&mut self, key: &str, value: Option<Value>) {
        self.changes.written.insert(key.to_owned(), value);
    }

    pub(super) fn clear(&mut self) {
        self.changes.written.clear();
        self.changes.cleared = true;
    }

    /// Ends the session; what is written afterwards begins another one.
    pub(super) fn destroy(&mut self) {
        self.dead.extend(self.id.take());
        self.base = None;
        self.changes = Changes::default();
        self.cookie = CookieNews::Forget;
    }

    /// Tells whether the engine knows everything already.
    pub(super) fn is_saved(&self, config: &SessionConfig) -> bool {
        let is_worn = || self.base.as_ref().is_some_and(|base| config.is_worn(base));
        self.dead.is_empty() && self.changes.is_empty() && !is_worn()
    }

    /// All values as they are now.
    pub(super) fn values(&self) -> Map<String, Value> {
        self.changes.onto(self.base.as_ref().map_or_else(Map::new, |record| record.values.clone()))
    }
}

impl Changes {
    /// Tells whether there is nothing to save.
    pub(super) fn is_empty(&self) -> bool {
        !self.cleared && !self.renewed && self.written.is_empty()
    }

    /// These changes, and then others.
    pub(super) fn followed_by(mut self, later: Self) -> Self {
        if later.cleared {
            self.written.clear();
            self.cleared = true;
        }
        self.renewed |= later.renewed;
        self.written.extend(later.written);
        self.read.extend(later.read);
        self
    }

    /// Makes the changes to values.
    pub(super) fn onto(&self, mut values: Map<String, Value>) -> Map<String, Value> {
        if self.cleared {
            values.clear();
        }
        for (key, value) in &self.written {
            match value {
                Some(value) => values.insert(key.clone(), value.clone()),
                None => values.remove(key),
            };
        }
        values
    }

    /// Makes the changes to what others have saved meanwhile.
    ///
    /// # Errors
    /// Status 409 when a change rests on a value that is there no more.
    pub(super) fn merge(
        &self,
        base: &Map<String, Value>,
        current: Map<String, Value>,
    ) -> Result<Map<String, Value>, Error> {
        let is_stale = |key: &String| self.read.contains(key) && base.get(key) != current.get(key);
        match self.written.keys().find(|key| is_stale(key)) {
            Some(_) => Err(Error::conflict("Another request has changed the session meanwhile.")),
            None => Ok(self.onto(current)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn state() -> State {
        State {
            base: Some(SessionRecord {
                values: map(json!({"a": 1, "b": 2})),
                version: 1,
                created: std::time::SystemTime::UNIX_EPOCH,
                expires: std::time::SystemTime::UNIX_EPOCH,
            }),
            ..State::default()
        }
    }

    #[test]
    fn changes_are_seen_and_made() {
        let mut state = state();
        state.write("a", Some(json!(3)));
        state.write("b", None);
        assert_eq!((state.get("a"), state.get("b")), (Some(json!(3)), None));
        assert_eq!(state.values(), map(json!({"a": 3})));
        state.clear();
        state.write("c", Some(json!(4)));
        assert_eq!((state.get("a"), state.get("c")), (None, Some(json!(4))));
        assert_eq!(state.values(), map(json!({"c": 4})));
    }

    #[test]
    fn only_a_change_that_rests_on_a_lost_value_conflicts() {
        let mut state = state();
        let base = map(json!({"a": 1, "b": 2}));
        let theirs = map(json!({"a": 9, "b": 2, "c": 3}));
        state.write("a", Some(json!(5)));
        assert_eq!(
            state.changes.merge(&base, theirs.clone()).unwrap(),
            map(json!({"a": 5, "b": 2, "c": 3})),
            "a blind write wins"
        );
        let mut state = self::state();
        state.get("a");
        state.write("b", Some(json!(7)));
        assert!(state.changes.merge(&base, theirs.clone()).is_ok(), "it was read and not written");
        state.write("a", Some(json!(5)));
        assert_eq!(state.changes.merge(&base, theirs).unwrap_err().status(), 409);
        assert!(state.changes.merge(&base, base.clone()).is_ok(), "nobody has touched it");
    }
}
