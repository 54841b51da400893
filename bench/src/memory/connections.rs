//! What a connection keeps, idle and with an open event stream.

use super::ask;
use crate::load::{Connection, Exchange};
use crate::process::Measured;
use crate::servers::{self, HELLO, PEERS};
use crate::table::{self, middle};
use crate::{Options, Result, whose};
use nix::sys::resource::{Resource, getrlimit};

/// How many connections are opened, unless the system allows fewer files.
const CONNECTIONS: u64 = 10_000;

/// What is done with a connection before it is left alone.
#[derive(Clone, Copy)]
enum Held {
    /// Something was asked and answered.
    Idle,
    /// A stream is open.
    Stream,
}

impl Held {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle connections",
            Self::Stream => "open event streams",
        }
    }
}

/// KiB that one round has shown of a server.
struct Figures {
    /// Of the process with one connection.
    alone: f64,
    /// Of each further one.
    idle: f64,
    stream: f64,
}

pub(super) async fn measure(options: &Options) -> Result {
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let connections = CONNECTIONS.min(files.saturating_sub(100));
    let asked = Asked {
        hello: Exchange::get("/hello", |body| body == HELLO.as_bytes()),
        stream: Exchange::get("/events/open", |_| true),
    };
    servers::compare(&[("GET /hello", &asked.hello), ("GET /events/open", &asked.stream)]).await?;
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let of = async |held: Held| {
                let kept = asked.keep(peer, held, connections).await;
                kept.map_err(whose(peer, held.name(), round))
            };
            let (idle, stream) = (of(Held::Idle).await?, of(Held::Stream).await?);
            figures.push(Figures { alone: stream.alone, idle: idle.each, stream: stream.each });
        }
    }
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        vec![
            (*peer).to_owned(),
            format!("{:.1}", middle(rounds, |figures| figures.alone / 1024.0)),
            format!("{:.2}", middle(rounds, |figures| figures.idle)),
            format!("{:.2}", middle(rounds, |figures| figures.stream)),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(&figures).map(row).collect();
    let columns = ["server", "idle process MiB", "idle connection KiB", "open event stream KiB"];
    let title =
        format!("Resident memory of each of {connections} connections ({} rounds)", options.rounds);
    table::print(&title, &columns, &rows);
    Ok(())
}

/// What is asked over connections.
struct Asked {
    hello: Exchange,
    stream: Exchange,
}

/// KiB of a process with one connection, and of each further one.
struct Kept {
    alone: f64,
    each: f64,
}

impl Asked {
    /// In a process of its own, as memory that was given back is not always gone.
    async fn keep(&self, peer: &str, held: Held, connections: u64) -> Result<Kept> {
        let mut server = Measured::start(&["server", peer])?;
        let address = server.address()?;
        ask(&mut Connection::open(address).await?, &self.hello).await?;
        let alone = server.ask("used")?.resident;
        let mut open = Vec::new();
        for _ in 0..connections {
            let mut connection = Connection::open(address).await?;
            match held {
                Held::Idle => ask(&mut connection, &self.hello).await?,
                Held::Stream => connection.subscribe(&self.stream).await?,
            }
            open.push(connection);
        }
        let after = server.ask("used")?.resident;
        let each = after.saturating_sub(alone) as f64 / connections as f64;
        Ok(Kept { alone: alone as f64, each })
    }
}
