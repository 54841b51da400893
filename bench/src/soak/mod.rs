//! One server under mixed load for a long time: whether its memory, files and threads grow.

mod mix;
mod server;
mod trend;

pub(crate) use server::serve;

use crate::load::Connection;
use crate::process::Measured;
use crate::stub::Manner;
use crate::{Options, Result, table};
use mix::{Kind, Mix};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use trend::Trend;

/// How many clients there are, and how long each rests between two requests.
const CLIENTS: usize = 32;
const REST: Duration = Duration::from_millis(10);

/// After how long a request that is not answered counts as an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the process is looked at, unless the run is so short that this gives too few samples.
const EVERY: Duration = Duration::from_secs(5);

/// What the kernel says of the process at one moment, by proc(5).
struct Sample {
    time: Duration,
    /// KiB.
    resident: u64,
    files: usize,
    threads: u64,
    requests: u64,
    errors: u64,
}

/// Takes one figure of a sample.
type Pick = fn(&Sample) -> f64;

/// What has been done of one kind.
#[derive(Default)]
struct Done {
    requests: AtomicU64,
    errors: AtomicU64,
}

/// By kind, in the order of [`Kind::ALL`].
type Tally = Arc<[Done]>;

pub(crate) async fn measure(options: &Options) -> Result {
    let duration = Duration::from_secs_f64(options.minutes * 60.0);
    let upstream = Manner { events: 40, pause: Duration::from_millis(10), calls: Some("now") };
    let upstream = upstream.start()?.to_string();
    let mut server = Measured::start_quietly(&["soak", &upstream])?;
    let address = server.address()?;
    let tally: Tally = Kind::ALL.iter().map(|_| Done::default()).collect();
    let (started, mut clients) = (Instant::now(), JoinSet::new());
    for number in 0..CLIENTS {
        clients.spawn(client(address, number, tally.clone(), started + duration));
    }
    let every = EVERY.min(duration / 100);
    let mut samples = Vec::new();
    let mut ticks = tokio::time::interval(every);
    while started.elapsed() < duration {
        ticks.tick().await;
        samples.push(sample(&server, started.elapsed(), &tally)?);
    }
    while let Some(first_error) = clients.join_next().await {
        if let Some(error) = first_error? {
            println!("an error: {error}\n");
        }
    }
    report(&samples, &tally);
    if let Some(file) = &options.out {
        std::fs::write(file, csv(&samples)?)?;
        println!("{} samples are in {}", samples.len(), file.display());
    }
    Ok(())
}

/// One after another, in an order that is the same for all clients but begins elsewhere. Returns
/// the first error.
async fn client(
    address: SocketAddr,
    number: usize,
    tally: Tally,
    until: Instant,
) -> Option<String> {
    let mut mix = Mix::new(number);
    let (mut connection, mut first_error) = (None, None);
    let mut turn = number;
    while Instant::now() < until {
        let at = turn % Kind::ALL.len();
        turn += 1;
        let request = mix.send(Kind::ALL[at], address, &mut connection);
        let outcome = tokio::time::timeout(PATIENCE, request).await;
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".into()));
        tally[at].requests.fetch_add(1, Relaxed);
        if let Err(error) = outcome {
            tally[at].errors.fetch_add(1, Relaxed);
            first_error.get_or_insert_with(|| format!("{}: {error}", Kind::ALL[at].name()));
            // Whatever is left of the answer belongs to no other request.
            connection = None::<Connection>;
        }
        tokio::time::sleep(REST).await;
    }
    first_error
}

fn sample(server: &Measured, time: Duration, tally: &Tally) -> Result<Sample> {
    let folder = format!("/proc/{}", server.id());
    let status = std::fs::read_to_string(format!("{folder}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("the kernel tells no {name}").into())
    };
    let sum =
        |pick: fn(&Done) -> &AtomicU64| tally.iter().map(|done| pick(done).load(Relaxed)).sum();
    Ok(Sample {
        time,
        resident: field("VmRSS:")?,
        files: std::fs::read_dir(format!("{folder}/fd"))?.count(),
        threads: field("Threads:")?,
        requests: sum(|done| &done.requests),
        errors: sum(|done| &done.errors),
    })
}

fn report(samples: &[Sample], tally: &Tally) {
    let rows: Vec<_> = Kind::ALL
        .iter()
        .zip(tally.iter())
        .map(|(kind, done)| {
            let count = |count: &AtomicU64| count.load(Relaxed).to_string();
            vec![kind.name().to_owned(), count(&done.requests), count(&done.errors)]
        })
        .collect();
    let minutes = samples.last().map_or(0.0, |last| last.time.as_secs_f64() / 60.0);
    let title = format!("{minutes:.0} minutes of mixed load, {CLIENTS} clients");
    table::print(&title, &["request", "sent", "errors"], &rows);
    let figures: [(&str, Pick); 3] = [
        ("resident memory, KiB", |sample| sample.resident as f64),
        ("open files", |sample| sample.files as f64),
        ("threads", |sample| sample.threads as f64),
    ];
    let rows: Vec<_> = figures
        .iter()
        .map(|(name, pick)| {
            let points: Vec<_> = samples
                .iter()
                .map(|sample| (sample.time.as_secs_f64() / 3_600.0, pick(sample)))
                .collect();
            let ends = [points.first(), points.get(points.len() / 4), points.last()];
            let ends =
                ends.map(|point| point.map_or(String::new(), |(_, value)| format!("{value:.0}")));
            // The first quarter fills what is bounded.
            let trend = Trend::of(&points[points.len() / 4..]);
            let trend = trend.map_or("too few samples".to_owned(), |trend| trend.to_string());
            [vec![(*name).to_owned()], ends.to_vec(), vec![trend]].concat()
        })
        .collect();
    let columns = ["figure", "first", "after a quarter", "last", "slope of the rest, an hour"];
    table::print("What the process has", &columns, &rows);
    let memory: Vec<_> = samples.iter().map(|sample| sample.resident as f64 / 1024.0).collect();
    println!("Resident memory in MiB, from the first sample to the last:\n");
    println!("```text\n{}```\n", trend::graph(&memory));
}

fn csv(samples: &[Sample]) -> Result<String> {
    let mut text = "seconds,resident_kib,files,threads,requests,errors\n".to_owned();
    for Sample { time, resident, files, threads, requests, errors } in samples {
        let seconds = time.as_secs_f64();
        writeln!(text, "{seconds:.1},{resident},{files},{threads},{requests},{errors}")?;
    }
    Ok(text)
}
