//! Time as a value.
//!
//! Whatever expires, waits or measures takes a [`Clock`], so that a test moves time
//! by hand and never sleeps. The refused alternative is a paused runtime: it works
//! for one runtime's timers only, and Ember has a runtime for each worker.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

/// A duration of whole seconds, for attribute options: `cache = TtlCache::new(secs(30))`.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A duration of milliseconds.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Where the time comes from: the machine, or a test.
#[derive(Clone, Default)]
pub struct Clock(Option<ManualClock>);

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(None)
    }

    /// Returns the present moment; differences between moments are what it is for.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(manual) => manual.0.started + manual.elapsed(),
        }
    }

    /// Returns the date and time of day.
    pub fn date(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(manual) => manual.0.started_date + manual.elapsed(),
        }
    }

    /// Waits. On a manual clock, until [`ManualClock::advance`] has moved far enough.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the wait.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            None => tokio::time::sleep(duration).await,
            Some(manual) => manual.sleep(duration).await,
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(manual)" } else { "Clock(system)" })
    }
}

/// A clock that stands still until it is told to move.
///
/// ```
/// use ember::base::clock::{ManualClock, secs};
///
/// let hands = ManualClock::new();
/// let clock = hands.clock();
/// let before = clock.now();
/// hands.advance(secs(60));
/// assert_eq!(clock.now() - before, secs(60));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Manual>);

struct Manual {
    started: Instant,
    started_date: SystemTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    sleepers: Vec<(Duration, Waker)>,
}

impl ManualClock {
    /// A clock that starts now and stands still.
    pub fn new() -> Self {
        Self(Arc::new(Manual {
            started: Instant::now(),
            started_date: SystemTime::now(),
            state: Mutex::default(),
        }))
    }

    /// The clock to hand to the code under test.
    pub fn clock(&self) -> Clock {
        Clock(Some(self.clone()))
    }

    /// Moves time forward and wakes whoever has waited long enough.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed += duration;
        let elapsed = state.elapsed;
        let due: Vec<_> =
            state.sleepers.extract_if(.., |(deadline, _)| *deadline <= elapsed).collect();
        drop(state);
        for (_, waker) in due {
            waker.wake();
        }
    }

    /// Returns how many waits are pending.
    pub fn sleepers(&self) -> usize {
        self.state().sleepers.len()
    }

    fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let deadline = self.elapsed() + duration;
        poll_fn(|context| {
            let mut state = self.state();
            if state.elapsed >= deadline {
                return Poll::Ready(());
            }
            state.sleepers.retain(|(_, waker)| !waker.will_wake(context.waker()));
            state.sleepers.push((deadline, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.elapsed()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_time_has_moved_far_enough() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let sleeper = tokio::spawn(async move { clock.sleep(secs(10)).await });
        while hands.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        hands.advance(secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hands.advance(secs(1));
        sleeper.await.unwrap();
        assert_eq!(hands.sleepers(), 0);
    }

    #[test]
    fn date_and_moment_move_together() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let (moment, date) = (clock.now(), clock.date());
        hands.advance(millis(1500));
        assert_eq!(clock.now() - moment, millis(1500));
        assert_eq!(clock.date().duration_since(date).unwrap(), millis(1500));
    }
}
