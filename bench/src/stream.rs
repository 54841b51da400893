//! Servers: streams of 1,000 events.

use crate::load::{self, Exchange};
use crate::process::Measured;
use crate::servers::{EVENTS, PEERS, token};
use crate::table::{self, median, ratio};
use crate::{Options, Result};

/// How many streams are open at the same time.
const CONNECTIONS: usize = 8;

pub(crate) async fn measure(options: &Options) -> Result {
    let tasks = [
        ("1,000 events that are all there", "/events/ready", 400 * options.scale),
        ("1,000 events that become ready one by one", "/events/paced", 60 * options.scale),
    ];
    for (title, path, streams) in tasks {
        let exchange = Exchange::get(path, is_whole);
        // CPU time in µs for each event, events a second, and the peak of memory in KiB.
        let mut figures = vec![Vec::new(); PEERS.len()];
        for _ in 0..options.rounds {
            for (peer, figures) in PEERS.iter().zip(&mut figures) {
                let mut server = Measured::start(&["server", peer])?;
                let address = server.address()?;
                load::run(address, &exchange, CONNECTIONS, streams / 10).await?;
                let before = server.ask("used")?;
                let outcome = load::run(address, &exchange, CONNECTIONS, streams).await?;
                let after = server.ask("used")?;
                let events = (streams * EVENTS) as f64;
                figures.push((
                    (after.cpu - before.cpu).as_secs_f64() * 1e6 / events,
                    events / outcome.elapsed.as_secs_f64(),
                    after.peak as f64,
                ));
            }
        }
        let of = |rounds: &[(f64, f64, f64)], pick: fn(&(f64, f64, f64)) -> f64| {
            median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
        };
        let floor = of(&figures[0], |figures| figures.0);
        let rows: Vec<_> = PEERS
            .iter()
            .zip(&figures)
            .map(|(peer, rounds)| {
                let cpu = of(rounds, |figures| figures.0);
                vec![
                    (*peer).to_owned(),
                    format!("{cpu:.3}"),
                    ratio(cpu, floor),
                    format!("{:.0}", of(rounds, |figures| figures.1)),
                    format!("{:.1}", of(rounds, |figures| figures.2) / 1024.0),
                ]
            })
            .collect();
        let columns = ["server", "CPU µs each event", "ratio", "events/s", "peak MiB"];
        let title = format!(
            "{title} ({streams} streams, {CONNECTIONS} at a time, {} rounds)",
            options.rounds
        );
        table::print(&title, &columns, &rows);
    }
    Ok(())
}

/// Tells whether every event is there, in order.
fn is_whole(body: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(body) else { return false };
    let mut data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    (0..EVENTS).all(|number| data.next() == Some(&token(number))) && data.next().is_none()
}
