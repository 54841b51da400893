//! Servers: short answers over HTTP/1.1, by one worker that has 200 routes more than are asked.
//!
//! At saturation the driver is one thread, which takes about as long for a request as a server does:
//! "busy" tells how much of the time the server had to do, and what is far below 100 % is the driver's
//! throughput and not the server's. Latencies are taken at one rate for all servers, half of what the
//! floor did at saturation; they are blank for a server that does not keep up with it.

use crate::load::{self, Exchange};
use crate::process::Measured;
use crate::servers::{self, HELLO, PEERS};
use crate::table::{self, figure, middle, middle_of_all, ratio};
use crate::{Options, Result, instructions, whose};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a server is asked before it counts, at saturation, and at the common rate; the latter two
/// times the scale.
const WARM: Duration = Duration::from_millis(150);
const FULL: Duration = Duration::from_millis(1_200);
const PACED: Duration = Duration::from_millis(500);

const CONNECTIONS: [usize; 2] = [64, 200];

pub(crate) async fn measure(options: &Options) -> Result {
    let tasks = tasks();
    let asked: Vec<_> = tasks.iter().map(|task| (task.title, &task.exchange)).collect();
    servers::compare(&asked).await?;
    if options.instructions {
        return count_instructions(&tasks).await;
    }
    let mut cases: Vec<_> = tasks.iter().flat_map(Case::all).collect();
    for round in 1..=options.rounds {
        for (at, peer) in PEERS.iter().enumerate() {
            let mut server = Measured::start(&["server", peer])?;
            let address = server.address().map_err(whose(peer, "its start", round))?;
            for case in &mut cases {
                let figures = case.round(&mut server, address, options.scale as u32).await;
                let figures = figures.map_err(whose(peer, case.task.title, round))?;
                case.figures[at].push(figures);
            }
        }
    }
    cases.iter().for_each(|case| case.print(options));
    Ok(())
}

struct Task {
    title: &'static str,
    exchange: Exchange,
}

fn tasks() -> [Task; 6] {
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
            title: "GET /further/77, one of 200",
            exchange: Exchange::get("/further/77", |body| body == HELLO.as_bytes()),
        },
        Task {
            title: "GET /cached: as /hello, and by Ember a hit of its StaticCache",
            exchange: Exchange::get("/cached", |body| body == HELLO.as_bytes()),
        },
    ]
}

/// A task over a number of connections.
struct Case<'a> {
    task: &'a Task,
    connections: usize,
    /// The common rate: half of what the floor does, in the first round.
    pace: Option<f64>,
    /// By server, then round.
    figures: Vec<Vec<Figures>>,
}

/// What one round has shown of a server.
struct Figures {
    /// CPU time in µs for each request, at saturation.
    cpu: f64,
    /// Requests a second at saturation.
    rate: f64,
    /// The part of that time that the server was on the processor.
    busy: f64,
    /// The latency in µs at the common rate; `None` where the server did not keep up with it.
    p50: Option<f64>,
    p99: Option<f64>,
}

impl<'a> Case<'a> {
    fn all(task: &'a Task) -> [Self; CONNECTIONS.len()] {
        CONNECTIONS.map(|connections| Self {
            task,
            connections,
            pace: None,
            figures: PEERS.iter().map(|_| Vec::new()).collect(),
        })
    }

    async fn round(
        &mut self,
        server: &mut Measured,
        address: SocketAddr,
        scale: u32,
    ) -> Result<Figures> {
        let exchange = &self.task.exchange;
        let mut connections = load::open(address, self.connections).await?;
        connections.saturate(exchange, WARM).await?;
        let before = server.ask("used")?;
        let full = connections.saturate(exchange, FULL * scale).await?;
        let cpu = (server.ask("used")?.cpu - before.cpu).as_secs_f64();
        let pace = *self.pace.get_or_insert(full.rate() / 2.0);
        let paced = connections.pace_closely(exchange, pace, PACED * scale).await?;
        let keeps_up = paced.rate() > pace * 0.9;
        Ok(Figures {
            cpu: cpu * 1e6 / full.count() as f64,
            rate: full.rate(),
            busy: cpu / full.elapsed.as_secs_f64(),
            p50: paced.percentile(50).filter(|_| keeps_up),
            p99: paced.percentile(99).filter(|_| keeps_up),
        })
    }

    fn print(&self, options: &Options) {
        let cpu = |rounds: &[Figures]| middle(rounds, |figures| figures.cpu);
        let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
            vec![
                (*peer).to_owned(),
                format!("{:.2}", cpu(rounds)),
                ratio(cpu(rounds), cpu(&self.figures[0])),
                format!("{:.0}", middle(rounds, |figures| figures.rate)),
                format!("{:.0}", middle(rounds, |figures| figures.busy * 100.0)),
                figure(middle_of_all(rounds, |figures| figures.p50), 0),
                figure(middle_of_all(rounds, |figures| figures.p99), 0),
            ]
        };
        let rows: Vec<_> = PEERS.iter().zip(&self.figures).map(row).collect();
        let scale = options.scale as u32;
        let title = format!(
            "{}, {} connections ({:?} at saturation; p50 and p99 of {:?} at {:.0} requests/s; {} rounds)",
            self.task.title,
            self.connections,
            FULL * scale,
            PACED * scale,
            self.pace.unwrap_or(f64::NAN),
            options.rounds
        );
        let columns =
            ["server", "CPU µs each", "ratio", "requests/s", "busy %", "p50 µs", "p99 µs"];
        table::print(&title, &columns, &rows);
    }
}

async fn count_instructions(tasks: &[Task]) -> Result {
    for task in tasks {
        let mut counts = Vec::new();
        for peer in PEERS {
            let run = async |requests| {
                let mut server = Measured::start_counted(&["server", peer])?;
                let mut connections = load::open(server.address()?, 1).await?;
                connections.send(&task.exchange, requests).await?;
                server.counted()
            };
            let count = instructions::difference(100, 600, run).await;
            counts.push(count.map_err(whose(peer, task.title, 1))?);
        }
        instructions::print(task.title, "server", &PEERS, &counts);
    }
    Ok(())
}
