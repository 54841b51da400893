//! Servers: short answers over HTTP/1.1, by one worker that has 200 routes more than are asked.

use crate::load::{self, Exchange};
use crate::process::Measured;
use crate::servers::{HELLO, PEERS};
use crate::table::{self, median, ratio};
use crate::{Options, Result};
use std::time::Duration;

struct Task {
    title: &'static str,
    exchange: Exchange,
}

fn tasks() -> [Task; 5] {
    const ORDER: &str = r#"{"id":4711,"customer":"Ada Lovelace","items":["punched card","gear","crank"],"total":129.5}"#;
    let json = format!(r#"{{"message":"{HELLO}"}}"#);
    [
        Task {
            title: "GET /hello",
            exchange: Exchange::get("/hello", |body| body == HELLO.as_bytes()),
        },
        Task {
            title: "GET /json",
            exchange: Exchange::get("/json", move |body| body == json.as_bytes()),
        },
        Task {
            title: "GET /users/{user}/posts/{post}",
            exchange: Exchange::get("/users/17/posts/4711", |body| body == b"post 4711 of user 17"),
        },
        Task {
            title: "POST /echo",
            exchange: Exchange::post("/echo", ORDER, |body| body == ORDER.as_bytes()),
        },
        Task {
            title: "GET /cached: as /hello, and by Ember a hit of its StaticCache",
            exchange: Exchange::get("/cached", |body| body == HELLO.as_bytes()),
        },
    ]
}

/// What one round has shown of a server.
#[derive(Clone, Copy)]
struct Figures {
    cpu: Duration,
    rate: f64,
    middle: Duration,
    late: Duration,
    peak: u64,
}

const CONNECTIONS: [usize; 2] = [64, 200];

pub(crate) async fn measure(options: &Options) -> Result {
    if options.instructions {
        return count_instructions().await;
    }
    let (tasks, requests) = (tasks(), 20_000 * options.scale);
    // By task, then number of connections, then server, then round.
    let mut figures = vec![vec![vec![Vec::new(); PEERS.len()]; CONNECTIONS.len()]; tasks.len()];
    for _ in 0..options.rounds {
        for (peer_index, peer) in PEERS.iter().enumerate() {
            let mut server = Measured::start(&["server", peer])?;
            let address = server.address()?;
            for (task_index, task) in tasks.iter().enumerate() {
                for (at, connections) in CONNECTIONS.into_iter().enumerate() {
                    load::run(address, &task.exchange, connections, requests / 10).await?;
                    let before = server.ask("used")?;
                    let outcome = load::run(address, &task.exchange, connections, requests).await?;
                    let after = server.ask("used")?;
                    figures[task_index][at][peer_index].push(Figures {
                        cpu: (after.cpu - before.cpu) / requests as u32,
                        rate: requests as f64 / outcome.elapsed.as_secs_f64(),
                        middle: outcome.percentile(50),
                        late: outcome.percentile(99),
                        peak: after.peak,
                    });
                }
            }
        }
    }
    for (task, figures) in tasks.iter().zip(&figures) {
        for (connections, figures) in CONNECTIONS.iter().zip(figures) {
            let title = format!(
                "{}, {connections} connections ({requests} requests, {} rounds)",
                task.title, options.rounds
            );
            print(&title, figures);
        }
    }
    Ok(())
}

fn print(title: &str, figures: &[Vec<Figures>]) {
    let of = |rounds: &[Figures], pick: fn(&Figures) -> f64| {
        median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let cpu = |rounds: &[Figures]| of(rounds, |figures| figures.cpu.as_secs_f64() * 1e6);
    let rows: Vec<_> = PEERS
        .iter()
        .zip(figures)
        .map(|(peer, rounds)| {
            vec![
                (*peer).to_owned(),
                format!("{:.2}", cpu(rounds)),
                ratio(cpu(rounds), cpu(&figures[0])),
                format!("{:.0}", of(rounds, |figures| figures.rate)),
                format!("{:.0}", of(rounds, |figures| figures.middle.as_secs_f64() * 1e6)),
                format!("{:.0}", of(rounds, |figures| figures.late.as_secs_f64() * 1e6)),
                format!("{:.1}", of(rounds, |figures| figures.peak as f64 / 1024.0)),
            ]
        })
        .collect();
    let columns = ["server", "CPU µs each", "ratio", "requests/s", "p50 µs", "p99 µs", "peak MiB"];
    table::print(title, &columns, &rows);
}

/// The difference between many and few requests is what a request takes, without start and end.
async fn count_instructions() -> Result {
    let (few, many) = (100, 600);
    for task in tasks() {
        let mut counts = Vec::new();
        for peer in PEERS {
            let mut count = [0; 2];
            for (count, requests) in count.iter_mut().zip([few, many]) {
                let mut server = Measured::start_counted(&["server", peer])?;
                let address = server.address()?;
                load::run(address, &task.exchange, 1, requests).await?;
                *count = server.counted()?;
            }
            counts.push((count[1] - count[0]) as f64 / (many - few) as f64);
        }
        let row = |(peer, count): (&&str, &f64)| {
            vec![(*peer).to_owned(), format!("{count:.0}"), ratio(*count, counts[0])]
        };
        let rows: Vec<_> = PEERS.iter().zip(&counts).map(row).collect();
        table::print(task.title, &["server", "instructions each", "ratio"], &rows);
    }
    Ok(())
}
