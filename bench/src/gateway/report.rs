//! The tables of gateways.

use super::{FEW, Figures, Half, MANY, PEERS, Percentiles, Task};
use crate::Options;
use crate::table::{self, figure, median, middle_of_all, ratio};

pub(super) fn print(task: &Task, figures: &[Vec<Figures>], options: &Options) {
    let (name, rounds) = (task.name, options.rounds);
    let below = format!("{name} below saturation ({FEW} connections, {rounds} rounds)");
    latency(&format!("Latency of {below}"), figures, |figures| figures.below.whole);
    if task.exchange.has_beginning() {
        let title = format!("Time to the first token of {below}");
        latency(&title, figures, |figures| figures.below.beginning);
        let title = format!("Time to the first token of {name} at half load ({rounds} rounds)");
        at_half(&title, figures);
    }
    let title = format!("{name} at saturation ({MANY} connections, {rounds} rounds)");
    saturation(&capitalised(&title), figures);
}

pub(super) fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

const COLUMNS: [&str; 7] =
    ["gateway", "asked a second", "answers", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"];

/// By how much rates may differ that are called the same, as a part of them.
const SAME: f64 = 0.01;

fn latency(title: &str, figures: &[Vec<Figures>], pick: fn(&Figures) -> Percentiles) {
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let of = |pick: &dyn Fn(&Figures) -> Option<f64>| middle_of_all(rounds, pick);
        let taken = [0, 1].map(|at| of(&|figures| pick(figures)[at]));
        // What is added is the difference within a round, as rounds differ; at another rate than the
        // upstream's own there is nothing to take it from.
        let pairs: Vec<_> = rounds.iter().zip(&figures[0]).collect();
        let added = [0, 1].map(|at| {
            middle_of_all(&pairs, |(figures, direct)| {
                let is_same = (figures.below.rate / direct.below.rate - 1.0).abs() <= SAME;
                Some(pick(figures)[at]? - pick(direct)[at]?).filter(|_| is_same)
            })
        });
        let rate = of(&|figures| Some(figures.below.rate));
        let answers = of(&|figures| Some(figures.below.answers as f64));
        line(peer, [rate, answers], [taken, added])
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).map(row).collect();
    table::print(title, &COLUMNS, &rows);
}

/// What each gateway adds when it is asked for half of what it can do: against the upstream alone at
/// the same rate, in the same round.
fn at_half(title: &str, figures: &[Vec<Figures>]) {
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let of = |pick: &dyn Fn(&Half) -> Option<f64>| {
            middle_of_all(rounds, |figures| figures.half.as_ref().and_then(pick))
        };
        let through = [0, 1].map(|at| of(&|half| half.through[at]));
        let added = [0, 1].map(|at| of(&|half| Some(half.through[at]? - half.direct[at]?)));
        let (rate, answers) = (of(&|half| Some(half.rate)), of(&|half| Some(half.answers as f64)));
        line(peer, [rate, answers], [through, added])
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).skip(1).map(row).collect();
    table::print(title, &COLUMNS, &rows);
}

fn line(peer: &str, [rate, answers]: [Option<f64>; 2], times: [Percentiles; 2]) -> Vec<String> {
    let rate = rate.map_or("not installed".to_owned(), |rate| format!("{rate:.1}"));
    let mut row = vec![peer.to_owned(), rate, figure(answers, 0)];
    row.extend(times.into_iter().flatten().map(|time| figure(time, 0)));
    row
}

fn saturation(title: &str, figures: &[Vec<Figures>]) {
    let of = |rounds: &[Figures], pick: fn(&Figures) -> f64| {
        median(&rounds.iter().map(pick).collect::<Vec<_>>())
    };
    let cpu = |rounds: &[Figures]| of(rounds, |figures| figures.cpu).filter(|cpu| *cpu > 0.0);
    let rate = |rounds: &[Figures]| of(rounds, |figures| figures.throughput);
    let against = |value: Option<f64>, baseline: Option<f64>| {
        let both = value.zip(baseline);
        both.map_or(String::new(), |(value, baseline)| ratio(value, baseline))
    };
    let (floor, slowest) = (cpu(&figures[1]), rate(&figures[3]));
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        vec![
            (*peer).to_owned(),
            rate(rounds).map_or("not installed".to_owned(), |rate| format!("{rate:.1}")),
            against(rate(rounds), slowest),
            figure(cpu(rounds), 0),
            against(cpu(rounds), floor),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).map(row).collect();
    let columns = ["gateway", "answers/s", "× LiteLLM", "CPU µs each", "× hyper"];
    table::print(title, &columns, &rows);
}
