//! What has been done of each kind.

use super::mix::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What has been done of one kind.
#[derive(Default)]
pub(super) struct Done {
    pub(super) requests: AtomicU64,
    pub(super) errors: AtomicU64,
}

/// By kind, in the order of [`Kind::ALL`]. Clones are the same.
#[derive(Clone)]
pub(super) struct Tally(Arc<[Done]>);

impl Tally {
    pub(super) fn new() -> Self {
        Self(Kind::ALL.iter().map(|_| Done::default()).collect())
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Done> {
        self.0.iter()
    }

    /// Counts a request of a kind.
    pub(super) fn count(&self, at: usize, is_right: bool) {
        self.0[at].requests.fetch_add(1, Relaxed);
        self.0[at].errors.fetch_add(u64::from(!is_right), Relaxed);
    }

    pub(super) fn requests(&self) -> u64 {
        self.kinds().map(|done| done.requests.load(Relaxed)).sum()
    }

    pub(super) fn errors(&self) -> u64 {
        self.kinds().map(|done| done.errors.load(Relaxed)).sum()
    }
}
