//! Clients of a model: a unary call, and a streamed answer that is decoded, folded and counted.

mod async_openai;
mod bare;
mod ember;
mod genai;
mod rig;

use crate::process::{Measured, obey};
use crate::table::{self, middle, ratio};
use crate::{Options, Result, instructions, stub, whose};
use std::time::{Duration, Instant};

pub(crate) async fn measure(options: &Options) -> Result {
    let upstream = stub::start()?.to_string();
    for task in &TASKS {
        match options.instructions {
            true => count_instructions(task, &upstream).await?,
            false => measure_time(task, &upstream, options)?,
        }
    }
    Ok(())
}

pub(crate) fn child(peer: &str, task: &str, address: &str) -> Result {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "ring is installed already")?;
    match peer {
        "reqwest" => run::<bare::Bare>(task, address),
        "ember" => run::<ember::Ember>(task, address),
        "async-openai" => run::<async_openai::AsyncOpenAi>(task, address),
        "genai" => run::<genai::GenAi>(task, address),
        "rig-core" => run::<rig::Rig>(task, address),
        other => Err(format!("there is no client `{other}`").into()),
    }
}

/// Answers of a model, as a program gets them from a library.
trait Peer: Sized {
    /// It only splits the lines of a stream, and so knows no text.
    const ONLY_SPLITS: bool = false;

    fn new(address: &str) -> Result<Self>;

    /// The text of an answer that arrives whole, and the tokens that it took.
    async fn unary(&self) -> Result<(String, u64)>;

    /// The text of an answer that arrives bit by bit, and the number of its bits.
    async fn streamed(&self) -> Result<(String, usize)>;
}

const PEERS: [&str; 5] = ["reqwest", "ember", "async-openai", "genai", "rig-core"];
const SYSTEM: &str = "You are a helpful assistant.";
const QUESTION: &str = "What does the model say? Answer at length.";
const MODEL: &str = "gpt-4o";

/// What is asked of a client.
struct Task {
    name: &'static str,
    title: &'static str,
    /// How often it is asked before it counts, and while it does.
    warm: usize,
    count: usize,
}

const TASKS: [Task; 2] = [
    Task {
        name: "streamed",
        title: "A streamed answer of 1,000 events, decoded, folded and counted",
        warm: 40,
        count: 200,
    },
    Task { name: "unary", title: "A unary call", warm: 500, count: 3_000 },
];

/// What one round has shown of a client.
struct Figures {
    /// CPU time in µs for each answer.
    cpu: f64,
    /// µs that each answer took.
    elapsed: f64,
    /// The most memory that was resident, in MiB.
    peak: f64,
}

fn measure_time(task: &Task, upstream: &str, options: &Options) -> Result {
    let count = task.count * options.scale;
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let seen = round(peer, task, upstream, count);
            figures.push(seen.map_err(whose(peer, task.title, number))?);
        }
    }
    let floor = middle(&figures[0], |figures| figures.cpu);
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let cpu = middle(rounds, |figures| figures.cpu);
        vec![
            (*peer).to_owned(),
            format!("{cpu:.1}"),
            ratio(cpu, floor),
            format!("{:.1}", middle(rounds, |figures| figures.elapsed)),
            format!("{:.1}", middle(rounds, |figures| figures.peak)),
        ]
    };
    let rows: Vec<_> = PEERS.iter().zip(&figures).map(row).collect();
    let columns = ["client", "CPU µs each", "ratio", "elapsed µs each", "peak MiB"];
    let title = format!("{} ({count} times, {} rounds)", task.title, options.rounds);
    table::print(&title, &columns, &rows);
    Ok(())
}

fn round(peer: &str, task: &Task, upstream: &str, count: usize) -> Result<Figures> {
    let mut child = Measured::start(&["client", peer, task.name, upstream])?;
    let before = child.ask(&task.warm.to_string())?;
    let started = Instant::now();
    let after = child.ask(&count.to_string())?;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    Ok(Figures {
        cpu: each(after.cpu - before.cpu),
        elapsed: each(started.elapsed()),
        peak: after.peak as f64 / 1024.0,
    })
}

async fn count_instructions(task: &Task, upstream: &str) -> Result {
    let mut counts = Vec::new();
    for peer in PEERS {
        let run = async |count: usize| {
            let mut child = Measured::start_counted(&["client", peer, task.name, upstream])?;
            child.ask(&count.to_string())?;
            child.counted()
        };
        let count = instructions::difference(5, 25, run).await;
        counts.push(count.map_err(whose(peer, task.title, 1))?);
    }
    instructions::print(task.title, "client", &PEERS, &counts);
    Ok(())
}

fn run<P: Peer>(task: &str, address: &str) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let peer = runtime.block_on(async { P::new(address) })?;
    let (unary, streamed) = (stub::unary_text(), stub::streamed_text());
    obey(|count| {
        runtime.block_on(async {
            for _ in 0..count {
                let right = match task {
                    "unary" => {
                        let (text, tokens) = peer.unary().await?;
                        text == unary && tokens == stub::TOKENS
                    }
                    _ => {
                        let (text, events) = peer.streamed().await?;
                        events == stub::EVENTS && (text == streamed || P::ONLY_SPLITS)
                    }
                };
                if !right {
                    return Err("an answer is wrong".into());
                }
            }
            Ok(())
        })
    })
}
