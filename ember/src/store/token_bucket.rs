use crate::base::Clock;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A budget of tokens that refills at a steady rate.
///
/// The classic token bucket (RFC 2697 describes it for networks). An estimate is
/// [taken](TokenBucket::try_consume) before the work and [settled](TokenBucket::settle)
/// after it: work that turned out dearer leaves a debt, which later callers wait out.
///
/// ```
/// use ember::store::TokenBucket;
///
/// let bucket = TokenBucket::per_minute(600); // ten a second
/// assert!(bucket.try_consume(600).is_ok());
/// let wait = bucket.try_consume(100).unwrap_err();
/// assert!(wait.as_secs() >= 9);
/// ```
pub struct TokenBucket {
    capacity: f64,
    per_second: f64,
    clock: Clock,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket that holds `capacity` tokens and refills with `per_second`.
    pub fn new(capacity: f64, per_second: f64) -> Self {
        let clock = Clock::system();
        let level = Mutex::new(Level { tokens: capacity, at: clock.now() });
        Self { capacity, per_second, clock, level }
    }

    /// A full bucket for so many tokens a minute.
    pub fn per_minute(tokens: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a budget beyond 2^53 tokens a minute needs no exact unit"
        )]
        let tokens = tokens as f64;
        Self::new(tokens, tokens / 60.0)
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.level = Mutex::new(Level { tokens: self.capacity, at: clock.now() });
        self.clock = clock;
        self
    }

    /// Takes tokens, or tells how long to wait until there are enough.
    ///
    /// More than the bucket holds is never available: the wait is then
    /// [`Duration::MAX`].
    ///
    /// # Errors
    /// The time until the tokens are there, if nobody else takes them.
    pub fn try_consume(&self, tokens: u64) -> Result<(), Duration> {
        let tokens = amount(tokens);
        if tokens > self.capacity {
            return Err(Duration::MAX);
        }
        let mut level = self.refilled();
        if tokens <= level.tokens {
            level.tokens -= tokens;
            return Ok(());
        }
        Err(Duration::try_from_secs_f64((tokens - level.tokens) / self.per_second)
            .unwrap_or(Duration::MAX))
    }

    /// Takes tokens as soon as there are enough.
    ///
    /// # Errors
    /// When the bucket can never hold so many.
    ///
    /// # Cancel safety
    /// Nothing is taken before the future is ready.
    pub async fn consume(&self, tokens: u64) -> Result<(), Duration> {
        loop {
            match self.try_consume(tokens) {
                Err(wait) if wait < Duration::MAX => self.clock.sleep(wait).await,
                outcome => return outcome,
            }
        }
    }

    /// Corrects an estimate: gives back what was not used, or takes what was used beyond it.
    pub fn settle(&self, estimated: u64, used: u64) {
        let mut level = self.refilled();
        level.tokens = (level.tokens + amount(estimated) - amount(used)).min(self.capacity);
    }

    /// Returns how many whole tokens could be taken now.
    pub fn available(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and a debt counts as none"
        )]
        let tokens = self.refilled().tokens.max(0.0) as u64;
        tokens
    }

    /// Returns how long it takes until the bucket is full, if nobody takes any.
    pub fn until_full(&self) -> Duration {
        let missing = self.capacity - self.refilled().tokens;
        Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX)
    }

    /// Goes on from what somebody else says is left.
    pub(super) fn set_left(&self, left: i64) {
        let mut level = self.refilled();
        #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
        let left = left as f64;
        level.tokens = left.min(self.capacity);
    }

    /// The clock that it refills by.
    pub(super) fn time(&self) -> &Clock {
        &self.clock
    }

    fn refilled(&self) -> MutexGuard<'_, Level> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let elapsed = now.saturating_duration_since(level.at).as_secs_f64();
        level.tokens = (level.tokens + elapsed * self.per_second).min(self.capacity);
        level.at = now;
        level
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
fn amount(tokens: u64) -> f64 {
    tokens as f64
}

impl fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("capacity", &self.capacity)
            .field("per_second", &self.per_second)
            .field("available", &self.available())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};

    #[test]
    fn refills_with_time_and_never_overflows() {
        let hands = ManualClock::new();
        let bucket = TokenBucket::per_minute(60).clock(hands.clock());
        assert_eq!(bucket.try_consume(60), Ok(()));
        assert_eq!(bucket.try_consume(5), Err(secs(5)));
        hands.advance(secs(5));
        assert_eq!(bucket.available(), 5);
        assert_eq!(bucket.try_consume(5), Ok(()));
        hands.advance(secs(600));
        assert_eq!(bucket.available(), 60);
        assert_eq!(bucket.try_consume(61), Err(Duration::MAX));
    }

    #[test]
    fn settling_gives_back_or_leaves_a_debt() {
        let hands = ManualClock::new();
        let bucket = TokenBucket::per_minute(60).clock(hands.clock());
        bucket.try_consume(40).unwrap();
        bucket.settle(40, 10);
        assert_eq!(bucket.available(), 50);
        bucket.try_consume(50).unwrap();
        bucket.settle(50, 80);
        assert_eq!(bucket.available(), 0);
        assert_eq!(bucket.try_consume(1), Err(secs(31)));
        assert_eq!(bucket.until_full(), secs(90));
    }

    #[tokio::test]
    async fn consume_waits_for_its_turn() {
        let hands = ManualClock::new();
        let bucket = std::sync::Arc::new(TokenBucket::per_minute(60).clock(hands.clock()));
        bucket.try_consume(60).unwrap();
        let waiter = tokio::spawn({
            let bucket = bucket.clone();
            async move { bucket.consume(2).await }
        });
        while hands.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        hands.advance(secs(2));
        assert_eq!(waiter.await.unwrap(), Ok(()));
    }
}
