//! Gateways: one upstream, reached directly and through programs that stand before it.

mod task;
mod ember;
mod hyper;
mod litellm;
mod report;

pub(crate) use task::open_stream;

use crate::load::{self, Outcome};
use crate::process::{Foreign, Measured};
use crate::{Options, Result, instructions, stub, whose};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use task::{Task, tasks};

pub(crate) async fn measure(options: &Options) -> Result {
    let upstream = stub::Manner { pause: PAUSE, ..Default::default() }.start()?;
    for task in &tasks() {
        match options.instructions {
            true => count_instructions(task, upstream).await?,
            false => report::print(task, &measure_time(task, upstream, options).await?, options),
        }
    }
    Ok(())
}

/// The role of a gateway.
pub(crate) fn serve(peer: &str, upstream: &str, listener: TcpListener) -> Result {
    match peer {
        "hyper" => hyper::serve(upstream, listener),
        "ember" => ember::serve(upstream, listener),
        "chat" => ember::serve_chat(upstream, listener),
        other => Err(format!("there is no gateway `{other}`").into()),
    }
}

/// What a client has to send. LiteLLM does not start without one, so Ember is given one as well; it
/// opens nothing but what this program starts on this machine.
pub(crate) const KEY: &str = "sk-ember-bench-5e2d48c6b3a1907f7c1f0b9a64d20c38";

const MODEL: &str = "gpt-4o";

/// The first is the upstream itself, the second the floor.
const PEERS: [&str; 4] = ["direct", "hyper", "ember", "LiteLLM"];

/// Those whose instructions are counted: programs that valgrind knows.
const COUNTED: [&str; 2] = ["hyper", "ember"];

/// How long the upstream is silent between the first token of a stream and the others.
const PAUSE: Duration = Duration::from_millis(5);

/// How long each load lasts, times the scale.
const LOAD: Duration = Duration::from_secs(4);

/// Connections at saturation, and below it.
const MANY: usize = 32;
const FEW: usize = 8;

/// A program that stands before the upstream.
enum Gateway {
    /// None does.
    Direct,
    Own(Measured),
    Foreign(Foreign),
}

impl Gateway {
    /// Starts one and tells its address; `None` if it is not installed.
    async fn start(peer: &str, upstream: SocketAddr) -> Result<Option<(Self, SocketAddr)>> {
        Ok(match peer {
            "direct" => Some((Self::Direct, upstream)),
            "LiteLLM" => match litellm::installed()? {
                Some(program) => {
                    let (server, address) = litellm::start(program, &upstream.to_string()).await?;
                    Some((Self::Foreign(server), address))
                }
                None => None,
            },
            own => {
                let mut server = Measured::start(&["gateway", own, &upstream.to_string()])?;
                let address = server.address()?;
                Some((Self::Own(server), address))
            }
        })
    }

    /// The time that it has been on the processor.
    fn cpu(&mut self) -> Result<Duration> {
        match self {
            Self::Direct => Ok(Duration::ZERO),
            Self::Own(server) => Ok(server.ask("used")?.cpu),
            Self::Foreign(server) => server.cpu(),
        }
    }
}

/// What one round has shown of a gateway and a task.
struct Figures {
    /// At saturation: answers a second, and CPU time in µs for each.
    throughput: f64,
    cpu: f64,
    below: Below,
    /// At half of its saturation; `None` of what has no first token, and of the upstream, which is
    /// compared with nothing.
    half: Option<Half>,
}

/// A time in µs, at the median and the 99th of 100; `None` of too few answers to tell.
type Percentiles = [Option<f64>; 2];

/// Below saturation: requests a second, and how long answers took, whole and to the first token.
struct Below {
    rate: f64,
    answers: usize,
    whole: Percentiles,
    beginning: Percentiles,
}

/// The time to the first token of as many streams a second as are half of what a gateway can do, and
/// of the same number without it.
struct Half {
    rate: f64,
    answers: usize,
    through: Percentiles,
    direct: Percentiles,
}

/// By gateway, then round.
async fn measure_time(
    task: &Task,
    upstream: SocketAddr,
    options: &Options,
) -> Result<Vec<Vec<Figures>>> {
    let load = LOAD * options.scale as u32;
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let seen = round(peer, upstream, task, load).await;
            figures.extend(seen.map_err(whose(peer, task.name, number))?);
        }
    }
    Ok(figures)
}

/// In a process of its own; `None` if the gateway is not installed.
async fn round(
    peer: &str,
    upstream: SocketAddr,
    task: &Task,
    duration: Duration,
) -> Result<Option<Figures>> {
    let Some((mut gateway, address)) = Gateway::start(peer, upstream).await? else {
        return Ok(None);
    };
    load::open(address, 1).await?.saturate(&task.exchange, duration / 8).await?;
    let mut many = load::open(address, MANY).await?;
    let before = gateway.cpu()?;
    let full = many.saturate(&task.exchange, duration).await?;
    let cpu = gateway.cpu()? - before;
    drop(many);
    // Whoever is too slow for that rate gets half of what it can do.
    let rate = task.rate.min(full.rate() / 2.0);
    let few = load::open(address, FEW).await?.pace(&task.exchange, rate, duration).await?;
    let half = match task.exchange.has_beginning() && address != upstream {
        true => Some(half(address, upstream, task, full.rate() / 2.0, duration).await?),
        false => None,
    };
    Ok(Some(Figures {
        throughput: full.rate(),
        cpu: cpu.as_secs_f64() * 1e6 / full.count() as f64,
        below: Below {
            rate,
            answers: few.count(),
            whole: [50, 99].map(|percent| few.percentile(percent)),
            beginning: beginning(&few),
        },
        half,
    }))
}

async fn half(
    address: SocketAddr,
    upstream: SocketAddr,
    task: &Task,
    rate: f64,
    duration: Duration,
) -> Result<Half> {
    let through = load::open(address, MANY).await?.pace(&task.exchange, rate, duration).await?;
    let direct = load::open(upstream, MANY).await?.pace(&task.exchange, rate, duration).await?;
    let answers = through.count();
    Ok(Half { rate, answers, through: beginning(&through), direct: beginning(&direct) })
}

fn beginning(outcome: &Outcome) -> Percentiles {
    [50, 99].map(|percent| outcome.percentile_of_beginning(percent))
}

async fn count_instructions(task: &Task, upstream: SocketAddr) -> Result {
    let mut counts = Vec::new();
    for peer in COUNTED {
        let run = async |calls| {
            let arguments = ["gateway", peer, &upstream.to_string()];
            let mut gateway = Measured::start_counted(&arguments)?;
            load::open(gateway.address()?, 1).await?.send(&task.exchange, calls).await?;
            gateway.counted()
        };
        let [few, many] = task.counted;
        let count = instructions::difference(few, many, run).await;
        counts.push(count.map_err(whose(peer, task.name, 1))?);
    }
    instructions::print(&report::capitalised(task.name), "gateway", &COUNTED, &counts);
    Ok(())
}
