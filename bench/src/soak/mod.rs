//! One server under mixed load for a long time: whether its memory, files and threads grow.

mod mix;
mod server;
mod tally;
mod sample;
mod trend;
mod report;

pub(crate) use server::serve;

use crate::load::Connection;
use crate::process::Measured;
use crate::stub::Manner;
use crate::{Error, Options, Result};
use mix::{Kind, Mix};
use sample::{Csv, Sample};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::task::JoinSet;

/// How many clients there are, and how long each rests between two requests.
const CLIENTS: usize = 32;
const REST: Duration = Duration::from_millis(10);

/// After how long a request that is not answered counts as an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the process is looked at, unless the run is so short that this gives too few samples.
const EVERY: Duration = Duration::from_secs(5);

/// Loads, prints what was seen, and fails if an answer was wrong or the server has ended before its time.
pub(crate) async fn measure(options: &Options) -> Result {
    let duration = Duration::from_secs_f64(options.minutes * 60.0);
    // Before the load, as nobody wants to learn after an hour that it cannot be written.
    let mut csv = options.out.as_deref().map(Csv::create).transpose()?;
    let upstream = Manner { events: 40, pause: Duration::from_millis(10), calls: Some("now") };
    let upstream = upstream.start()?.to_string();
    let mut server = Measured::start_quietly(&["soak", &upstream])?;
    let address = server.address()?;
    let tally = Tally::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(address, number, tally.clone(), is_over.clone()));
    }
    let mut samples = Vec::new();
    let watched = watch(&mut server, duration, &tally, &mut samples, &mut csv).await;
    is_over.store(true, Relaxed);
    while let Some(first_error) = clients.join_next().await {
        if let Some(error) = first_error? {
            println!("an error: {error}\n");
        }
    }
    if !samples.is_empty() {
        report::print(&samples, &tally);
    }
    if let Some(file) = &options.out {
        println!("{} samples are in {}\n", samples.len(), file.display());
    }
    watched?;
    match tally.errors() {
        0 => Ok(()),
        errors => Err(format!("{errors} of {} requests failed", tally.requests()).into()),
    }
}

/// Takes samples until the time is over, or the server has ended.
async fn watch(
    server: &mut Measured,
    duration: Duration,
    tally: &Tally,
    samples: &mut Vec<Sample>,
    csv: &mut Option<Csv>,
) -> Result {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(EVERY.min(duration / 100));
    while started.elapsed() < duration {
        ticks.tick().await;
        let sample = Sample::of(server, started.elapsed(), tally);
        // What is left of a process that has ended, until it is looked after, has no memory to tell.
        if server.has_ended()? {
            let time = started.elapsed().as_secs_f64();
            return Err(Error::from(format!("the server has ended after {time:.0} s")));
        }
        let sample = sample?;
        if let Some(csv) = csv {
            csv.append(&sample)?;
        }
        samples.push(sample);
    }
    Ok(())
}

/// One after another, in an order that is the same for all clients but begins elsewhere. Returns
/// the first error.
async fn client(
    address: SocketAddr,
    number: usize,
    tally: Tally,
    is_over: Arc<AtomicBool>,
) -> Option<String> {
    let mut mix = Mix::new(number);
    let (mut connection, mut first_error) = (None, None);
    let mut turn = number;
    while !is_over.load(Relaxed) {
        let at = turn % Kind::ALL.len();
        turn += 1;
        let request = mix.send(Kind::ALL[at], address, &mut connection);
        let outcome = tokio::time::timeout(PATIENCE, request).await;
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".into()));
        tally.count(at, outcome.is_ok());
        if let Err(error) = outcome {
            first_error.get_or_insert_with(|| format!("{}: {error}", Kind::ALL[at].name()));
            // Whatever is left of the answer belongs to no other request.
            connection = None::<Connection>;
        }
        tokio::time::sleep(REST).await;
    }
    first_error
}
