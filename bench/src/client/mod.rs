//! Clients of a model: a unary call, and a streamed answer that is decoded, folded and counted.

mod async_openai;
mod bare;
mod ember;
mod genai;
mod rig;

use crate::process::{self, Measured, obey};
use crate::table::{self, median, ratio};
use crate::{Options, Result, stub};

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

pub(crate) fn measure(options: &Options) -> Result {
    process::pin(process::Core::Driver)?;
    let upstream = stub::start()?.to_string();
    let tasks = [
        ("streamed", "A streamed answer of 1,000 events, decoded, folded and counted", 40, 200),
        ("unary", "A unary call", 500, 3_000),
    ];
    for (task, title, warm, count) in tasks {
        if options.instructions {
            count_instructions(task, title, &upstream)?;
        } else {
            measure_time(task, title, &upstream, warm, count * options.scale, options.rounds)?;
        }
    }
    Ok(())
}

fn measure_time(
    task: &str,
    title: &str,
    upstream: &str,
    warm: usize,
    count: usize,
    rounds: usize,
) -> Result {
    let mut measured = vec![Vec::new(); PEERS.len()];
    for _ in 0..rounds {
        for (peer, measured) in PEERS.iter().zip(&mut measured) {
            let mut child = Measured::start(&["client", peer, task, upstream])?;
            let before = child.ask(&warm.to_string())?;
            let started = std::time::Instant::now();
            let after = child.ask(&count.to_string())?;
            let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / count as f64;
            measured.push((each(after.cpu - before.cpu), each(started.elapsed()), after.peak));
        }
    }
    let of = |peer: &[(f64, f64, u64)], pick: fn(&(f64, f64, u64)) -> f64| {
        median(&peer.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let floor = of(&measured[0], |figures| figures.0);
    let rows: Vec<_> = PEERS
        .iter()
        .zip(&measured)
        .map(|(peer, figures)| {
            let cpu = of(figures, |figures| figures.0);
            vec![
                (*peer).to_owned(),
                format!("{cpu:.1}"),
                ratio(cpu, floor),
                format!("{:.1}", of(figures, |figures| figures.1)),
                format!("{:.1}", of(figures, |figures| figures.2 as f64) / 1024.0),
            ]
        })
        .collect();
    let columns = ["client", "CPU µs each", "ratio", "elapsed µs each", "peak MiB"];
    table::print(&format!("{title} ({count} times, {rounds} rounds)"), &columns, &rows);
    Ok(())
}

/// The difference between many and few calls is what a call takes, without start and end.
fn count_instructions(task: &str, title: &str, upstream: &str) -> Result {
    let (few, many) = (5, 25);
    let mut counts = Vec::new();
    for peer in PEERS {
        let run = |count: usize| -> Result<u64> {
            let mut child = Measured::start_counted(&["client", peer, task, upstream])?;
            child.ask(&count.to_string())?;
            child.counted()
        };
        counts.push((run(many)? - run(few)?) as f64 / (many - few) as f64);
    }
    let rows: Vec<_> = PEERS
        .iter()
        .zip(&counts)
        .map(|(peer, count)| {
            vec![(*peer).to_owned(), format!("{count:.0}"), ratio(*count, counts[0])]
        })
        .collect();
    table::print(title, &["client", "instructions each", "ratio"], &rows);
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
