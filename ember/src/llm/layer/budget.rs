use crate::base::Clock;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many retries are left to all calls together.
///
/// Each call deposits a part of a token, and each retry withdraws a whole one; deposits older than
/// the window are forgotten. A provider that is down is thus asked a little more often than it is
/// called, and not as many times more as each call may be retried. A reserve lets a program that
/// calls rarely retry at all. The scheme is that of Finagle and tower
/// (`tower::retry::budget::TpsBudget`); a fixed number of retries in flight was refused, because
/// it says nothing about rates.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// In thousandths of a token.
    deposit: i64,
    reserve: i64,
    slot_length: Duration,
    slots: Mutex<Slots>,
}

/// Thousandths of a token.
const TOKEN: i64 = 1_000;

/// Into how many parts the window is divided.
const SLOTS: usize = 10;

#[derive(Debug, Default)]
struct Slots {
    balances: [i64; SLOTS],
    /// When the present slot began, and which it is.
    present: Option<(Instant, usize)>,
}

impl RetryBudget {
    /// A budget of so many retries for each 100 calls within the window, and a reserve of so many
    /// within each window whatever the number of calls.
    pub(super) fn new(percent: u32, reserve: u32, window: Duration) -> Self {
        Self {
            deposit: i64::from(percent) * TOKEN / 100,
            reserve: i64::from(reserve) * TOKEN,
            slot_length: (window / SLOTS as u32).max(Duration::from_millis(1)),
            slots: Mutex::default(),
        }
    }

    /// Counts a call.
    pub(super) fn deposit(&self, clock: &Clock) {
        self.change(clock, self.deposit);
    }

    /// Takes a token for a retry, if there is one.
    pub(super) fn withdraw(&self, clock: &Clock) -> bool {
        self.change(clock, -TOKEN)
    }

    /// Changes the balance of the present slot, unless that of all would fall below nothing.
    fn change(&self, clock: &Clock, change: i64) -> bool {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.advance(clock.now(), self.slot_length);
        let balance = self.reserve + slots.balances.iter().sum::<i64>();
        if change < 0 && balance + change < 0 {
            return false;
        }
        slots.balances[slot] = slots.balances[slot].saturating_add(change);
        true
    }
}

impl Slots {
    /// Forgets the slots that are older than the window, and returns the present one.
    fn advance(&mut self, now: Instant, length: Duration) -> usize {
        let (began, slot) = *self.present.get_or_insert((now, 0));
        let passed = now.saturating_duration_since(began).as_nanos() / length.as_nanos();
        if passed == 0 {
            return slot;
        }
        if passed >= SLOTS as u128 {
            self.balances = [0; SLOTS];
            self.present = Some((now, 0));
            return 0;
        }
        // Fewer than the number of slots, which is ten.
        let passed = passed as usize;
        for step in 1..=passed {
            self.balances[(slot + step) % SLOTS] = 0;
        }
        let slot = (slot + passed) % SLOTS;
        self.present = Some((began + length * passed as u32, slot));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};

    fn withdrawn(budget: &RetryBudget, clock: &Clock, tries: usize) -> usize {
        (0..tries).filter(|_| budget.withdraw(clock)).count()
    }

    #[test]
    fn retries_are_a_share_of_the_calls_and_a_reserve() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let budget = RetryBudget::new(20, 3, secs(10));
        assert_eq!(withdrawn(&budget, &clock, 9), 3, "the reserve");
        for _ in 0..10 {
            budget.deposit(&clock);
        }
        assert_eq!(withdrawn(&budget, &clock, 9), 2, "a fifth of ten");
        hands.advance(millis(9_999));
        assert_eq!(withdrawn(&budget, &clock, 9), 0);
        hands.advance(millis(1));
        assert_eq!(withdrawn(&budget, &clock, 9), 3, "what is older than the window is forgotten");
    }

    #[test]
    fn the_window_moves_slot_by_slot() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let budget = RetryBudget::new(100, 0, secs(10));
        for _ in 0..9 {
            budget.deposit(&clock);
            hands.advance(secs(1));
        }
        hands.advance(secs(4));
        assert_eq!(withdrawn(&budget, &clock, 20), 5, "the deposits of the last ten seconds");
        hands.advance(secs(500));
        assert!(!budget.withdraw(&clock));
    }
}
