//! Medians, and tables in Markdown.

use crate::Result;

/// The middle one; the upper of two.
pub(crate) fn median<T: PartialOrd + Copy>(values: &[T]) -> Option<T> {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// Says on what is measured.
pub(crate) fn machine() -> Result {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("{model}, {cores} cores, Linux {}\n", kernel.trim());
    Ok(())
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

/// A ratio to a baseline.
pub(crate) fn ratio(value: f64, baseline: f64) -> String {
    format!("{:.2}", value / baseline)
}
