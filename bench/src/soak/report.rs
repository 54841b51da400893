//! The tables of a soak.

use super::sample::Sample;
use super::trend::{self, Trend};
use super::{CLIENTS, Kind, Tally};
use crate::table;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Takes one figure of a sample.
type Pick = fn(&Sample) -> f64;

pub(super) fn print(samples: &[Sample], tally: &Tally) {
    let rows: Vec<_> = Kind::ALL
        .iter()
        .zip(tally.kinds())
        .map(|(kind, done)| {
            let count = |count: &AtomicU64| count.load(Relaxed).to_string();
            vec![kind.name().to_owned(), count(&done.requests), count(&done.errors)]
        })
        .collect();
    let minutes = samples.last().map_or(0.0, |last| last.time.as_secs_f64() / 60.0);
    let title = format!("{minutes:.0} minutes of mixed load, {CLIENTS} clients");
    table::print(&title, &["request", "sent", "errors"], &rows);
    let figures: [(&str, Pick); 3] = [
        ("resident memory, KiB", |sample| sample.resident as f64),
        ("open files", |sample| sample.files as f64),
        ("threads", |sample| sample.threads as f64),
    ];
    let rows: Vec<_> = figures
        .iter()
        .map(|(name, pick)| {
            let points: Vec<_> = samples
                .iter()
                .map(|sample| (sample.time.as_secs_f64() / 3_600.0, pick(sample)))
                .collect();
            let ends = [points.first(), points.get(points.len() / 4), points.last()];
            let ends =
                ends.map(|point| point.map_or(String::new(), |(_, value)| format!("{value:.0}")));
            // The first quarter fills what is bounded.
            let trend = Trend::of(&points[points.len() / 4..]);
            let trend = trend.map_or("too few samples".to_owned(), |trend| trend.to_string());
            [vec![(*name).to_owned()], ends.to_vec(), vec![trend]].concat()
        })
        .collect();
    let columns = ["figure", "first", "after a quarter", "last", "slope of the rest, an hour"];
    table::print("What the process has", &columns, &rows);
    let memory: Vec<_> = samples.iter().map(|sample| sample.resident as f64 / 1024.0).collect();
    println!("Resident memory in MiB, from the first sample to the last:\n");
    println!("```text\n{}```\n", trend::graph(&memory));
}
