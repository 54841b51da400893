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
mod silent;

use crate::process::{Core, Measured, Used, obey, pin};
use crate::table::{self, median, ratio};
use crate::{Options, Result};
use std::time::Duration;

/// Something that is asked for at several sizes.
struct Area {
    name: &'static str,
    title: &'static str,
    /// Rows of the table.
    cases: &'static [&'static str],
    sizes: &'static [usize],
    /// How often each is asked in a round: before it counts, and while it does.
    times: fn(usize) -> (usize, usize),
    ready: fn(case: &str, size: usize) -> Result<Work>,
    /// Tells of bytes that are written, beside time.
    writes: bool,
}

/// Asks once, and checks the answer.
type Work = Box<dyn FnMut() -> Result>;

const AREAS: [&Area; 4] = [&routes::AREA, &sessions::AREA, &tools::AREA, &history::AREA];

/// What one round has shown of a case and a size: of each request, CPU time in µs, bytes handed to
/// the store, and bytes written to files.
#[derive(Clone, Copy)]
struct Figures {
    cpu: f64,
    stored: f64,
    written: f64,
}

pub(crate) fn measure(options: &Options) -> Result {
    pin(Core::Driver)?;
    for area in AREAS {
        if options.instructions {
            count_instructions(area)?;
        } else {
            measure_time(area, options)?;
        }
    }
    Ok(())
}

fn measure_time(area: &Area, options: &Options) -> Result {
    // By case, then size, then round.
    let mut figures = vec![vec![Vec::new(); area.sizes.len()]; area.cases.len()];
    for _ in 0..options.rounds {
        for (case, figures) in area.cases.iter().zip(&mut figures) {
            for (size, figures) in area.sizes.iter().zip(figures) {
                figures.push(round(area, case, *size, options.scale)?);
            }
        }
    }
    let rounds = options.rounds;
    let table = |what: &str, decimals: usize, pick: fn(&Figures) -> f64| {
        let row = |(case, figures): (&&str, &Vec<Vec<Figures>>)| {
            let middle = |rounds: &Vec<Figures>| {
                median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
            };
            row(case, &figures.iter().map(middle).collect::<Vec<_>>(), decimals)
        };
        let mut rows: Vec<_> = area.cases.iter().zip(&figures).map(row).collect();
        // What only reads writes nothing but its answers to this program.
        rows.retain(|row| {
            decimals > 0 || row[1..=area.sizes.len()].iter().any(|figure| figure.len() > 3)
        });
        print(&format!("{}: {what} ({rounds} rounds)", area.title), area, &rows);
    };
    table("CPU µs each", 2, |figures| figures.cpu);
    if area.writes {
        table("bytes handed to the store each", 0, |figures| figures.stored);
        table("bytes written to files each", 0, |figures| figures.written);
    }
    Ok(())
}

fn round(area: &Area, case: &str, size: usize, scale: usize) -> Result<Figures> {
    let (warm, count) = (area.times)(size);
    let count = count * scale;
    let mut child = Measured::start(&["growth", area.name, case, &size.to_string()])?;
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

/// The difference between many and few requests is what a request takes, without start and end.
fn count_instructions(area: &Area) -> Result {
    let mut rows = Vec::new();
    for case in area.cases {
        let mut counts = Vec::new();
        for size in area.sizes {
            let (warm, count) = (area.times)(*size);
            let (few, many) = (warm, warm + (count / 10).max(16));
            let run = |times: usize| -> Result<u64> {
                let arguments = ["growth", area.name, case, &size.to_string()];
                let mut child = Measured::start_counted(&arguments)?;
                child.ask(&times.to_string())?;
                child.counted()
            };
            counts.push((run(many)? as f64 - run(few)? as f64) / (many - few) as f64);
        }
        rows.push(row(case, &counts, 0));
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

/// The role of an application that grows.
pub(crate) fn child(name: &str, case: &str, size: usize) -> Result {
    let area = AREAS.into_iter().find(|area| area.name == name).ok_or("there is no such area")?;
    let mut work = (area.ready)(case, size)?;
    obey(|count| (0..count).try_for_each(|_| work()))
}
