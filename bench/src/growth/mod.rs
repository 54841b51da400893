//! What one request costs while there is more and more of something else: routes, sessions, tools,
//! messages before it.
//!
//! The application is asked within its process, without a socket, so that only its own work is
//! counted, and every answer is checked. The last column is the last size against the first: 1 is
//! flat.

mod routes;
mod sessions;
mod tools;
mod history;
mod counting;
mod silent;

use crate::process::{Measured, Used, obey};
use crate::table::{self, middle, ratio};
use crate::{Options, Result, instructions, whose};
use std::time::Duration;

pub(crate) async fn measure(options: &Options) -> Result {
    for area in AREAS {
        if options.instructions {
            count_instructions(area).await?;
        } else {
            measure_time(area, options)?;
        }
    }
    Ok(())
}

/// The role of an application that grows, and is asked so often.
pub(crate) fn child(name: &str, case: &str, size: usize, times: usize) -> Result {
    let area = AREAS.into_iter().find(|area| area.name == name).ok_or("there is no such area")?;
    let mut work = (area.ready)(case, size, times)?;
    obey(|count| (0..count).try_for_each(|_| work()))
}

/// Something that is asked for at several sizes.
struct Area {
    name: &'static str,
    title: &'static str,
    /// Rows of the table.
    cases: &'static [Case],
    sizes: &'static [usize],
    /// How often each is asked in a round: before it counts, and while it does.
    times: fn(usize) -> (usize, usize),
    /// Makes ready what is asked so often in all.
    ready: fn(case: &str, size: usize, times: usize) -> Result<Work>,
}

/// A row of a table.
struct Case {
    name: &'static str,
    writes: Writes,
}

/// Where what is measured puts its data, so that the bytes are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// Nowhere but in its own memory.
    Nothing,
    /// In a store.
    ToStore,
    /// In a store that keeps it in files.
    ToFiles,
}

impl Case {
    /// One that writes nothing.
    const fn new(name: &'static str) -> Self {
        Self { name, writes: Writes::Nothing }
    }

    const fn writes(mut self, writes: Writes) -> Self {
        self.writes = writes;
        self
    }
}

/// Asks once, and checks the answer.
type Work = Box<dyn FnMut() -> Result>;

const AREAS: [&Area; 4] = [&routes::AREA, &sessions::AREA, &tools::AREA, &history::AREA];

/// What one round has shown of a case and a size: of each request, CPU time in µs, bytes handed to
/// the store, and bytes written to files.
struct Figures {
    cpu: f64,
    stored: f64,
    written: f64,
}

/// By size, then round.
type Sizes = Vec<Vec<Figures>>;

fn measure_time(area: &Area, options: &Options) -> Result {
    let sizes = || area.sizes.iter().map(|_| Vec::new()).collect();
    let mut figures: Vec<Sizes> = area.cases.iter().map(|_| sizes()).collect();
    for number in 1..=options.rounds {
        for (case, figures) in area.cases.iter().zip(&mut figures) {
            for (size, figures) in area.sizes.iter().zip(figures) {
                let seen = round(area, case.name, *size, options.scale);
                let what = format!("{} of {size}", case.name);
                figures.push(seen.map_err(whose(area.name, &what, number))?);
            }
        }
    }
    for table in &TABLES {
        let cases = area.cases.iter().zip(&figures).filter(|(case, _)| (table.has)(case.writes));
        let rows: Vec<_> = cases.map(|(case, figures)| table.row(case.name, figures)).collect();
        if !rows.is_empty() {
            let title = format!("{}: {} ({} rounds)", area.title, table.what, options.rounds);
            print(&title, area, &rows);
        }
    }
    Ok(())
}

/// One figure, in a table of its own.
struct Table {
    what: &'static str,
    decimals: usize,
    pick: fn(&Figures) -> f64,
    /// Tells whether a case is in it.
    has: fn(Writes) -> bool,
}

// What only reads writes nothing but its answers to this program.
const TABLES: [Table; 3] = [
    Table { what: "CPU µs each", decimals: 2, pick: |seen| seen.cpu, has: |_| true },
    Table {
        what: "bytes handed to the store each",
        decimals: 0,
        pick: |seen| seen.stored,
        has: |writes| writes != Writes::Nothing,
    },
    Table {
        what: "bytes written to files each",
        decimals: 0,
        pick: |seen| seen.written,
        has: |writes| writes == Writes::ToFiles,
    },
];

impl Table {
    fn row(&self, case: &str, figures: &Sizes) -> Vec<String> {
        let figures: Vec<_> = figures.iter().map(|rounds| middle(rounds, self.pick)).collect();
        row(case, &figures, self.decimals)
    }
}

fn round(area: &Area, case: &str, size: usize, scale: usize) -> Result<Figures> {
    let (warm, count) = (area.times)(size);
    let count = count * scale;
    let mut child = start(Measured::start, area, case, size, warm + count)?;
    let before = child.ask(&warm.to_string())?;
    let after = child.ask(&count.to_string())?;
    child.end()?;
    let each = |pick: fn(&Used) -> u64| (pick(&after) - pick(&before)) as f64 / count as f64;
    let cpu: Duration = after.cpu - before.cpu;
    Ok(Figures {
        cpu: cpu.as_secs_f64() * 1e6 / count as f64,
        stored: each(|used| used.stored),
        written: each(|used| used.written),
    })
}

fn start(
    how: fn(&[&str]) -> Result<Measured>,
    area: &Area,
    case: &str,
    size: usize,
    times: usize,
) -> Result<Measured> {
    how(&["growth", area.name, case, &size.to_string(), &times.to_string()])
}

async fn count_instructions(area: &Area) -> Result {
    let mut rows = Vec::new();
    for case in area.cases {
        let mut counts = Vec::new();
        for size in area.sizes {
            let (warm, count) = (area.times)(*size);
            // Stores tidy up with every sixteenth turn, which is to be in what is counted with its share.
            let (few, many) = (warm, warm + (count / 10).max(16).next_multiple_of(16));
            let run = async |times: usize| {
                // Both make ready the same.
                let mut child = start(Measured::start_counted, area, case.name, *size, many)?;
                child.ask(&times.to_string())?;
                child.counted()
            };
            let count = instructions::difference(few, many, run).await;
            let what = format!("{} of {size}", case.name);
            counts.push(count.map_err(whose(area.name, &what, 1))?);
        }
        rows.push(row(case.name, &counts, 0));
    }
    print(&format!("{}: instructions each", area.title), area, &rows);
    Ok(())
}

fn row(case: &str, figures: &[f64], decimals: usize) -> Vec<String> {
    let mut row = vec![case.to_owned()];
    row.extend(figures.iter().map(|figure| format!("{figure:.decimals$}")));
    let ends = figures.first().zip(figures.last()).filter(|(first, _)| **first > 0.0);
    row.push(ends.map_or(String::new(), |(first, last)| ratio(*last, *first)));
    row
}

fn print(title: &str, area: &Area, rows: &[Vec<String>]) {
    let sizes: Vec<_> = area.sizes.iter().map(usize::to_string).collect();
    let mut columns = vec![area.name];
    columns.extend(sizes.iter().map(String::as_str));
    columns.push("last/first");
    table::print(title, &columns, rows);
}
