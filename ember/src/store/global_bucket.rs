use super::token_bucket::TokenBucket;
use crate::base::Clock;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A [`TokenBucket`] that several routes, middleware and applications draw from. Clones are the
/// same bucket.
///
/// It limits what a route's model may use (`token_limits = bucket()`), what requests may bring
/// (`RateLimit::tokens`), and how quickly a stream is sent (`sse_stream(…).bucket(…)`); wherever it
/// stands, all draw from the one budget.
///
/// ```
/// use ember::store::GlobalTokenBucket;
///
/// let bucket = GlobalTokenBucket::per_minute("chat", 100_000);
/// let mut held = bucket.reserve(600).unwrap();
/// assert_eq!(bucket.available(), 99_400);
/// held.used(450);
/// drop(held);
/// assert!(bucket.available() >= 99_550);
/// ```
#[derive(Clone)]
pub struct GlobalTokenBucket(Arc<Shared>);

struct Shared {
    name: String,
    capacity: u64,
    period: Duration,
    bucket: TokenBucket,
}

impl GlobalTokenBucket {
    /// A full bucket of so many tokens, which refills evenly over the period.
    pub fn new(name: impl Into<String>, capacity: u64, period: Duration) -> Self {
        Self::with_clock(name, capacity, period, Clock::system())
    }

    /// A full bucket for so many tokens a minute.
    pub fn per_minute(name: impl Into<String>, tokens: u64) -> Self {
        Self::new(name, tokens, Duration::from_secs(60))
    }

    /// A full bucket for so many tokens a day.
    pub fn per_day(name: impl Into<String>, tokens: u64) -> Self {
        Self::new(name, tokens, Duration::from_secs(24 * 60 * 60))
    }

    /// As [`GlobalTokenBucket::new`], with the time of this clock.
    pub fn with_clock(
        name: impl Into<String>,
        capacity: u64,
        period: Duration,
        clock: Clock,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "budgets stay far below 2^53")]
        let tokens = capacity as f64;
        let bucket = TokenBucket::new(tokens, tokens / period.as_secs_f64()).clock(clock);
        Self(Arc::new(Shared { name: name.into(), capacity, period, bucket }))
    }

    /// What the bucket is called, in logs and by whoever shares it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many tokens it holds when it is full.
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// How long it takes to become full from nothing.
    pub fn period(&self) -> Duration {
        self.0.period
    }

    /// How many whole tokens could be taken now.
    pub fn available(&self) -> u64 {
        self.0.bucket.available()
    }

    /// How long it takes until the bucket is full, if nobody takes any.
    pub fn until_full(&self) -> Duration {
        self.0.bucket.until_full()
    }

    /// Sets tokens aside until it is known how many are used.
    ///
    /// # Errors
    /// The time until there are so many, as [`TokenBucket::try_consume`] tells it.
    pub fn reserve(&self, tokens: u64) -> Result<TokenHold, Duration> {
        self.0.bucket.try_consume(tokens)?;
        Ok(TokenHold { bucket: self.clone(), reserved: tokens, used: 0 })
    }

    /// Takes tokens as soon as there are enough, as [`TokenBucket::consume`] does.
    ///
    /// # Errors
    /// When the bucket can never hold so many.
    ///
    /// # Cancel safety
    /// Nothing is taken before the future is ready.
    pub async fn consume(&self, tokens: u64) -> Result<(), Duration> {
        self.0.bucket.consume(tokens).await
    }

    /// Tells whether both are one bucket.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The clock that it refills by.
    pub(crate) fn time(&self) -> &Clock {
        self.0.bucket.time()
    }
}

impl fmt::Debug for GlobalTokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalTokenBucket")
            .field("name", &self.0.name)
            .field("capacity", &self.0.capacity)
            .field("period", &self.0.period)
            .field("available", &self.available())
            .finish()
    }
}

/// Tokens that are set aside. Dropping it settles what was used in truth.
#[derive(Debug)]
#[must_use = "what is set aside is given back when this is dropped"]
pub struct TokenHold {
    bucket: GlobalTokenBucket,
    reserved: u64,
    used: u64,
}

impl TokenHold {
    /// How many tokens are set aside.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// How many tokens the bucket holds when it is full.
    pub fn capacity(&self) -> u64 {
        self.bucket.capacity()
    }

    /// How many tokens were used so far.
    pub fn used_so_far(&self) -> u64 {
        self.used
    }

    /// Sets aside so many in all, if that is more than there are.
    ///
    /// # Errors
    /// The time until the bucket has them; what was set aside before stays so.
    pub fn extend_to(&mut self, tokens: u64) -> Result<(), Duration> {
        if let Some(more) = tokens.checked_sub(self.reserved) {
            self.bucket.0.bucket.try_consume(more)?;
            self.reserved = tokens;
        }
        Ok(())
    }

    /// So many tokens were used so far. The last word counts.
    ///
    /// What goes beyond the reservation is taken at once, so that nobody else is given it; if the bucket
    /// has none, it is left with a debt.
    pub fn used(&mut self, tokens: u64) {
        self.used = tokens;
        if tokens > self.reserved {
            self.bucket.0.bucket.settle(self.reserved, tokens);
            self.reserved = tokens;
        }
    }
}

impl Drop for TokenHold {
    fn drop(&mut self) {
        self.bucket.0.bucket.settle(self.reserved, self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};

    #[test]
    fn what_is_set_aside_is_settled_however_it_ends() {
        let hands = ManualClock::new();
        let bucket = GlobalTokenBucket::with_clock("b", 100, secs(100), hands.clock());
        let other = bucket.clone();
        let mut held = bucket.reserve(60).unwrap();
        assert_eq!(other.reserve(50).unwrap_err(), secs(10));
        held.used(20);
        assert_eq!(other.available(), 40, "it may still use the rest");
        held.extend_to(70).unwrap();
        assert_eq!(held.extend_to(101).unwrap_err(), secs(1));
        assert_eq!((held.reserved(), held.used_so_far(), other.available()), (70, 20, 30));
        held.extend_to(10).unwrap();
        drop(held);
        assert_eq!(other.available(), 80);
        let mut dear = bucket.reserve(10).unwrap();
        dear.used(90);
        assert_eq!((other.available(), other.until_full()), (0, secs(110)), "a debt at once");
        drop(dear);
        assert_eq!(other.until_full(), secs(110));
        assert!(other.is(&bucket) && !other.is(&GlobalTokenBucket::per_minute("b", 100)));
    }
}
