use super::failure::away;
use crate::base::Error;
use bytes::Bytes;
use std::time::Duration;

/// The largest amount that counts: 2^53 - 1, to which also servers can count whose only numbers are
/// floating-point ones.
const MOST: u64 = (1 << 53) - 1;

/// How long a bucket is remembered after it is full again.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// What a bucket in a [`Store`](super::Store) holds, and how quickly it fills.
///
/// It is full until somebody draws from it. How large it is stands in no store: every draw brings it
/// along. Where processes say differently of one bucket, each goes by its own word: one that
/// knows of a smaller capacity finds at most so much, and leaves no more.
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

/// What is to be done with what is kept of a bucket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It stays as it is.
    Nothing,
    /// A full bucket is as good as none.
    Forget,
    /// This is kept for so long.
    Keep(Bytes, Duration),
}

/// What is kept of a bucket, as text: how much there is, and since when, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    left: i64,
    since: u64,
}

impl Level {
    fn parse(kept: &[u8]) -> Option<Self> {
        let (left, since) = std::str::from_utf8(kept).ok()?.split_once(' ')?;
        Some(Self { left: left.parse().ok()?, since: since.parse().ok()? })
    }

    fn full(bucket: &Bucket, now: u64) -> Self {
        Self { left: signed(bucket.most()), since: now }
    }

    /// Adds what has grown since. What is not a whole one goes on growing: `since` moves on by the time
    /// that the whole ones took, rounded up, so that no rounding ever gives more than there is.
    fn refilled(self, bucket: &Bucket, now: u64) -> Self {
        let (capacity, period) = (u128::from(bucket.most()), u128::from(bucket.micros()));
        if i128::from(self.left) >= i128::from(bucket.most()) {
            return Self::full(bucket, now);
        }
        if period == 0 || capacity == 0 {
            return self;
        }
        let grown = u128::from(now.saturating_sub(self.since)) * capacity / period;
        let left = i128::from(self.left) + i128::try_from(grown).unwrap_or(i128::MAX / 2);
        if left >= i128::from(bucket.most()) {
            return Self::full(bucket, now);
        }
        let took = u64::try_from((grown * period).div_ceil(capacity)).unwrap_or(u64::MAX);
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        Self { left, since: self.since.saturating_add(took) }
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount.min(MOST)).unwrap_or(i64::MAX)
}

/// Draws from what is kept of a bucket, at a moment in microseconds. A clock that steps back stands still.
pub(super) fn draw(
    kept: Option<&[u8]>,
    bucket: &Bucket,
    draw: Draw,
    now: u64,
) -> Result<(Drawn, Change), Error> {
    let level = match kept {
        None => Level::full(bucket, now),
        Some(kept) => match Level::parse(kept) {
            Some(level) => level.refilled(bucket, now),
            None => return Err(away("what is kept under the key of a bucket is none")),
        },
    };
    let mut left = level.left;
    let (taken, is_changed) = match draw {
        Draw::Take(0) => (left >= 0, false),
        Draw::Take(amount) => {
            let taken = i128::from(amount) <= i128::from(left);
            if taken {
                left -= signed(amount);
            }
            (taken, taken)
        }
        Draw::Adjust(amount) => {
            let deepest = -signed(MOST);
            left = left.saturating_add(amount).clamp(deepest, signed(bucket.most()).max(deepest));
            (true, amount != 0)
        }
    };
    let growing = Duration::from_micros(now.saturating_sub(level.since));
    let drawn = Drawn { taken, left, growing };
    let change = match is_changed {
        false => Change::Nothing,
        true if left >= signed(bucket.most()) => Change::Forget,
        true => {
            let text = format!("{left} {}", level.since);
            Change::Keep(text.into(), ttl_of(bucket, &drawn))
        }
    };
    Ok((drawn, change))
}

/// How long what is left is remembered.
pub(super) fn ttl_of(bucket: &Bucket, drawn: &Drawn) -> Duration {
    match bucket.micros() {
        0 => bucket.ttl,
        _ => drawn.until_full(bucket).saturating_add(SLACK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn of(seconds: u64, capacity: u64) -> Bucket {
        Bucket::refilling(capacity, Duration::from_secs(seconds))
    }

    /// Draws one after another, each at its moment, and returns what was left.
    fn left(bucket: Bucket, draws: &[(u64, Draw)]) -> Vec<(bool, i64)> {
        let mut kept: Option<Bytes> = None;
        let outcomes = draws.iter().map(|(at, what)| {
            let (drawn, change) = draw(kept.as_deref(), &bucket, *what, *at).unwrap();
            match change {
                Change::Nothing => {}
                Change::Forget => kept = None,
                Change::Keep(value, ttl) => {
                    assert!(ttl > Duration::ZERO);
                    kept = Some(value);
                }
            }
            (drawn.taken, drawn.left)
        });
        outcomes.collect()
    }

    #[test]
    fn a_bucket_refills_evenly_and_remembers_parts() {
        let bucket = of(60, 2);
        let draws = [0, 0, 1, 29, 30, 31, 59, 60, 61].map(|at| (at * SECOND, Draw::Take(1)));
        let taken: Vec<_> = left(bucket, &draws).into_iter().map(|(taken, _)| taken).collect();
        assert_eq!(taken, [true, true, false, false, true, false, false, true, false]);
        let (drawn, _) = draw(Some(b"0 0"), &bucket, Draw::Take(1), 20 * SECOND).unwrap();
        assert_eq!(drawn.wait_for(&bucket, 1), Duration::from_secs(10));
        assert_eq!(drawn.until_full(&bucket), Duration::from_secs(40));
        assert_eq!(drawn.wait_for(&bucket, 3), Duration::MAX);
    }

    #[test]
    fn settling_gives_back_or_leaves_a_debt() {
        let draws = [
            (0, Draw::Take(80)),
            (0, Draw::Adjust(30)),
            (0, Draw::Adjust(-70)),
            (0, Draw::Take(0)),
            (10 * SECOND, Draw::Take(1)),
            (21 * SECOND, Draw::Take(1)),
            (21 * SECOND, Draw::Adjust(1_000)),
        ];
        let expected = [
            (true, 20),
            (true, 50),
            (true, -20),
            (false, -20),
            (false, -10),
            (true, 0),
            (true, 100),
        ];
        assert_eq!(left(of(100, 100), &draws), expected);
        let (drawn, change) = draw(Some(b"40 0"), &of(100, 100), Draw::Adjust(60), 0).unwrap();
        assert_eq!((drawn.left, change), (100, Change::Forget));
    }

    #[test]
    fn what_never_refills_is_kept_for_its_time() {
        let bucket = Bucket::once(10, Duration::from_secs(7));
        let (drawn, change) = draw(None, &bucket, Draw::Take(4), 5).unwrap();
        assert_eq!(change, Change::Keep("6 5".into(), Duration::from_secs(7)));
        assert_eq!(drawn.wait_for(&bucket, 7), Duration::MAX);
        let (drawn, _) = draw(Some(b"6 5"), &bucket, Draw::Take(7), u64::MAX).unwrap();
        assert_eq!((drawn.taken, drawn.left), (false, 6));
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_and_takes_nothing() {
        let draws = [
            (100, Draw::Take(100)),
            (40, Draw::Take(1)),
            (100, Draw::Take(1)),
            (101, Draw::Take(1)),
        ];
        let draws = draws.map(|(at, what)| (at * SECOND, what));
        let taken: Vec<_> =
            left(of(100, 100), &draws).into_iter().map(|(taken, _)| taken).collect();
        assert_eq!(taken, [true, false, false, true]);
    }

    #[test]
    fn the_largest_numbers_are_bounded() {
        let bucket = of(1, u64::MAX);
        let (drawn, _) = draw(None, &bucket, Draw::Take(u64::MAX), 0).unwrap();
        assert!(!drawn.taken);
        for amount in [i64::MIN, i64::MAX] {
            let (drawn, _) = draw(Some(b"-5 0"), &bucket, Draw::Adjust(amount), u64::MAX).unwrap();
            assert!(drawn.left.unsigned_abs() <= MOST);
        }
        assert!(draw(Some(b"no bucket"), &bucket, Draw::Take(1), 0).is_err());
        let (drawn, _) = draw(None, &of(1, 0), Draw::Take(1), 0).unwrap();
        assert_eq!((drawn.taken, drawn.left), (false, 0));
    }

    /// However often and when it is asked, no more is taken than there was and has grown.
    #[test]
    fn never_more_is_taken_than_there_is() {
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..300 {
            let (capacity, micros) = (1 + next(1_000), 1 + next(5_000_000));
            let bucket = Bucket::refilling(capacity, Duration::from_micros(micros));
            let (mut now, mut taken, mut kept) = (0, 0_u128, None::<Bytes>);
            for _ in 0..80 {
                now += next(300_000);
                let amount = next(50);
                let (drawn, change) =
                    draw(kept.as_deref(), &bucket, Draw::Take(amount), now).unwrap();
                taken += if drawn.taken { u128::from(amount) } else { 0 };
                if let Change::Keep(value, _) = change {
                    kept = Some(value);
                }
                let grown = u128::from(now) * u128::from(capacity) / u128::from(micros);
                assert!(taken <= u128::from(capacity) + grown);
                assert!(drawn.left >= 0 && drawn.left <= i64::try_from(capacity).unwrap());
            }
        }
    }
}
