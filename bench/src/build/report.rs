//! The tables of what was built.

use super::projects::{self, Project};
use super::{Figures, Taken};
use crate::table::{self, median, ratio};

/// A project of the group that is printed, with what was seen of it.
type Row<'a> = (&'a Project, &'a Figures);

/// What it takes to build them.
pub(super) fn building(figures: &[Figures], rounds: usize) {
    type Pick = fn(&Figures) -> &Vec<Taken>;
    let kinds: [(&str, Pick); 3] = [
        ("clean release build", |figures| &figures.release),
        ("clean debug build", |figures| &figures.debug),
        ("debug build after a handler was changed", |figures| &figures.touched),
    ];
    for group in projects::GROUPS {
        for (kind, pick) in kinds {
            times(&format!("{group}: {kind} ({rounds} rounds)"), &rows(group, figures), pick);
        }
    }
}

/// How large they are, and how soon they answer.
pub(super) fn size_and_start(figures: &[Figures]) {
    for group in projects::GROUPS {
        sizes(&format!("{group}: size and start"), &rows(group, figures));
    }
}

fn rows<'a>(group: &str, figures: &'a [Figures]) -> Vec<Row<'a>> {
    projects::ALL.iter().zip(figures).filter(|(project, _)| project.group == group).collect()
}

fn times(title: &str, rows: &[Row], pick: fn(&Figures) -> &Vec<Taken>) {
    let middle = |figures: &Figures, part: fn(&Taken) -> f64| {
        median(&pick(figures).iter().map(part).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let row = |(project, figures): &Row| {
        let mut row = vec![project.name.to_owned()];
        for part in [|taken: &Taken| taken.elapsed, |taken: &Taken| taken.cpu] {
            let seconds = middle(figures, part);
            row.extend([format!("{seconds:.2}"), ratio(seconds, middle(rows[0].1, part))]);
        }
        row
    };
    let columns = ["hello", "elapsed s", "ratio", "CPU s", "ratio"];
    table::print(title, &columns, &rows.iter().map(row).collect::<Vec<_>>());
}

fn sizes(title: &str, rows: &[Row]) {
    let mib = |bytes: u64| format!("{:.2}", bytes as f64 / f64::from(1 << 20));
    let first = rows[0].1;
    let row = |(project, figures): &Row| {
        let millis = |start: &std::time::Duration| start.as_secs_f64() * 1e3;
        let starts: Vec<_> = figures.starts.iter().map(millis).collect();
        let stripped = figures.stripped.zip(first.stripped);
        vec![
            project.name.to_owned(),
            figures.crates.to_string(),
            mib(figures.size),
            ratio(figures.size as f64, first.size as f64),
            figures.stripped.map_or("no `strip`".to_owned(), mib),
            stripped.map_or(String::new(), |(own, first)| ratio(own as f64, first as f64)),
            median(&starts).map_or(String::new(), |start| format!("{start:.2}")),
        ]
    };
    let columns = [
        "hello",
        "crates",
        "release MiB",
        "ratio",
        "stripped MiB",
        "ratio",
        "first answer after ms",
    ];
    table::print(title, &columns, &rows.iter().map(row).collect::<Vec<_>>());
}
