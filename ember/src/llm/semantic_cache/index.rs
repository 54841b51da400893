//! Vectors of one space, and the exact search for the nearest.
//!
//! The search is exhaustive, so that it finds the nearest and not one that is probably near: a graph
//! or a tree would answer faster, but forget neighbours, and cost as much again in memory. It is made fast in two steps. Each vector
//! stands here twice, as `f32` and rounded to `i8`; the scan reads the small copy alone, which is a
//! quarter of the memory, and computes a bound that the true similarity cannot exceed. Only where
//! the bound reaches what is looked for, the true vector is read.
//!
//! [`Index`] is all that the cache knows of vectors: put in, take out, nearest. Each process has its own, also of
//! those that others have found out; why none searches where they are stored is said in `log`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How many vectors stand under one lock. A search of that size takes less than a millisecond,
/// so nobody who puts a vector in waits longer.
const SEGMENT: usize = 4_096;

/// The most dimensions that a vector may have. Products of two `i8` are at most 127², and
/// 127² × 65,536 still fits an `i32`.
pub(super) const MAX_DIMENSIONS: usize = 65_536;

/// A vector that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    pub(super) id: u64,
    /// The cosine of the angle, -1 to 1.
    pub(super) similarity: f32,
}

/// Scales a vector to the length 1. `None` where it has no direction, or more dimensions than fit.
pub(super) fn normalised(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    // In `f64`: the square of a large `f32` is no `f32` any more.
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length <= 0.0 || vector.len() > MAX_DIMENSIONS {
        return None;
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    Some(vector)
}

/// Vectors of one number of dimensions, each under an id.
///
/// Searches run beside each other and beside one writer; a vector that is moved while a search
/// runs may be missed by it.
#[derive(Debug)]
pub(super) struct Index {
    dimensions: usize,
    segments: RwLock<Vec<Arc<RwLock<Segment>>>>,
    /// Where each id stands, counted through all segments. Whoever changes the index holds this.
    positions: Mutex<HashMap<u64, usize>>,
}

impl Index {
    pub(super) fn new(dimensions: usize) -> Self {
        let (segments, positions) = (RwLock::default(), Mutex::default());
        Self { dimensions, segments, positions }
    }

    pub(super) fn len(&self) -> usize {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What a vector takes here, in bytes.
    pub(super) fn bytes_of(dimensions: usize) -> usize {
        dimensions * (size_of::<f32>() + size_of::<i8>())
            + 2 * size_of::<f32>()
            + 4 * size_of::<u64>()
    }

    /// Puts a vector of the length 1 in. One of another number of dimensions is left out.
    pub(super) fn insert(&self, id: u64, vector: &[f32]) {
        if vector.len() != self.dimensions {
            return;
        }
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let position = positions.len();
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if position / SEGMENT >= segments.len() {
            segments.push(Arc::default());
        }
        let segment = segments[position / SEGMENT].clone();
        drop(segments);
        segment.write().unwrap_or_else(PoisonError::into_inner).push(id, vector);
        positions.insert(id, position);
    }

    /// Takes a vector out. The last one takes its place, so that there are no gaps.
    pub(super) fn remove(&self, id: u64) {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(position) = positions.remove(&id) else { return };
        let last = positions.len();
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let place = segments[position / SEGMENT].clone();
        let moved = {
            let mut end = segments[last / SEGMENT].write().unwrap_or_else(PoisonError::into_inner);
            end.pop(self.dimensions)
        };
        if last.is_multiple_of(SEGMENT) {
            segments.pop();
        }
        drop(segments);
        if let Some(moved) = moved.filter(|_| position != last) {
            let mut place = place.write().unwrap_or_else(PoisonError::into_inner);
            positions.insert(moved.ids[0], position);
            place.replace(position % SEGMENT, moved, self.dimensions);
        }
    }

    /// The nearest vectors whose similarity reaches a threshold, the nearest first; of equally near
    /// ones, the one with the smaller id. The query has the length 1.
    pub(super) fn nearest(&self, query: &[f32], threshold: f32, count: usize) -> Vec<Match> {
        if query.len() != self.dimensions || count == 0 {
            return Vec::new();
        }
        let query = Query::new(query);
        let mut best = Best { matches: Vec::with_capacity(count + 1), threshold, count };
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
        for segment in segments {
            segment.read().unwrap_or_else(PoisonError::into_inner).search(&query, &mut best);
        }
        best.matches
    }
}

/// The best matches so far.
struct Best {
    matches: Vec<Match>,
    threshold: f32,
    count: usize,
}

impl Best {
    /// What a vector must reach to be among them.
    fn cutoff(&self) -> f32 {
        match self.matches.last() {
            Some(last) if self.matches.len() == self.count => last.similarity,
            _ => self.threshold,
        }
    }

    fn offer(&mut self, found: Match) {
        if found.similarity < self.cutoff() {
            return;
        }
        let before = |known: &Match| {
            known.similarity > found.similarity
                || (known.similarity == found.similarity && known.id < found.id)
        };
        let place = self.matches.partition_point(before);
        self.matches.insert(place, found);
        self.matches.truncate(self.count);
    }
}

/// A vector rounded: `scale × codes` is the vector but for an error of at most the length `error`.
struct Rounded {
    codes: Vec<i8>,
    scale: f32,
    error: f32,
}

impl Rounded {
    fn of(vector: &[f32]) -> Self {
        let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let codes: Vec<i8> = vector.iter().map(|value| (value / scale).round() as i8).collect();
        let error = vector.iter().zip(&codes).map(|(value, code)| {
            let error = f64::from(*value) - f64::from(*code) * f64::from(scale);
            error * error
        });
        let error = error.sum::<f64>().sqrt() as f32;
        Self { codes, scale, error }
    }
}

/// What is looked for, in the forms that the scan needs.
struct Query<'a> {
    exact: &'a [f32],
    /// As `i16`, so that the compiler multiplies without widening one side again and again.
    codes: Vec<i16>,
    scale: f32,
    error: f32,
    /// What rounding in `f32` may add to a sum of so many products.
    slack: f32,
}

impl<'a> Query<'a> {
    fn new(exact: &'a [f32]) -> Self {
        let Rounded { codes, scale, error } = Rounded::of(exact);
        let codes = codes.into_iter().map(i16::from).collect();
        let slack = (exact.len() as f32 + 16.0) * 4.0 * f32::EPSILON;
        Self { exact, codes, scale, error, slack }
    }
}

#[derive(Debug, Default)]
struct Segment {
    ids: Vec<u64>,
    exact: Vec<f32>,
    codes: Vec<i8>,
    /// The scale and the error of each vector's codes.
    rounding: Vec<(f32, f32)>,
}

impl Segment {
    fn push(&mut self, id: u64, vector: &[f32]) {
        let rounded = Rounded::of(vector);
        self.ids.push(id);
        self.exact.extend_from_slice(vector);
        self.codes.extend_from_slice(&rounded.codes);
        self.rounding.push((rounded.scale, rounded.error));
    }

    /// Takes the last vector out, as a segment of its own.
    fn pop(&mut self, dimensions: usize) -> Option<Self> {
        let left = self.ids.len().checked_sub(1)?;
        Some(Self {
            ids: self.ids.split_off(left),
            exact: self.exact.split_off(left * dimensions),
            codes: self.codes.split_off(left * dimensions),
            rounding: self.rounding.split_off(left),
        })
    }

    /// Puts the one vector of another segment into a place.
    fn replace(&mut self, place: usize, by: Self, dimensions: usize) {
        let row = place * dimensions..(place + 1) * dimensions;
        self.ids[place] = by.ids[0];
        self.exact[row.clone()].copy_from_slice(&by.exact);
        self.codes[row].copy_from_slice(&by.codes);
        self.rounding[place] = by.rounding[0];
    }

    /// Offers every vector that may be among the best.
    ///
    /// Why none is missed: let the query be `q = s·d + e` and a vector `v = t·c + f`, with codes `d` and `c`, scales
    /// `s` and `t`, and errors `e` and `f`. Then
    ///
    /// `q·v = s·t·(d·c) + (s·d)·f + e·v`,
    ///
    /// and by Cauchy and Schwarz the second term is at most `|s·d|·|f| ≤ (|q| + |e|)·|f|`, and the
    /// third at most `|e|·|v|`. With `|q| = |v| = 1`, the true similarity is at most
    /// `s·t·(d·c) + (1 + |e|)·|f| + |e|`. The product of the codes is exact, being one of integers;
    /// what `f32` adds elsewhere is far below the slack of `4·n·ε` (a sum of `n` products is off by
    /// at most `n·ε/2` of the sum of their sizes, which is at most 1; Higham, Accuracy and
    /// Stability of Numerical Algorithms, §3.1).
    fn search(&self, query: &Query<'_>, best: &mut Best) {
        let dimensions = query.exact.len();
        let rows = self.codes.chunks_exact(dimensions).zip(&self.rounding);
        for (place, (codes, (scale, error))) in rows.enumerate() {
            let product = integer_product(codes, &query.codes) as f32;
            let bound = product * (scale * query.scale)
                + (1.0 + query.error) * error
                + query.error
                + query.slack;
            if bound >= best.cutoff() {
                let exact = &self.exact[place * dimensions..(place + 1) * dimensions];
                best.offer(Match {
                    id: self.ids[place],
                    similarity: product_of(exact, query.exact),
                });
            }
        }
    }
}

/// The sum of products of codes, which is exact.
///
/// Codes are -127 to 127, so that two products together fit an `i16` (2 × 127² = 32,258): the
/// compiler computes eight of them at once, and widens half as many sums. Written as one sum of
/// `i32`, it takes twice as long.
fn integer_product(codes: &[i8], query: &[i16]) -> i32 {
    let (code_rows, query_rows) = (codes.chunks_exact(16), query.chunks_exact(16));
    let rest = code_rows.remainder().iter().zip(query_rows.remainder());
    let rest: i32 = rest.map(|(code, query)| i32::from(*code) * i32::from(*query)).sum();
    let mut sums = [0_i32; 8];
    for (codes, query) in code_rows.zip(query_rows) {
        let mut pairs = [0_i16; 8];
        for (place, pair) in pairs.iter_mut().enumerate() {
            *pair = i16::from(codes[place]) * query[place]
                + i16::from(codes[place + 8]) * query[place + 8];
        }
        for (sum, pair) in sums.iter_mut().zip(pairs) {
            *sum += i32::from(pair);
        }
    }
    sums.iter().sum::<i32>() + rest
}

/// The sum of products, in sixteen sums beside each other, which the compiler may compute at once.
fn product_of(a: &[f32], b: &[f32]) -> f32 {
    let (a_rows, b_rows) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a_rows.remainder().iter().zip(b_rows.remainder()).map(|(a, b)| a * b).sum::<f32>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in a_rows.zip(b_rows) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same in every run (xorshift64*).
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> f32 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
            bits as f32 / (1 << 23) as f32 - 1.0
        }

        fn vector(&mut self, dimensions: usize) -> Vec<f32> {
            normalised((0..dimensions).map(|_| self.next()).collect()).unwrap()
        }

        /// A vector near another one.
        fn near(&mut self, vector: &[f32], distance: f32) -> Vec<f32> {
            let other = self.vector(vector.len());
            let mixed = vector.iter().zip(&other).map(|(a, b)| a + distance * b).collect();
            normalised(mixed).unwrap()
        }
    }

    /// The same search without any thought.
    fn naive(all: &[(u64, Vec<f32>)], query: &[f32], threshold: f32, count: usize) -> Vec<Match> {
        let of = |(id, vector): &(u64, Vec<f32>)| Match {
            id: *id,
            similarity: product_of(vector, query),
        };
        let mut all: Vec<_> =
            all.iter().map(of).filter(|found| found.similarity >= threshold).collect();
        all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.id.cmp(&b.id)));
        all.truncate(count);
        all
    }

    #[test]
    fn the_search_finds_what_the_naive_one_does() {
        let mut noise = Noise(7);
        for dimensions in [1, 3, 16, 61, 384] {
            let centre = noise.vector(dimensions);
            let mut all: Vec<(u64, Vec<f32>)> = Vec::new();
            let index = Index::new(dimensions);
            for id in 0..600 {
                let vector = match id % 4 {
                    0 => noise.vector(dimensions),
                    1 => noise.near(&centre, 0.05),
                    // A vector of few large and many small values is rounded the most.
                    2 => {
                        normalised((0..dimensions).map(|_| noise.next().powi(9)).collect()).unwrap()
                    }
                    _ => noise.near(&centre, 0.6),
                };
                index.insert(id, &vector);
                all.push((id, vector));
            }
            // Equal vectors: the smaller id goes first.
            index.insert(600, &centre);
            index.insert(601, &centre);
            all.extend([(600, centre.clone()), (601, centre.clone())]);
            for round in 0..40_u64 {
                let query = match round % 3 {
                    0 => centre.clone(),
                    1 => noise.near(&centre, 0.3),
                    _ => noise.vector(dimensions),
                };
                for (threshold, count) in [(-1.0, 5), (0.2, 1), (0.92, 8), (0.999, 3)] {
                    let expected = naive(&all, &query, threshold, count);
                    assert_eq!(index.nearest(&query, threshold, count), expected, "{dimensions}");
                }
                let gone = all.remove((round * 13) as usize % all.len());
                index.remove(gone.0);
            }
            assert_eq!(index.len(), all.len());
        }
    }

    #[test]
    fn vectors_move_between_segments() {
        let mut noise = Noise(11);
        let index = Index::new(2);
        let mut all: Vec<(u64, Vec<f32>)> = Vec::new();
        for id in 0..SEGMENT as u64 + 3 {
            let vector = noise.vector(2);
            index.insert(id, &vector);
            all.push((id, vector));
        }
        assert_eq!(index.segments.read().unwrap().len(), 2);
        for id in 0..10 {
            index.remove(id);
            index.remove(id);
            all.remove(0);
        }
        assert_eq!((index.segments.read().unwrap().len(), index.len()), (1, SEGMENT - 7));
        for (id, vector) in all.iter().rev().take(20) {
            assert!(index.nearest(vector, 0.5, 50_000).iter().any(|found| found.id == *id));
        }
        assert_eq!(index.nearest(&all[0].1, -1.0, 9), naive(&all, &all[0].1, -1.0, 9));
        all.iter().for_each(|(id, _)| index.remove(*id));
        assert_eq!((index.segments.read().unwrap().len(), index.len()), (0, 0));
    }

    #[test]
    fn a_vector_without_direction_is_none() {
        assert!(normalised(vec![0.0, 0.0]).is_none() && normalised(vec![f32::NAN]).is_none());
        assert!(normalised(vec![f32::INFINITY, 1.0]).is_none() && normalised(Vec::new()).is_none());
        assert_eq!(normalised(vec![f32::MAX, 0.0]), Some(vec![1.0, 0.0]));
        assert!(Index::new(3).nearest(&[1.0], 0.0, 1).is_empty(), "of another embedder");
    }

    /// `cargo test --release -p ember --all-features --lib -- --ignored --nocapture how_long_a_search_takes`
    #[test]
    #[ignore = "prints a figure, and means something only with --release"]
    fn how_long_a_search_takes() {
        const DIMENSIONS: usize = 384;
        let mut noise = Noise(3);
        let index = Index::new(DIMENSIONS);
        let centre = noise.vector(DIMENSIONS);
        for id in 0..100_000 {
            // As embeddings of questions of one field are: they lie in one direction.
            let vector = noise.near(&centre, 1.0);
            index.insert(id, &vector);
        }
        for (threshold, count) in [(0.92, 8), (0.5, 8), (-1.0, 8)] {
            let mut times = Vec::new();
            for _ in 0..50 {
                let query = noise.near(&centre, 1.0);
                let started = std::time::Instant::now();
                let found = index.nearest(&query, threshold, count);
                times.push(started.elapsed().as_secs_f64() * 1e3);
                assert!(found.len() <= count);
            }
            times.sort_by(f64::total_cmp);
            println!(
                "100,000 x 384, one core, threshold {threshold}: fastest of 50 {:.2} ms, median {:.2} ms",
                times[0], times[25]
            );
        }
    }
}
