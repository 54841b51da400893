//! Keeps the workers alive.
//!
//! A worker whose thread ends before the server does is replaced by a new thread on the same
//! listener, which stays open in between: connections wait in the kernel's queue. Those that the
//! worker had open are lost with it; those of other workers go on. The first replacement is made
//! at once, and each further one waits longer, until one has lasted.

use super::Phase;
use super::worker::Worker;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The wait before the second replacement; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A worker that has lasted so long is not one that fails again and again.
const LASTED: Duration = Duration::from_secs(60);

/// Starts the workers and a thread that replaces them. That thread ends with the last worker.
///
/// It keeps the phase, so that the server outlives whoever could stop it.
pub(super) fn start(
    workers: Vec<Worker>,
    phase: &watch::Sender<Phase>,
    replaced: Arc<AtomicU64>,
) -> io::Result<JoinHandle<()>> {
    let (ends, ended) = channel();
    let mut slots: Vec<_> = workers.into_iter().enumerate().map(Slot::new).collect();
    let kept = phase.clone();
    let started = slots.iter_mut().try_for_each(|slot| slot.start(&ends)).and_then(|()| {
        thread::Builder::new().name("ember-supervisor".into()).spawn(move || {
            supervise(slots, &ends, &ended, &replaced);
            drop(kept);
        })
    });
    if started.is_err() {
        // Those that have started would serve for ever.
        let now = Instant::now();
        phase.send_replace(Phase::Stopping { notice: now, deadline: now });
    }
    started
}

fn supervise(
    mut slots: Vec<Slot>,
    ends: &Sender<usize>,
    ended: &Receiver<usize>,
    replaced: &AtomicU64,
) {
    while slots.iter().any(Slot::is_needed) {
        let end = ended.recv_timeout(wait(&slots));
        match end {
            Ok(index) => slots[index].end(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for slot in slots.iter_mut().filter(|slot| slot.is_due()) {
            match slot.start(ends) {
                Ok(()) => {
                    replaced.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    tracing::error!(worker = slot.index, %error, "a worker cannot be started");
                    slot.due = Some(Instant::now() + slot.backoff.next(Duration::ZERO));
                }
            }
        }
    }
}

/// How long to wait for the end of a worker. While a replacement is due, it checks now and then whether the server
/// has stopped.
fn wait(slots: &[Slot]) -> Duration {
    let due = slots.iter().filter(|slot| !slot.worker.is_over()).filter_map(|slot| slot.due).min();
    let due = due.map(|due| due.saturating_duration_since(Instant::now()));
    due.map_or(LONGEST_WAIT, |due| due.min(FIRST_WAIT))
}

/// The place of one worker.
struct Slot {
    index: usize,
    worker: Arc<Worker>,
    thread: Option<JoinHandle<()>>,
    started: Instant,
    backoff: Backoff,
    /// When the worker is to be replaced.
    due: Option<Instant>,
}

impl Slot {
    fn new((index, worker): (usize, Worker)) -> Self {
        Self {
            index,
            worker: Arc::new(worker),
            thread: None,
            started: Instant::now(),
            backoff: Backoff::default(),
            due: None,
        }
    }

    fn start(&mut self, ends: &Sender<usize>) -> io::Result<()> {
        let (index, worker, ends) = (self.index, self.worker.clone(), ends.clone());
        let thread = thread::Builder::new().name(format!("ember-worker-{index}"));
        let thread = thread.spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| worker.serve()));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(worker = index, %error, "a worker failed"),
                // The panic itself has been reported by the hook.
                Err(_) => tracing::error!(worker = index, "a worker panicked"),
            }
            let _ = ends.send(index);
        })?;
        (self.thread, self.started, self.due) = (Some(thread), Instant::now(), None);
        Ok(())
    }

    /// The worker has ended.
    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !self.worker.is_over() {
            let wait = self.backoff.next(self.started.elapsed());
            tracing::warn!(worker = self.index, ?wait, "a worker is replaced");
            self.due = Some(Instant::now() + wait);
        }
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now()) && !self.worker.is_over()
    }

    /// Tells whether the worker runs, or will.
    fn is_needed(&self) -> bool {
        self.thread.is_some() || (self.due.is_some() && !self.worker.is_over())
    }
}

/// How long to wait before a worker is replaced.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self, lasted: Duration) -> Duration {
        if lasted >= LASTED {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        match self.failures {
            1 => Duration::ZERO,
            failures => FIRST_WAIT.saturating_mul(1 << (failures - 2).min(16)).min(LONGEST_WAIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_a_worker_lasts() {
        let mut backoff = Backoff::default();
        let mut waits = || backoff.next(Duration::ZERO).as_millis();
        assert_eq!([waits(), waits(), waits(), waits()], [0, 100, 200, 400]);
        for _ in 0..40 {
            waits();
        }
        assert_eq!(waits(), 10_000);
        assert_eq!(backoff.next(LASTED), Duration::ZERO);
    }
}
