//! The tables of what was built.

use super::projects::{self, Project};
use super::{Figures, Taken};
use crate::table::{self, median, ratio};

/// A project of the group that is printed, with what was seen of it.
type Row<'a> = (&'a Project, &'a Figures);

pub(super) fn print(figures: &[Figures], rounds: usize) {
    for group in projects::GROUPS {
        let rows = projects::ALL.iter().zip(figures).filter(|(project, _)| project.group == group);
        let rows: Vec<_> = rows.collect();
        sizes(&format!("{group}: size and start"), &rows);
        times(&format!("{group}: building ({rounds} rounds)"), &rows);
    }
}

fn sizes(title: &str, rows: &[Row]) {
    let mib = |bytes: u64| format!("{:.2}", bytes as f64 / f64::from(1 << 20));
    let first = rows[0].1;
    let row = |(project, figures): &Row| {
        let millis = |start: &std::time::Duration| start.as_secs_f64() * 1e3;
        let starts: Vec<_> = figures.starts.iter().map(millis).collect();
        vec![
            project.name.to_owned(),
            figures.crates.to_string(),
            mib(figures.size),
            figures.stripped.map_or("no `strip`".to_owned(), mib),
            ratio(figures.size as f64, first.size as f64),
            median(&starts).map_or(String::new(), |start| format!("{start:.2}")),
        ]
    };
    let columns =
        ["hello", "crates", "release MiB", "stripped MiB", "ratio", "first answer after ms"];
    table::print(title, &columns, &rows.iter().map(row).collect::<Vec<_>>());
}

/// Elapsed seconds, seconds on the processors, and the ratio of these to the first row's.
fn times(title: &str, rows: &[Row]) {
    let middle = |values: &[Taken], pick: fn(&Taken) -> f64| {
        median(&values.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let kinds = |figures: &Figures| {
        [&figures.release, &figures.debug, &figures.touched]
            .map(|taken| [middle(taken, |(elapsed, _)| *elapsed), middle(taken, |(_, cpu)| *cpu)])
    };
    let first = kinds(rows[0].1);
    let row = |(project, figures): &Row| {
        let mut row = vec![project.name.to_owned()];
        for ([elapsed, cpu], [_, baseline]) in kinds(figures).into_iter().zip(first) {
            row.extend([format!("{elapsed:.2}"), format!("{cpu:.2}"), ratio(cpu, baseline)]);
        }
        row
    };
    let mut columns = vec!["hello"];
    for kind in ["release s", "debug s", "touched s"] {
        columns.extend([kind, "CPU s", "ratio"]);
    }
    table::print(title, &columns, &rows.iter().map(row).collect::<Vec<_>>());
}
