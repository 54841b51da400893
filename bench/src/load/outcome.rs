//! How a load went.

use crate::table;
use std::time::{Duration, Instant};

/// How a load went.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    /// How long each answer took, in order of that.
    latencies: Vec<Duration>,
    /// How long each answer took to begin, in order of that, where that was asked for.
    beginnings: Vec<Duration>,
}

impl Outcome {
    /// Of answers that took so long.
    pub(super) fn of(elapsed: Duration, taken: &[Taken]) -> Self {
        let mut latencies: Vec<_> = taken.iter().map(|taken| taken.whole).collect();
        let mut beginnings: Vec<_> = taken.iter().filter_map(|taken| taken.beginning).collect();
        latencies.sort_unstable();
        beginnings.sort_unstable();
        Self { elapsed, latencies, beginnings }
    }

    /// How many answers there were.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// How many answers there were in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// The time in µs within which so much of a hundred answers came; `None` of too few to tell.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        percentile(&self.latencies, percent)
    }

    /// The time in µs within which so much of a hundred answers began; `None` of too few to tell.
    pub(crate) fn percentile_of_beginning(&self, percent: usize) -> Option<f64> {
        percentile(&self.beginnings, percent)
    }
}

/// The 99th of fewer than a hundred would be the slowest one.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let is_told = sorted.len() * (100 - percent) >= 100;
    table::percentile(sorted, percent).filter(|_| is_told).map(|time| time.as_secs_f64() * 1e6)
}

/// How long one answer took.
pub(super) struct Taken {
    pub(super) whole: Duration,
    pub(super) beginning: Option<Duration>,
}

impl Taken {
    /// An answer that is there now.
    pub(super) fn since(started: Instant, begun: Option<Instant>) -> Self {
        Self { whole: started.elapsed(), beginning: begun.map(|begun| begun - started) }
    }
}
