//! Gateways: one upstream, reached directly and through programs that stand before it.

mod ember;
mod hyper;
mod litellm;
mod report;

use crate::load::{self, Exchange, IsRight, Outcome};
use crate::process::{Foreign, Measured};
use crate::{Options, Result, stub};
use memchr::memmem;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// The first is the upstream itself, the second the floor.
const PEERS: [&str; 4] = ["direct", "hyper", "ember", "LiteLLM"];

const MODEL: &str = "gpt-4o";

/// What a client has to send. LiteLLM does not start without one, so Ember is given one as well; it
/// opens nothing but what this program starts on this machine.
const KEY: &str = "sk-ember-bench-5e2d48c6b3a1907f7c1f0b9a64d20c38";

/// How long the upstream is silent between the first token of a stream and the others.
const PAUSE: Duration = Duration::from_millis(5);

/// How long each load lasts, times the scale.
const LOAD: Duration = Duration::from_secs(4);

/// Connections at saturation, and below it.
const MANY: usize = 32;
const FEW: usize = 8;

/// What is asked, and how often in a second below saturation.
struct Task {
    name: &'static str,
    rate: f64,
    exchange: Exchange,
}

fn tasks() -> [Task; 2] {
    let (unary, streamed) = (stub::unary_text(), in_json(&stub::streamed_text()));
    let post = |stream, is_right: Box<IsRight>| {
        Exchange::post("/v1/chat/completions", &body(stream), is_right).bearer(KEY)
    };
    [
        Task {
            name: "unary calls",
            rate: 500.0,
            exchange: post(false, Box::new(move |body| is_answer(body, &unary))),
        },
        Task {
            name: "streamed answers of 1,000 events",
            rate: 40.0,
            exchange: post(true, Box::new(move |body| text_of(body).as_deref() == Some(&streamed)))
                .begins_with(b"the\""),
        },
    ]
}

fn body(stream: bool) -> String {
    let system = json!({"role": "system", "content": "You are a helpful assistant."});
    let user = json!({"role": "user", "content": "What does the model say? Answer at length."});
    json!({"model": MODEL, "messages": [system, user], "stream": stream}).to_string()
}

/// Asks for a stream, whether by the interface of OpenAI or by a route that takes any text.
pub(crate) fn open_stream(path: &str) -> Exchange {
    Exchange::post(path, &body(true), |_| true).bearer(KEY)
}

/// A text as JSON writes it between its quotes.
fn in_json(text: &str) -> String {
    Value::from(text).to_string().trim_matches('"').to_owned()
}

fn is_answer(body: &[u8], text: &str) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    body["choices"][0]["message"]["content"] == text
        && body["usage"]["total_tokens"] == stub::TOKENS
}

/// The text of a stream that is whole, with its escapes. It parses no JSON, as that would keep the
/// driver busier than what it measures.
fn text_of(body: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut data =
        str::from_utf8(body).ok()?.lines().filter_map(|line| line.strip_prefix("data: "));
    loop {
        let event = data.next()?;
        if event == "[DONE]" {
            return data.next().is_none().then_some(text);
        }
        const NAME: &str = "\"content\":";
        let Some(at) = memmem::find(event.as_bytes(), NAME.as_bytes()) else { continue };
        let Some(content) = event[at + NAME.len()..].trim_start().strip_prefix('"') else {
            continue;
        };
        let mut escaped = false;
        let end = content.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        text.push_str(&content[..end?]);
    }
}

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

/// The role of a gateway.
pub(crate) fn serve(peer: &str, upstream: &str, listener: TcpListener) -> Result {
    match peer {
        "hyper" => hyper::serve(upstream, listener),
        "ember" => ember::serve(upstream, listener),
        "chat" => ember::serve_chat(upstream, listener),
        other => Err(format!("there is no gateway `{other}`").into()),
    }
}

/// What one round has shown of a gateway and a task.
#[derive(Clone, Copy)]
struct Figures {
    /// At saturation: answers a second, and CPU time in µs for each.
    throughput: f64,
    cpu: f64,
    /// Below it: requests a second, and what answers took in µs, at the median and the 99th of 100.
    rate: f64,
    whole: [f64; 2],
    beginning: [f64; 2],
    /// At half of its saturation.
    half: Half,
}

/// The time to the first token in µs, at the median and the 99th of 100, of as many streams a second
/// as are half of what a gateway can do, and of the same number without it.
#[derive(Clone, Copy)]
struct Half {
    rate: f64,
    through: [f64; 2],
    direct: [f64; 2],
}

pub(crate) async fn measure(options: &Options) -> Result {
    let upstream = stub::Manner { pause: PAUSE, ..Default::default() }.start()?;
    let (tasks, load) = (tasks(), LOAD * options.scale as u32);
    // By task, then gateway, then round.
    let mut figures = vec![vec![Vec::new(); PEERS.len()]; tasks.len()];
    for _ in 0..options.rounds {
        for (at, peer) in PEERS.iter().enumerate() {
            let Some((mut gateway, address)) = Gateway::start(peer, upstream).await? else {
                continue;
            };
            for (task, figures) in tasks.iter().zip(&mut figures) {
                let addresses = (address, upstream);
                figures[at].push(round(&mut gateway, addresses, task, load).await?);
            }
        }
    }
    for (task, figures) in tasks.iter().zip(&figures) {
        report::print(task, figures, options);
    }
    Ok(())
}

async fn round(
    gateway: &mut Gateway,
    (address, upstream): (SocketAddr, SocketAddr),
    task: &Task,
    duration: Duration,
) -> Result<Figures> {
    load::saturate(address, &task.exchange, 1, duration / 8).await?;
    let before = gateway.cpu()?;
    let full = load::saturate(address, &task.exchange, MANY, duration).await?;
    let cpu = gateway.cpu()? - before;
    let throughput = full.count() as f64 / full.elapsed.as_secs_f64();
    // Whoever is too slow for that rate gets half of what it can do.
    let rate = task.rate.min(throughput / 2.0);
    let few = load::pace(address, &task.exchange, FEW, rate, duration).await?;
    let beginning = micros(&few, Outcome::percentile_of_beginning);
    Ok(Figures {
        throughput,
        cpu: cpu.as_secs_f64() * 1e6 / full.count() as f64,
        rate,
        whole: micros(&few, Outcome::percentile),
        beginning,
        half: half(address, upstream, task, throughput / 2.0, duration).await?,
    })
}

async fn half(
    address: SocketAddr,
    upstream: SocketAddr,
    task: &Task,
    rate: f64,
    duration: Duration,
) -> Result<Half> {
    // Only streams have a first token, and the upstream is compared with nothing.
    if !task.exchange.has_beginning() || address == upstream {
        return Ok(Half { rate, through: [0.0; 2], direct: [0.0; 2] });
    }
    let through = load::pace(address, &task.exchange, MANY, rate, duration).await?;
    let direct = load::pace(upstream, &task.exchange, MANY, rate, duration).await?;
    let [through, direct] =
        [&through, &direct].map(|outcome| micros(outcome, Outcome::percentile_of_beginning));
    Ok(Half { rate, through, direct })
}

/// At the median, and at the 99th of 100.
fn micros(outcome: &Outcome, of: fn(&Outcome, usize) -> Duration) -> [f64; 2] {
    [50, 99].map(|percent| of(outcome, percent).as_secs_f64() * 1e6)
}
