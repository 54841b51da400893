//! Where limits are counted that several processes share.

use crate::store::{BoxStore, GlobalTokenBucket, key_part};
use std::collections::BTreeMap;

/// A place in a store: all processes of a program know it by the same name.
#[derive(Debug)]
pub(super) struct Home {
    store: BoxStore,
    place: String,
}

impl Home {
    pub(super) fn new(store: &BoxStore, place: String) -> Self {
        Self { store: store.clone(), place }
    }

    /// Keeps the buckets of one caller there, or of all.
    pub(super) fn keep(&self, buckets: &[GlobalTokenBucket], caller: &str) {
        for bucket in buckets {
            bucket.keep_as(&self.store, || {
                format!("limit:{}:{}:{}", self.place, bucket.name(), key_part(caller))
            });
        }
    }
}

/// The places of limits, each with a name of its own.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, usize>);

impl Places {
    /// The name of another limit at a place. Of several the order of the program counts, which is the
    /// same in all its processes.
    pub(super) fn free(&mut self, place: &str) -> String {
        let place = if place.is_empty() { "application" } else { place };
        let count = self.0.entry(place.to_owned()).or_default();
        *count += 1;
        if *count == 1 { place.to_owned() } else { format!("{place} #{count}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_limits_of_one_place_have_names_of_their_own() {
        let mut places = Places::default();
        let names = ["", "GET /a", "", "GET /a"].map(|place| places.free(place));
        assert_eq!(names, ["application", "GET /a", "application #2", "GET /a #2"]);
    }
}
