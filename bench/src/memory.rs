//! Servers: the memory that a connection keeps, idle or with an open event stream, that of a process
//! with 200 busy connections, and that of a chat whose model is silent.

use crate::load::{self, Connection, Exchange};
use crate::process::Measured;
use crate::servers::{HELLO, PEERS};
use crate::table::{self, median};
use crate::{Options, Result, gateway, stub};
use nix::sys::resource::{Resource, getrlimit};

/// How many connections are opened, unless the system allows fewer files.
const CONNECTIONS: u64 = 10_000;

/// How many connections are busy at the same time, and how many requests they send.
const BUSY: usize = 200;
const REQUESTS: usize = 20_000;

/// How many chats are opened; each is a connection to the server and one to its model.
const CHATS: usize = 5_000;

pub(crate) async fn measure(options: &Options) -> Result {
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let connections = CONNECTIONS.min(files.saturating_sub(100));
    let hello = Exchange::get("/hello", |body| body == HELLO.as_bytes());
    let open = Exchange::get("/events/open", |_| true);
    // KiB of the idle process, and then of each connection, idle and with a stream.
    let mut figures = vec![Vec::new(); PEERS.len()];
    for _ in 0..options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let mut kept = [0.0; 2];
            let mut alone = 0;
            for (kept, exchange) in kept.iter_mut().zip([&hello, &open]) {
                // A process of its own, as memory that was given back is not always gone.
                let mut server = Measured::start(&["server", peer])?;
                let address = server.address()?;
                Connection::open(address).await?.exchange(&hello).await?;
                alone = server.ask("used")?.resident;
                let mut held = Vec::new();
                for _ in 0..connections {
                    let mut connection = Connection::open(address).await?;
                    match std::ptr::eq(exchange, &open) {
                        true => connection.subscribe(exchange).await?,
                        false => {
                            connection.exchange(exchange).await?;
                        }
                    }
                    held.push(connection);
                }
                let after = server.ask("used")?.resident;
                *kept = after.saturating_sub(alone) as f64 / connections as f64;
            }
            figures.push((alone as f64, kept[0], kept[1]));
        }
    }
    let of = |rounds: &[(f64, f64, f64)], pick: fn(&(f64, f64, f64)) -> f64| {
        median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let rows: Vec<_> = PEERS
        .iter()
        .zip(&figures)
        .map(|(peer, rounds)| {
            vec![
                (*peer).to_owned(),
                format!("{:.1}", of(rounds, |figures| figures.0) / 1024.0),
                format!("{:.2}", of(rounds, |figures| figures.1)),
                format!("{:.2}", of(rounds, |figures| figures.2)),
            ]
        })
        .collect();
    let columns = ["server", "idle process MiB", "idle connection KiB", "open event stream KiB"];
    let title =
        format!("Resident memory of each of {connections} connections ({} rounds)", options.rounds);
    table::print(&title, &columns, &rows);
    measure_busy(options).await?;
    measure_chats(options).await
}

/// A process of its own for each server and round, which has done nothing else.
async fn measure_busy(options: &Options) -> Result {
    let hello = Exchange::get("/hello", |body| body == HELLO.as_bytes());
    // MiB that are resident at the end of the load, and at most.
    let mut figures = vec![Vec::new(); PEERS.len()];
    for _ in 0..options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let mut server = Measured::start(&["server", peer])?;
            let address = server.address()?;
            load::run(address, &hello, BUSY, REQUESTS * options.scale).await?;
            let used = server.ask("used")?;
            figures.push([used.resident, used.peak].map(|kib| kib as f64 / 1024.0));
        }
    }
    let row = |(peer, rounds): (&&str, &Vec<[f64; 2]>)| {
        let middle = |at: usize| {
            let values: Vec<_> = rounds.iter().map(|figures| figures[at]).collect();
            median(&values).map_or(String::new(), |value| format!("{value:.1}"))
        };
        vec![(*peer).to_owned(), middle(0), middle(1)]
    };
    let rows: Vec<_> = PEERS.iter().zip(&figures).map(row).collect();
    let title = format!(
        "Resident memory with {BUSY} busy connections, after {} requests of /hello ({} rounds)",
        REQUESTS * options.scale,
        options.rounds
    );
    table::print(&title, &["server", "MiB", "peak MiB"], &rows);
    Ok(())
}

/// Chats on one worker: the model has said a few tokens, and is silent.
async fn measure_chats(options: &Options) -> Result {
    let upstream = stub::start_silent().await?.to_string();
    let peers = [
        ("hyper, which passes bytes", "hyper", gateway::open_stream("/v1/chat/completions")),
        ("ember, OpenAI's interface", "ember", gateway::open_stream("/v1/chat/completions")),
        ("ember, `#[ai_route]`", "chat", gateway::open_stream("/chat")),
    ];
    // KiB of the idle process, and then of each chat.
    let mut figures = vec![Vec::new(); peers.len()];
    for _ in 0..options.rounds {
        for ((_, peer, exchange), figures) in peers.iter().zip(&mut figures) {
            let mut server = Measured::start(&["gateway", peer, &upstream])?;
            let address = server.address()?;
            // What the first one sets up is not its own.
            let mut first = Connection::open(address).await?;
            first.subscribe(exchange).await?;
            let alone = server.ask("used")?.resident;
            let mut held = Vec::new();
            for _ in 0..CHATS {
                let mut connection = Connection::open(address).await?;
                connection.subscribe(exchange).await?;
                held.push(connection);
            }
            let after = server.ask("used")?.resident;
            let kept = after.saturating_sub(alone) as f64 / CHATS as f64;
            figures.push((alone as f64 / 1024.0, kept));
        }
    }
    let middle = |rounds: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| {
        median(&rounds.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let rows: Vec<_> = peers
        .iter()
        .zip(&figures)
        .map(|((name, ..), rounds)| {
            let alone = format!("{:.1}", middle(rounds, |figures| figures.0));
            vec![(*name).to_owned(), alone, format!("{:.2}", middle(rounds, |figures| figures.1))]
        })
        .collect();
    let title = format!(
        "Resident memory of each of {CHATS} open chats, the model silent ({} rounds)",
        options.rounds
    );
    table::print(&title, &["server", "process with one MiB", "open chat KiB"], &rows);
    Ok(())
}
