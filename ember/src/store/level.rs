//! What is kept of a bucket, by stores that keep it as one value.

use super::draw::{Bucket, Draw, DrawId, Drawn, MOST};
use super::failure::refused;
use crate::base::Error;
use bytes::Bytes;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a bucket is remembered after it is full again.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// How long it is remembered what was done by an id.
pub(super) const MEMORY: Duration = Duration::from_secs(60);

/// How many ids are remembered in what is kept of a bucket.
const MOST_IDS: usize = 32;

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

/// Draws from what is kept of a bucket, at a moment in microseconds. A clock that steps back stands still.
pub(super) fn draw(
    kept: Option<&[u8]>,
    bucket: &Bucket,
    draw: Draw,
    now: u64,
) -> Result<(Drawn, Change), Error> {
    let mut level = match kept {
        None => Level::full(now),
        Some(kept) => Level::parse(kept)
            .ok_or_else(|| refused("what is kept under the key of a bucket is none"))?,
    };
    level.refill(bucket, now);
    let memory = u64::try_from(MEMORY.as_micros()).unwrap_or(u64::MAX);
    level.done.retain(|done| now.saturating_sub(done.at) < memory);
    let (taken, is_changed) = level.apply(bucket, draw, now);
    let growing = Duration::from_micros(now.saturating_sub(level.since));
    let drawn = Drawn { taken, left: level.left(bucket), growing };
    let change = match is_changed {
        false => Change::Nothing,
        true if level.missing == 0 && level.done.is_empty() => Change::Forget,
        true => {
            let memory = if level.done.is_empty() { Duration::ZERO } else { MEMORY };
            let ttl = if level.missing == 0 { memory } else { ttl_of(bucket, &drawn).max(memory) };
            Change::Keep(level.to_string().into(), ttl)
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

/// What is kept of a bucket, as text: how much is missing, and since when the next one grows, in
/// microseconds; then what was done by ids.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Level {
    missing: u64,
    since: u64,
    done: Vec<Done>,
}

/// What was done by an id, as text: the id, how much can be undone, and when, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Done {
    id: DrawId,
    taken: u64,
    at: u64,
}

impl FromStr for Done {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(());
        let id = u64::from_str_radix(next()?, 16).map_err(drop)?;
        let (taken, at) = (next()?.parse().map_err(drop)?, next()?.parse().map_err(drop)?);
        Ok(Self { id: DrawId(id), taken, at })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.missing, self.since)?;
        self.done.iter().try_for_each(|Done { id, taken, at }| write!(f, " {id}:{taken}:{at}"))
    }
}

impl Level {
    fn parse(kept: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(kept).ok()?.split(' ');
        let (missing, since) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let done = parts.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { missing, since, done })
    }

    fn full(now: u64) -> Self {
        Self { missing: 0, since: now, done: Vec::new() }
    }

    /// Takes off what has grown since. What is not a whole one goes on growing: `since` moves on by the time
    /// that the whole ones took, rounded up, so that no rounding ever gives more than there is.
    fn refill(&mut self, bucket: &Bucket, now: u64) {
        let (capacity, period) = (u128::from(bucket.most()), u128::from(bucket.micros()));
        if period > 0 && capacity > 0 {
            let grown = u128::from(now.saturating_sub(self.since)) * capacity / period;
            let took = u64::try_from((grown * period).div_ceil(capacity)).unwrap_or(u64::MAX);
            self.missing = self.missing.saturating_sub(u64::try_from(grown).unwrap_or(u64::MAX));
            self.since = self.since.saturating_add(took);
        }
        if self.missing == 0 {
            self.since = now;
        }
    }

    fn left(&self, bucket: &Bucket) -> i64 {
        signed(bucket.most()) - signed(self.missing)
    }

    /// Takes so much if there is so much; tells whether it has.
    fn take(&mut self, bucket: &Bucket, amount: u64) -> bool {
        let taken = i128::from(amount) <= i128::from(self.left(bucket));
        if taken {
            self.missing += amount;
        }
        taken
    }

    /// Gives back, or takes even if there is not so much.
    fn adjust(&mut self, amount: i64) {
        let back = amount.unsigned_abs();
        self.missing = match amount {
            0.. => self.missing.saturating_sub(back),
            _ => self.missing.saturating_add(back).min(MOST),
        };
    }

    /// Remembers what was done by an id, in place of what has been longest ago.
    fn remember(&mut self, id: DrawId, taken: u64, at: u64) {
        if self.done.len() >= MOST_IDS {
            self.done.remove(0);
        }
        self.done.push(Done { id, taken, at });
    }

    /// Does what is asked at a moment; tells whether there was so much, and whether anything is different now.
    fn apply(&mut self, bucket: &Bucket, draw: Draw, now: u64) -> (bool, bool) {
        let id = draw.id();
        let known = self.done.iter().position(|done| Some(done.id) == id);
        match (draw, known) {
            (Draw::Take(0) | Draw::TakeOnce(0, _), _) => (self.left(bucket) >= 0, false),
            (Draw::Take(amount), _) => {
                let taken = self.take(bucket, amount);
                (taken, taken)
            }
            (Draw::TakeOnce(amount, id), None) => {
                let taken = self.take(bucket, amount);
                if taken {
                    self.remember(id, amount, now);
                }
                (taken, taken)
            }
            (Draw::TakeOnce(..), Some(known)) => (self.done[known].taken > 0, false),
            (Draw::Adjust(amount), _) => {
                self.adjust(amount);
                (true, amount != 0)
            }
            (Draw::AdjustOnce(amount, id), None) => {
                self.adjust(amount);
                self.remember(id, 0, now);
                (true, true)
            }
            (Draw::AdjustOnce(..), Some(_)) => (true, false),
            (Draw::Undo(id), None) => {
                self.remember(id, 0, now);
                (true, true)
            }
            (Draw::Undo(_), Some(known)) => {
                let taken = std::mem::take(&mut self.done[known].taken);
                self.missing = self.missing.saturating_sub(taken);
                (true, taken > 0)
            }
        }
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount.min(MOST)).unwrap_or(i64::MAX)
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
        left_of(&draws.iter().map(|(at, what)| (*at, bucket, *what)).collect::<Vec<_>>())
    }

    /// As [`left`], where each brings its own word of the bucket.
    fn left_of(draws: &[(u64, Bucket, Draw)]) -> Vec<(bool, i64)> {
        let mut kept: Option<Bytes> = None;
        let outcomes = draws.iter().map(|(at, bucket, what)| {
            let (drawn, change) = draw(kept.as_deref(), bucket, *what, *at).unwrap();
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
        let (drawn, _) = draw(Some(b"2 0"), &bucket, Draw::Take(1), 20 * SECOND).unwrap();
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
        let (drawn, change) = draw(Some(b"60 0"), &of(100, 100), Draw::Adjust(60), 0).unwrap();
        assert_eq!((drawn.left, change), (100, Change::Forget));
    }

    #[test]
    fn what_never_refills_is_kept_for_its_time() {
        let bucket = Bucket::once(10, Duration::from_secs(7));
        let (drawn, change) = draw(None, &bucket, Draw::Take(4), 5).unwrap();
        assert_eq!(change, Change::Keep("4 5".into(), Duration::from_secs(7)));
        assert_eq!(drawn.wait_for(&bucket, 7), Duration::MAX);
        let (drawn, _) = draw(Some(b"4 5"), &bucket, Draw::Take(7), u64::MAX).unwrap();
        assert_eq!((drawn.taken, drawn.left), (false, 6));
    }

    #[test]
    fn another_capacity_finds_what_was_spent() {
        let of = |capacity| Bucket::once(capacity, Duration::from_secs(7));
        let draws = [
            (100, Draw::Take(100)),
            // More is allowed, and there is as much more.
            (200, Draw::Take(0)),
            (200, Draw::Adjust(40)),
            // Less is allowed than was spent.
            (50, Draw::Take(1)),
            (50, Draw::Adjust(15)),
            (50, Draw::Take(5)),
            (100, Draw::Take(0)),
        ];
        let draws = draws.map(|(capacity, draw)| (0, of(capacity), draw));
        let expected =
            [(true, 0), (true, 100), (true, 140), (false, -10), (true, 5), (true, 0), (true, 50)];
        assert_eq!(left_of(&draws), expected);
        let shrinks = [(0, of(100), Draw::Take(60)), (0, of(50), Draw::Adjust(55))];
        let shrinks = [shrinks[0], shrinks[1], (0, of(100), Draw::Take(0))];
        assert_eq!(left_of(&shrinks)[2], (true, 95), "what others spent is not forgotten");
    }

    #[test]
    fn what_has_an_id_is_done_once() {
        let (a, b, c) = (DrawId(1), DrawId(2), DrawId::random());
        assert!(c != DrawId::random());
        let draws = [
            (Draw::TakeOnce(60, a), (true, 40)),
            (Draw::TakeOnce(60, a), (true, 40)),
            (Draw::AdjustOnce(60, b), (true, 100)),
            (Draw::Take(30), (true, 70)),
            // It would give back what somebody else has.
            (Draw::AdjustOnce(60, b), (true, 70)),
            (Draw::TakeOnce(80, c), (false, 70)),
            (Draw::TakeOnce(50, c), (true, 20)),
            (Draw::Undo(c), (true, 70)),
            (Draw::Undo(c), (true, 70)),
            (Draw::TakeOnce(50, c), (false, 70)),
            // What comes late finds that it was undone before.
            (Draw::Undo(DrawId(9)), (true, 70)),
            (Draw::TakeOnce(50, DrawId(9)), (false, 70)),
        ];
        let asked = draws.map(|(draw, _)| (5, draw));
        let bucket = Bucket::once(100, Duration::from_secs(7));
        assert_eq!(left(bucket, &asked), draws.map(|(_, expected)| expected));
        // A minute later nobody knows, and nothing is kept of what is full.
        let (_, change) = draw(None, &bucket, Draw::AdjustOnce(1, a), 0).unwrap();
        let Change::Keep(kept, ttl) = change else { panic!("{change:?}") };
        assert_eq!(ttl, MEMORY);
        let (_, change) = draw(Some(&kept), &bucket, Draw::Adjust(1), 60 * SECOND).unwrap();
        assert_eq!(change, Change::Forget);
    }

    #[test]
    fn only_so_many_ids_are_remembered() {
        let bucket = Bucket::once(100, Duration::from_secs(7));
        let mut kept: Option<Bytes> = None;
        for id in 0..100 {
            let (_, change) = draw(kept.as_deref(), &bucket, Draw::Undo(DrawId(id)), 5).unwrap();
            let Change::Keep(value, _) = change else { panic!() };
            kept = Some(value);
        }
        let kept = kept.unwrap();
        assert!(kept.len() < 2_000, "{}", kept.len());
        let known = |id| draw(Some(&kept), &bucket, Draw::TakeOnce(1, DrawId(id)), 5).unwrap();
        assert!(!known(99).0.taken && !known(68).0.taken && known(67).0.taken);
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
            let (drawn, _) = draw(Some(b"5 0"), &bucket, Draw::Adjust(amount), u64::MAX).unwrap();
            assert!(drawn.left.unsigned_abs() <= MOST);
        }
        for none in ["no bucket", "-5 0", "5", "5 0 x", "5 0 1:2"] {
            assert!(draw(Some(none.as_bytes()), &bucket, Draw::Take(1), 0).is_err(), "{none}");
        }
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
