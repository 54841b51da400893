//! Time as a value.
//!
//! Whatever expires, waits or measures takes a [`Clock`], so that a test moves time
//! by hand and never sleeps. The refused alternative is a paused runtime: it works
//! for one runtime's timers only, and Ember has a runtime for each worker.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
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
            Some(manual) => later(manual.0.started, manual.elapsed()),
        }
    }

    /// Returns the moment after a duration; one that is too far away for the machine to name is
    /// a moment that nobody will see, so that [`Duration::MAX`] can stand for "no limit".
    pub fn after(&self, duration: Duration) -> Instant {
        later(self.now(), duration)
    }

    /// Returns the date and time of day.
    pub fn date(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(manual) => {
                let date = manual.0.started_date;
                date.checked_add(manual.elapsed()).unwrap_or(date + FAR)
            }
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

/// A hundred years: longer than anything runs, and short enough to be added to any moment.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn later(moment: Instant, duration: Duration) -> Instant {
    moment.checked_add(duration).unwrap_or_else(|| moment + FAR)
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
    /// Who waits until when, each under a number of its own: two waits may share a task.
    sleepers: BTreeMap<u64, (Duration, Waker)>,
    next_sleeper: u64,
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
        state.elapsed = state.elapsed.saturating_add(duration);
        let elapsed = state.elapsed;
        let due: Vec<_> =
            state.sleepers.extract_if(.., |_, (deadline, _)| *deadline <= elapsed).collect();
        drop(state);
        for (_, (_, waker)) in due {
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

    fn sleep(&self, duration: Duration) -> ManualSleep {
        let mut state = self.state();
        state.next_sleeper += 1;
        let (number, deadline) = (state.next_sleeper, state.elapsed.saturating_add(duration));
        drop(state);
        ManualSleep { hands: self.clone(), number, deadline }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait on a manual clock, which is forgotten when this is dropped.
struct ManualSleep {
    hands: ManualClock,
    number: u64,
    deadline: Duration,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.hands.state();
        if state.elapsed >= self.deadline {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.number, (self.deadline, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.hands.state().sleepers.remove(&self.number);
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

    #[tokio::test]
    async fn waits_of_one_task_do_not_replace_each_other() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let both = tokio::spawn(async move {
            tokio::join!(clock.sleep(secs(1)), clock.sleep(secs(2)));
        });
        while hands.sleepers() < 2 {
            tokio::task::yield_now().await;
        }
        hands.advance(secs(1));
        hands.advance(secs(1));
        both.await.unwrap();
    }

    #[test]
    fn a_wait_that_is_dropped_is_forgotten() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let mut sleep = Box::pin(clock.sleep(secs(1)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        assert_eq!(hands.sleepers(), 1);
        drop(sleep);
        assert_eq!(hands.sleepers(), 0);
    }

    #[test]
    fn no_duration_is_too_long() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        assert!(clock.after(Duration::MAX) > clock.now());
        assert!(Clock::system().after(Duration::MAX) > Clock::system().now());
        let mut sleep = Box::pin(clock.sleep(Duration::MAX));
        hands.advance(secs(1));
        let mut context = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        hands.advance(Duration::MAX);
        let _ = (clock.now(), clock.date());
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
