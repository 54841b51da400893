use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// The largest amount that counts: 2^53 - 1, to which also servers can count whose only numbers are
/// floating-point ones.
pub(super) const MOST: u64 = (1 << 53) - 1;

/// What a bucket in a [`Store`](super::Store) holds, and how quickly it fills.
///
/// It is full until somebody draws from it. How large it is stands in no store: every draw brings it
/// along. What is kept is how much is missing. Where processes say differently of one bucket, as while a
/// new capacity is rolled out, each goes by its own word for what is left, and all by what was
/// taken: one that knows of a smaller capacity finds less, or a debt, and nobody forgets what others took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// How much there is when it is full; at most 2^53 - 1 counts.
    pub capacity: u64,
    /// How long it takes to become full from nothing; [`Duration::MAX`] for one that never does.
    pub period: Duration,
    /// How long a bucket is remembered that never refills; of others nothing is kept once they are full.
    pub ttl: Duration,
}

impl Bucket {
    /// One that becomes full from nothing within this period, evenly.
    pub const fn refilling(capacity: u64, period: Duration) -> Self {
        Self { capacity, period, ttl: Duration::MAX }
    }

    /// One that never refills, and is forgotten when nobody has drawn from it for so long.
    pub const fn once(capacity: u64, ttl: Duration) -> Self {
        Self { capacity, period: Duration::MAX, ttl }
    }

    /// How much it can hold.
    pub(super) fn most(&self) -> u64 {
        self.capacity.min(MOST)
    }

    /// How long it takes to fill, in microseconds; 0 for never.
    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.period.as_micros().max(1))
            .ok()
            .filter(|micros| *micros <= MOST)
            .unwrap_or(0)
    }

    /// How long it takes until there is so much more.
    fn time_for(&self, amount: u64) -> Duration {
        match (amount, self.most(), self.micros()) {
            (0, _, _) => Duration::ZERO,
            (_, 0, _) | (_, _, 0) => Duration::MAX,
            (amount, capacity, micros) => {
                let micros = (u128::from(amount) * u128::from(micros)).div_ceil(capacity.into());
                u64::try_from(micros).map_or(Duration::MAX, Duration::from_micros)
            }
        }
    }
}

/// What is done to a [`Bucket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Takes so much if there is so much. Taking nothing changes nothing, and tells what is left.
    Take(u64),
    /// Gives back so much, up to what the bucket holds; or takes so much, where it is less than nothing, even
    /// if it leaves a debt.
    Adjust(i64),
    /// As [`Take`](Self::Take), and at most once by this id, however often it is asked; after an
    /// [`Undo`](Self::Undo) of the id it takes nothing.
    TakeOnce(u64, DrawId),
    /// As [`Adjust`](Self::Adjust), and at most once by this id.
    AdjustOnce(i64, DrawId),
    /// Gives back what was taken by this id, if anything was, and lets it take nothing later. It may be
    /// asked any number of times: for what has no answer, and may or may not have happened, or happen yet.
    Undo(DrawId),
}

impl Draw {
    /// The id by which it is done once.
    pub(super) fn id(&self) -> Option<DrawId> {
        match self {
            Self::Take(_) | Self::Adjust(_) => None,
            Self::TakeOnce(_, id) | Self::AdjustOnce(_, id) | Self::Undo(id) => Some(*id),
        }
    }
}

/// What tells one operation on a bucket from every other.
///
/// A store remembers for a minute what it has done by an id. Redis remembers all; where a
/// bucket is kept as one value, the last 32 of each bucket are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DrawId(pub(super) u64);

impl DrawId {
    /// One that nobody else has, as far as chance goes.
    pub fn random() -> Self {
        // The keys of a new state are random, and none has those of another.
        Self(RandomState::new().build_hasher().finish())
    }
}

/// As sixteen hexadecimal digits.
impl fmt::Display for DrawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What became of a [`Draw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drawn {
    /// Whether there was so much. An adjustment always succeeds.
    pub taken: bool,
    /// How much is left now; less than nothing is a debt.
    pub left: i64,
    /// How long the next one has been growing.
    pub growing: Duration,
}

impl Drawn {
    /// The outcome of a draw.
    pub fn new(taken: bool, left: i64, growing: Duration) -> Self {
        Self { taken, left, growing }
    }

    /// How long it takes until the bucket has so much, if nobody takes any;
    /// [`Duration::MAX`] if it never has.
    pub fn wait_for(&self, bucket: &Bucket, amount: u64) -> Duration {
        if amount > bucket.most() {
            return Duration::MAX;
        }
        let missing = i128::from(amount) - i128::from(self.left);
        let missing = u64::try_from(missing.max(0)).unwrap_or(u64::MAX);
        match bucket.time_for(missing) {
            Duration::MAX => Duration::MAX,
            wait => wait.saturating_sub(self.growing),
        }
    }

    /// How long it takes until the bucket is full, if nobody takes any.
    pub fn until_full(&self, bucket: &Bucket) -> Duration {
        self.wait_for(bucket, bucket.most())
    }
}
