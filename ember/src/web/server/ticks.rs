use super::limits::ServerLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// A worker's time, counted by its reaper. Reading it is one load.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    now: Arc<AtomicU32>,
    length: Duration,
}

impl Ticks {
    /// Ticks that are fine enough for these limits.
    pub(super) fn new(limits: &ServerLimits) -> Self {
        Self { now: Arc::default(), length: Self::length_for(limits) }
    }

    /// How long a tick is with these limits.
    pub(super) fn length_for(limits: &ServerLimits) -> Duration {
        let shortest = limits.header_read.min(limits.keep_alive).min(limits.write_stall);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }

    #[cfg(test)]
    pub(super) fn length(&self) -> Duration {
        self.length
    }

    pub(super) fn advance(&self) {
        self.now.fetch_add(1, Relaxed);
    }

    pub(super) fn now(&self) -> u32 {
        self.now.load(Relaxed)
    }

    /// Tells whether at least `limit` has passed since a tick. It may be up to one tick early, if a busy worker counts
    /// two ticks in quick succession.
    pub(super) fn passed(&self, since: u32, limit: Duration) -> bool {
        // The tick under way may have just begun, so it does not count.
        let elapsed = self.now().wrapping_sub(since).saturating_sub(1);
        self.length.saturating_mul(elapsed) >= limit
    }
}
