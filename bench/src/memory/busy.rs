//! What a process has while its connections are busy.

use crate::load::{self, Exchange};
use crate::process::Measured;
use crate::servers::{HELLO, PEERS};
use crate::table::{self, middle};
use crate::{Options, Result, whose};

/// How many connections are busy at the same time, and how many requests they send.
const BUSY: usize = 200;
const REQUESTS: usize = 20_000;

/// MiB that are resident at the end of the load, and at most.
struct Figures {
    resident: f64,
    peak: f64,
}

/// A process of its own for each server and round, which has done nothing else.
pub(super) async fn measure(options: &Options) -> Result {
    let hello = Exchange::get("/hello", |body| body == HELLO.as_bytes());
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let seen = round(peer, &hello).await;
            figures.push(seen.map_err(whose(peer, "busy connections", number))?);
        }
    }
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        vec![
            (*peer).to_owned(),
            format!("{:.1}", middle(rounds, |figures| figures.resident)),
            format!("{:.1}", middle(rounds, |figures| figures.peak)),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(&figures).map(row).collect();
    let title = format!(
        "Resident memory with {BUSY} busy connections, after {REQUESTS} requests of /hello ({} rounds)",
        options.rounds
    );
    table::print(&title, &["server", "MiB", "peak MiB"], &rows);
    Ok(())
}

async fn round(peer: &str, hello: &Exchange) -> Result<Figures> {
    let mut server = Measured::start(&["server", peer])?;
    // They stay open until it is asked.
    let mut connections = load::open(server.address()?, BUSY).await?;
    connections.send(hello, REQUESTS).await?;
    let used = server.ask("used")?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(Figures { resident: mib(used.resident), peak: mib(used.peak) })
}
