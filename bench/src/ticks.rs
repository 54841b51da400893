//! Servers: ten thousand open event streams on one worker, and one frame a second to all of them.
//!
//! A frame says when it was due, by the clock of the machine; how late it is read is its lag. The
//! reader is one thread on another core, and what it takes itself for ten thousand frames is part of
//! every lag: bare hyper is the floor.

use crate::load::{Connection, Exchange};
use crate::process::Measured;
use crate::servers::PEERS;
use crate::table::{self, median, ratio};
use crate::{Error, Options, Result};
use nix::sys::resource::{Resource, getrlimit};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many streams are opened, unless the system allows fewer files.
const STREAMS: u64 = 10_000;

/// For how long frames are read, times the scale.
const LOAD: Duration = Duration::from_secs(10);

/// What one round has shown of a server: CPU time in µs for each frame; the lag in ms at the median,
/// at the 99th of 100, and at most; the part of the frames that were read before the next was due.
#[derive(Clone, Copy)]
struct Figures {
    cpu: f64,
    lags: [f64; 3],
    in_time: f64,
}

pub(crate) async fn measure(options: &Options) -> Result {
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let streams = STREAMS.min(files.saturating_sub(100));
    let load = LOAD * options.scale as u32;
    let mut figures = vec![Vec::new(); PEERS.len()];
    for _ in 0..options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            figures.push(round(peer, streams, load).await?);
        }
    }
    let of = |rounds: &[Figures], pick: &dyn Fn(&Figures) -> f64| {
        median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let floor = of(&figures[0], &|figures| figures.cpu);
    let rows: Vec<_> = PEERS
        .iter()
        .zip(&figures)
        .map(|(peer, rounds)| {
            let cpu = of(rounds, &|figures| figures.cpu);
            let mut row = vec![(*peer).to_owned(), format!("{cpu:.2}"), ratio(cpu, floor)];
            row.extend((0..3).map(|at| format!("{:.1}", of(rounds, &|figures| figures.lags[at]))));
            row.push(format!("{:.2}", of(rounds, &|figures| figures.in_time) * 100.0));
            row
        })
        .collect();
    let columns =
        ["server", "CPU µs each frame", "ratio", "p50 ms", "p99 ms", "latest ms", "in time %"];
    let title = format!(
        "A frame each second to each of {streams} open streams, for {} s ({} rounds)",
        load.as_secs(),
        options.rounds
    );
    table::print(&title, &columns, &rows);
    Ok(())
}

async fn round(peer: &str, streams: u64, load: Duration) -> Result<Figures> {
    let mut server = Measured::start(&["server", peer])?;
    let address = server.address()?;
    let exchange = Exchange::get("/events/ticks", |_| true);
    let mut open = Vec::new();
    for _ in 0..streams {
        let mut connection = Connection::open(address).await?;
        connection.subscribe(&exchange).await?;
        open.push(connection);
    }
    let before = server.ask("used")?;
    let mut readers = JoinSet::new();
    let started = Instant::now();
    let until = started + load;
    for mut connection in open {
        readers.spawn(async move {
            let mut lags = Vec::new();
            while Instant::now() < until {
                // Frames that came while others were opened are no business of the reader's.
                let new = connection.lags().await?.into_iter();
                lags.extend(new.filter(|lag| *lag < started.elapsed()));
            }
            Ok::<_, Error>(lags)
        });
    }
    let mut lags = Vec::new();
    while let Some(outcome) = readers.join_next().await {
        lags.extend(outcome??);
    }
    let cpu = server.ask("used")?.cpu - before.cpu;
    lags.sort_unstable();
    let at = |percent: usize| lags.get((lags.len() * percent / 100).min(lags.len() - 1));
    let millis = |lag: Option<&Duration>| lag.map_or(f64::NAN, |lag| lag.as_secs_f64() * 1e3);
    let late = lags.iter().filter(|lag| **lag >= Duration::from_secs(1)).count();
    Ok(Figures {
        cpu: cpu.as_secs_f64() * 1e6 / lags.len() as f64,
        lags: [millis(at(50)), millis(at(99)), millis(lags.last())],
        in_time: 1.0 - late as f64 / lags.len() as f64,
    })
}
