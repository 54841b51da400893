//! Servers: streams of 1,000 events. What they keep of memory is measured by `memory`.

use crate::load::{self, Exchange};
use crate::process::Measured;
use crate::servers::{self, EVENTS, PEERS, token};
use crate::table::{self, middle, ratio};
use crate::{Options, Result, instructions, whose};

/// How many streams are open at the same time.
const CONNECTIONS: usize = 8;

pub(crate) async fn measure(options: &Options) -> Result {
    let tasks = tasks();
    let asked: Vec<_> = tasks.iter().map(|task| (task.title, &task.exchange)).collect();
    servers::compare(&asked).await?;
    for task in &tasks {
        match options.instructions {
            true => count_instructions(task).await?,
            false => measure_time(task, options).await?,
        }
    }
    Ok(())
}

struct Task {
    title: &'static str,
    exchange: Exchange,
    /// How many streams there are in a round.
    streams: usize,
}

fn tasks() -> [Task; 2] {
    [
        Task {
            title: "1,000 events that are all there",
            exchange: Exchange::get("/events/ready", is_whole),
            streams: 400,
        },
        Task {
            title: "1,000 events that become ready one by one",
            exchange: Exchange::get("/events/paced", is_whole),
            streams: 60,
        },
    ]
}

/// Tells whether every event is there, in order.
fn is_whole(body: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(body) else { return false };
    let mut data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    (0..EVENTS).all(|number| data.next() == Some(&token(number))) && data.next().is_none()
}

/// What one round has shown of a server.
struct Figures {
    /// CPU time in µs for each event.
    cpu: f64,
    /// Events a second.
    rate: f64,
    /// The part of the time that the server was on the processor.
    busy: f64,
}

async fn measure_time(task: &Task, options: &Options) -> Result {
    let streams = task.streams * options.scale;
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let seen = round(peer, &task.exchange, streams).await;
            figures.push(seen.map_err(whose(peer, task.title, number))?);
        }
    }
    let floor = middle(&figures[0], |figures| figures.cpu);
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let cpu = middle(rounds, |figures| figures.cpu);
        vec![
            (*peer).to_owned(),
            format!("{cpu:.3}"),
            ratio(cpu, floor),
            format!("{:.0}", middle(rounds, |figures| figures.rate)),
            format!("{:.0}", middle(rounds, |figures| figures.busy * 100.0)),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(&figures).map(row).collect();
    let columns = ["server", "CPU µs each event", "ratio", "events/s", "busy %"];
    let (title, rounds) = (task.title, options.rounds);
    let title = format!("{title} ({streams} streams, {CONNECTIONS} at a time, {rounds} rounds)");
    table::print(&title, &columns, &rows);
    Ok(())
}

async fn round(peer: &str, exchange: &Exchange, streams: usize) -> Result<Figures> {
    let mut server = Measured::start(&["server", peer])?;
    let mut connections = load::open(server.address()?, CONNECTIONS).await?;
    connections.send(exchange, streams / 10).await?;
    let before = server.ask("used")?;
    let outcome = connections.send(exchange, streams).await?;
    let cpu = (server.ask("used")?.cpu - before.cpu).as_secs_f64();
    let (events, elapsed) = ((streams * EVENTS) as f64, outcome.elapsed.as_secs_f64());
    Ok(Figures { cpu: cpu * 1e6 / events, rate: events / elapsed, busy: cpu / elapsed })
}

async fn count_instructions(task: &Task) -> Result {
    let mut counts = Vec::new();
    for peer in PEERS {
        let run = async |streams| {
            let mut server = Measured::start_counted(&["server", peer])?;
            let mut connections = load::open(server.address()?, 1).await?;
            connections.send(&task.exchange, streams).await?;
            server.counted()
        };
        let count = instructions::difference(2, 12, run).await;
        counts.push(count.map_err(whose(peer, task.title, 1))?);
    }
    instructions::print(task.title, "server", &PEERS, &counts);
    Ok(())
}
