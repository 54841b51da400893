//! The tables of gateways.

use super::{FEW, Figures, MANY, PEERS, Task};
use crate::Options;
use crate::table::{self, median, ratio};

pub(super) fn print(task: &Task, figures: &[Vec<Figures>], options: &Options) {
    let name = task.name;
    let below = format!("{name} below saturation ({FEW} connections, {} rounds)", options.rounds);
    latency(&format!("Latency of {below}"), figures, |figures| figures.whole);
    if figures[0].iter().any(|figures| figures.beginning[0] > 0.0) {
        let title = format!("Time to the first token of {below}");
        latency(&title, figures, |figures| figures.beginning);
        let title =
            format!("Time to the first token of {name} at half load ({} rounds)", options.rounds);
        at_half(&title, figures);
    }
    let title = format!("{name} at saturation ({MANY} connections, {} rounds)", options.rounds);
    saturation(&capitalised(&title), figures);
}

/// The median of the rounds; `None` of a gateway that is not installed.
fn middle(rounds: &[Figures], pick: impl Fn(&Figures) -> f64) -> Option<f64> {
    median(&rounds.iter().map(pick).collect::<Vec<_>>())
}

fn latency(title: &str, figures: &[Vec<Figures>], pick: fn(&Figures) -> [f64; 2]) {
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let mut row = vec![(*peer).to_owned()];
        match middle(rounds, |figures| figures.rate) {
            Some(rate) => row.push(format!("{rate:.1}")),
            None => row.push("not installed".to_owned()),
        }
        let taken = [0, 1].map(|at| middle(rounds, |figures| pick(figures)[at]));
        // What is added is the difference within a round, as rounds differ.
        let added = [0, 1].map(|at| {
            let pairs = rounds.iter().zip(&figures[0]);
            let added = pairs.map(|(figures, direct)| pick(figures)[at] - pick(direct)[at]);
            median(&added.collect::<Vec<_>>())
        });
        row.extend(taken.into_iter().chain(added).map(micros));
        row
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).map(row).collect();
    let columns = ["gateway", "asked a second", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"];
    table::print(title, &columns, &rows);
}

/// What each gateway adds when it is asked for half of what it can do: against the upstream alone at
/// the same rate, in the same round.
fn at_half(title: &str, figures: &[Vec<Figures>]) {
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let mut row = vec![(*peer).to_owned()];
        match middle(rounds, |figures| figures.half.rate) {
            Some(rate) => row.push(format!("{rate:.1}")),
            None => row.push("not installed".to_owned()),
        }
        let through = [0, 1].map(|at| middle(rounds, |figures| figures.half.through[at]));
        let added = [0, 1]
            .map(|at| middle(rounds, |Figures { half, .. }| half.through[at] - half.direct[at]));
        row.extend(through.into_iter().chain(added).map(micros));
        row
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).skip(1).map(row).collect();
    let columns = ["gateway", "asked a second", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"];
    table::print(title, &columns, &rows);
}

fn saturation(title: &str, figures: &[Vec<Figures>]) {
    let cpu = |rounds: &[Figures]| middle(rounds, |figures| figures.cpu).filter(|cpu| *cpu > 0.0);
    let rate = |rounds: &[Figures]| middle(rounds, |figures| figures.throughput);
    let against = |value: Option<f64>, baseline: Option<f64>| match (value, baseline) {
        (Some(value), Some(baseline)) => ratio(value, baseline),
        _ => String::new(),
    };
    let (floor, slowest) = (cpu(&figures[1]), rate(&figures[3]));
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        vec![
            (*peer).to_owned(),
            rate(rounds).map_or("not installed".to_owned(), |rate| format!("{rate:.1}")),
            against(rate(rounds), slowest),
            micros(cpu(rounds)),
            against(cpu(rounds), floor),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).map(row).collect();
    let columns = ["gateway", "answers/s", "× LiteLLM", "CPU µs each", "× hyper"];
    table::print(title, &columns, &rows);
}

fn micros(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:.0}"))
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}
