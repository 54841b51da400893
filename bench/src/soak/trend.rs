//! A line through samples, and a picture of them.

use std::fmt;

/// By how much something changes, by the method of least squares.
pub(super) struct Trend {
    slope: f64,
    /// The standard error of the slope.
    error: f64,
}

impl Trend {
    /// Of points (x, y); `None` for fewer than three.
    pub(super) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let width: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let slope = both / width;
        let rest = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2));
        let error = (rest.sum::<f64>() / (count - 2.0) / width).sqrt();
        Some(Self { slope, error })
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.1} ± {:.1}", self.slope, self.error)
    }
}

const COLUMNS: usize = 72;
const ROWS: usize = 12;

/// Draws values over time: each column is the mean of its share of them.
pub(super) fn graph(values: &[f64]) -> String {
    let columns = COLUMNS.min(values.len());
    let means: Vec<f64> = (0..columns)
        .map(|column| {
            let share =
                &values[column * values.len() / columns..(column + 1) * values.len() / columns];
            share.iter().sum::<f64>() / share.len() as f64
        })
        .collect();
    let lowest = means.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let highest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    let step = ((highest - lowest) / (ROWS - 1) as f64).max(f64::MIN_POSITIVE);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let height = lowest + step * row as f64;
        let is_here = |mean: &f64| ((mean - lowest) / step).round() == row as f64;
        let line: String = means.iter().map(|mean| if is_here(mean) { '*' } else { ' ' }).collect();
        text += &format!("{height:8.2} |{}\n", line.trim_end());
    }
    text + &format!("{:8} +{}\n", "", "-".repeat(columns))
}
