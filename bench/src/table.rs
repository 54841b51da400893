//! Medians, and tables in Markdown.

use std::time::Duration;

/// The middle one; the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, values.len().saturating_sub(1) / 2);
    Some((values.get(lower)? + values.get(upper)?) / 2.0)
}

/// The median of what is picked of each round; not a number where there was none.
pub(crate) fn middle<T>(rounds: &[T], pick: impl Fn(&T) -> f64) -> f64 {
    median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

/// The median of what is picked of each round; `None` where one of them has it not, or there was none.
pub(crate) fn middle_of_all<T>(rounds: &[T], pick: impl Fn(&T) -> Option<f64>) -> Option<f64> {
    median(&rounds.iter().map(pick).collect::<Option<Vec<_>>>()?)
}

/// The time within which so much of a hundred are, of times in order.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let at = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    sorted.get(at).copied()
}

/// A figure with so many decimals; nothing where there is none.
pub(crate) fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.decimals$}"))
}

/// A ratio to a baseline.
pub(crate) fn ratio(value: f64, baseline: f64) -> String {
    format!("{:.2}", value / baseline)
}

/// Prints a table; the first column is text, the others are numbers.
pub(crate) fn print(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("### {title}\n");
    println!("| {} |", columns.join(" | "));
    let rules: Vec<_> = (0..columns.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
    println!("| {} |", rules.join(" | "));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}
