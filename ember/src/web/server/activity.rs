//! What a connection is doing, for the reaper.
//!
//! One sweep over all connections replaces a timer for each: a request costs a few relaxed
//! stores instead of a timer's registration.

use super::limits::ServerLimits;
#[cfg(feature = "websocket")]
use crate::web::takeover::Takeover;
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
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
        let shortest = limits.header_read.min(limits.keep_alive).min(limits.write_stall);
        let length = (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(500));
        Self { now: Arc::default(), length }
    }

    pub(super) fn length(&self) -> Duration {
        self.length
    }

    pub(super) fn advance(&self) {
        self.now.fetch_add(1, Relaxed);
    }

    fn now(&self) -> u32 {
        self.now.load(Relaxed)
    }

    /// Tells whether at least `limit` has passed since a tick.
    fn passed(&self, since: u32, limit: Duration) -> bool {
        // The tick under way may have just begun, so it does not count.
        let elapsed = self.now().wrapping_sub(since).saturating_sub(1);
        self.length.saturating_mul(elapsed) >= limit
    }
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    ticks: Ticks,
    /// Requests whose answers are not yet written.
    in_flight: AtomicU32,
    /// A header section has begun to arrive.
    reading_head: AtomicBool,
    /// When the connection became idle, or the header section began.
    since: AtomicU32,
    /// The client does not take what is sent to it.
    stalled: AtomicBool,
    stalled_since: AtomicU32,
    closing: AtomicBool,
    waker: AtomicWaker,
    /// What follows HTTP on this connection, once a request asks for something else.
    #[cfg(feature = "websocket")]
    takeover: std::sync::OnceLock<Takeover>,
}

impl Activity {
    pub(super) fn new(ticks: Ticks) -> Arc<Self> {
        let since = AtomicU32::new(ticks.now());
        Arc::new(Self {
            ticks,
            in_flight: AtomicU32::new(0),
            // A new connection owes its first request within the time of a header section.
            reading_head: AtomicBool::new(true),
            since,
            stalled: AtomicBool::new(false),
            stalled_since: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            #[cfg(feature = "websocket")]
            takeover: std::sync::OnceLock::new(),
        })
    }

    /// Bytes have arrived.
    pub(super) fn received(&self) {
        if self.in_flight.load(Relaxed) == 0 && !self.reading_head.swap(true, Relaxed) {
            self.since.store(self.ticks.now(), Relaxed);
        }
    }

    /// Bytes were sent, or could not be.
    pub(super) fn wrote(&self, stalled: bool) {
        if self.stalled.load(Relaxed) != stalled {
            self.stalled_since.store(self.ticks.now(), Relaxed);
            self.stalled.store(stalled, Relaxed);
        }
    }

    /// A request is complete enough to be answered.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.reading_head.store(false, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }

    /// Asks the connection to close as soon as nothing is under way.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
        self.waker.wake();
        #[cfg(feature = "websocket")]
        if let Some(takeover) = self.takeover.get() {
            takeover.close();
        }
    }

    /// Lets a request take the connection over.
    #[cfg(feature = "websocket")]
    pub(super) fn takeover(&self) -> &Takeover {
        let takeover = self.takeover.get_or_init(Takeover::default);
        if self.closing.load(Relaxed) {
            takeover.close();
        }
        takeover
    }

    /// What has taken the connection over, now that it has left HTTP.
    #[cfg(feature = "websocket")]
    pub(super) fn taken_over(&self) -> Option<crate::web::takeover::Work> {
        self.takeover.get()?.take()
    }

    /// Tells the connection whether it was asked to close; it is woken when it is.
    pub(super) fn poll_closing(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.closing.load(Relaxed)
    }

    /// Tells whether the connection has used up one of its times.
    pub(super) fn is_overdue(&self, limits: &ServerLimits) -> bool {
        if self.stalled.load(Relaxed)
            && self.ticks.passed(self.stalled_since.load(Relaxed), limits.write_stall)
        {
            return true;
        }
        let limit =
            if self.reading_head.load(Relaxed) { limits.header_read } else { limits.keep_alive };
        self.in_flight.load(Relaxed) == 0 && self.ticks.passed(self.since.load(Relaxed), limit)
    }
}

/// A request whose answer is not yet written; it is when this is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.since.store(self.0.ticks.now(), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ServerLimits {
        let second = Duration::from_secs;
        ServerLimits::default().header_read(second(1)).keep_alive(second(2)).write_stall(second(3))
    }

    fn wait(ticks: &Ticks, time: Duration) {
        for _ in 0..=time.as_millis() / ticks.length().as_millis() {
            ticks.advance();
        }
    }

    #[test]
    fn a_connection_is_overdue_by_what_it_is_doing() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        wait(&ticks, limits.header_read / 2);
        assert!(!activity.is_overdue(&limits), "the first request may still come");
        let request = activity.begin();
        wait(&ticks, limits.keep_alive * 5);
        assert!(!activity.is_overdue(&limits), "an answer may take as long as it takes");
        drop(request);
        wait(&ticks, limits.header_read);
        assert!(!activity.is_overdue(&limits), "idle is not the same as slow");
        wait(&ticks, limits.keep_alive);
        assert!(activity.is_overdue(&limits), "idle for too long");
    }

    #[test]
    fn a_header_section_counts_from_its_first_byte() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        drop(activity.begin());
        wait(&ticks, limits.header_read);
        activity.received();
        assert!(!activity.is_overdue(&limits));
        wait(&ticks, limits.header_read / 2);
        activity.received();
        wait(&ticks, limits.header_read / 2);
        assert!(activity.is_overdue(&limits), "a byte now and then does not help");
    }

    #[test]
    fn a_client_that_takes_nothing_is_overdue() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        let _request = activity.begin();
        activity.wrote(true);
        wait(&ticks, limits.write_stall / 2);
        activity.wrote(false);
        activity.wrote(true);
        wait(&ticks, limits.write_stall / 2);
        assert!(!activity.is_overdue(&limits), "it took something in between");
        wait(&ticks, limits.write_stall);
        assert!(activity.is_overdue(&limits));
    }
}
