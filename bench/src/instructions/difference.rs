//! What one of many takes.

use crate::Result;
use crate::table::{self, ratio};

/// What one of many takes: the difference between a run of many and one of few, without start and end.
pub(crate) async fn difference(
    few: usize,
    many: usize,
    run: impl AsyncFn(usize) -> Result<u64>,
) -> Result<f64> {
    let (many_took, few_took) = (run(many).await?, run(few).await?);
    Ok((many_took as f64 - few_took as f64) / (many - few) as f64)
}

/// Prints what peers take, the first being the floor.
pub(crate) fn print(title: &str, kind: &str, peers: &[&str], counts: &[f64]) {
    let row = |(peer, count): (&&str, &f64)| {
        vec![(*peer).to_owned(), format!("{count:.0}"), ratio(*count, counts[0])]
    };
    let rows: Vec<_> = peers.iter().zip(counts).map(row).collect();
    table::print(title, &[kind, "instructions each", "ratio"], &rows);
}
