//! What a chat keeps on one worker: the model has said a few tokens, and is silent.

use crate::load::{Connection, Exchange};
use crate::process::Measured;
use crate::table::{self, middle};
use crate::{Options, Result, gateway, stub, whose};
use nix::sys::resource::{Resource, getrlimit};

/// How many chats are opened, unless the system allows fewer files: in this program each is a
/// connection to the server and one from it to the model, and so it is in the server.
const CHATS: u64 = 5_000;

/// What one round has shown of a server.
struct Figures {
    /// MiB of the process with one chat.
    alone: f64,
    /// KiB of each further one.
    chat: f64,
}

/// What is asked for a chat, and how.
struct Peer {
    title: &'static str,
    name: &'static str,
    path: &'static str,
}

const PEERS: [Peer; 3] = [
    Peer { title: "hyper, which passes bytes", name: "hyper", path: "/v1/chat/completions" },
    Peer { title: "ember, OpenAI's interface", name: "ember", path: "/v1/chat/completions" },
    Peer { title: "ember, `#[ai_route]`", name: "chat", path: "/chat" },
];

pub(super) async fn measure(options: &Options) -> Result {
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let chats = CHATS.min(files.saturating_sub(200) / 2);
    let upstream = stub::start_silent().await?.to_string();
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let exchange = gateway::open_stream(peer.path);
            let seen = round(peer.name, &upstream, &exchange, chats).await;
            figures.push(seen.map_err(whose(peer.title, "open chats", number))?);
        }
    }
    let row = |(peer, rounds): (&Peer, &Vec<Figures>)| {
        vec![
            peer.title.to_owned(),
            format!("{:.1}", middle(rounds, |figures| figures.alone)),
            format!("{:.2}", middle(rounds, |figures| figures.chat)),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(&figures).map(row).collect();
    let rounds = options.rounds;
    let title = format!(
        "Resident memory of each of {chats} open chats, the model silent ({rounds} rounds)"
    );
    table::print(&title, &["server", "process with one MiB", "open chat KiB"], &rows);
    Ok(())
}

async fn round(peer: &str, upstream: &str, exchange: &Exchange, chats: u64) -> Result<Figures> {
    let mut server = Measured::start(&["gateway", peer, upstream])?;
    let address = server.address()?;
    // What the first one sets up is not its own.
    let mut first = Connection::open(address).await?;
    first.subscribe(exchange).await?;
    let alone = server.ask("used")?.resident;
    let mut open = Vec::new();
    for _ in 0..chats {
        let mut connection = Connection::open(address).await?;
        connection.subscribe(exchange).await?;
        open.push(connection);
    }
    let after = server.ask("used")?.resident;
    let chat = after.saturating_sub(alone) as f64 / chats as f64;
    Ok(Figures { alone: alone as f64 / 1024.0, chat })
}
