//! Servers: ten thousand open event streams on one worker, and one frame a second to all of them.
//!
//! A frame says which it is and when it was due, by the clock of the machine; how late it is read is
//! its lag. A server that is behind skips frames, which are counted as missed: what is due is known, as
//! frames are due each second. The reader is one thread on another core, and what it takes itself for
//! ten thousand frames is part of every lag: bare hyper is the floor.

use crate::load::{Connection, Exchange};
use crate::process::Measured;
use crate::servers::{self, PEERS};
use crate::table::{self, middle, percentile, ratio};
use crate::{Error, Options, Result, whose};
use memchr::memmem;
use nix::sys::resource::{Resource, getrlimit};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many streams are opened, unless the system allows fewer files.
const STREAMS: u64 = 10_000;

/// For how long frames are due, times the scale.
const LOAD: Duration = Duration::from_secs(10);

/// How far apart frames are due.
const APART: Duration = Duration::from_secs(1);

/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(5);

const TITLE: &str = "A frame each second";

pub(crate) async fn measure(options: &Options) -> Result {
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let streams = STREAMS.min(files.saturating_sub(100));
    let load = LOAD * options.scale as u32;
    let exchange = Exchange::get("/events/ticks", |_| true);
    servers::compare(&[(TITLE, &exchange)]).await?;
    let mut figures: Vec<Vec<Figures>> = PEERS.iter().map(|_| Vec::new()).collect();
    for number in 1..=options.rounds {
        for (peer, figures) in PEERS.iter().zip(&mut figures) {
            let seen = round(peer, &exchange, streams, load).await;
            figures.push(seen.map_err(whose(peer, TITLE, number))?);
        }
    }
    let title = format!(
        "{TITLE} to each of {streams} open streams, for {} s ({} rounds)",
        load.as_secs(),
        options.rounds
    );
    print(&title, &figures);
    Ok(())
}

/// What one round has shown of a server.
struct Figures {
    /// CPU time in µs for each frame.
    cpu: f64,
    /// The lag in ms at the median, at the 99th of 100, and at most.
    lags: [f64; 3],
    /// The part of the frames that were due which were read before the next was, and which were never
    /// read.
    in_time: f64,
    missed: f64,
}

fn print(title: &str, figures: &[Vec<Figures>]) {
    let floor = middle(&figures[0], |figures| figures.cpu);
    let row = |(peer, rounds): (&&str, &Vec<Figures>)| {
        let cpu = middle(rounds, |figures| figures.cpu);
        let mut row = vec![(*peer).to_owned(), format!("{cpu:.2}"), ratio(cpu, floor)];
        row.extend((0..3).map(|at| format!("{:.1}", middle(rounds, |figures| figures.lags[at]))));
        row.push(format!("{:.2}", middle(rounds, |figures| figures.in_time * 100.0)));
        row.push(format!("{:.2}", middle(rounds, |figures| figures.missed * 100.0)));
        row
    };
    let rows: Vec<_> = PEERS.iter().zip(figures).map(row).collect();
    let columns = [
        "server",
        "CPU µs each frame",
        "ratio",
        "p50 ms",
        "p99 ms",
        "latest ms",
        "in time %",
        "missed %",
    ];
    table::print(title, &columns, &rows);
}

async fn round(peer: &str, exchange: &Exchange, streams: u64, load: Duration) -> Result<Figures> {
    let mut server = Measured::start(&["server", peer])?;
    let address = server.address()?;
    let mut open = Vec::new();
    for _ in 0..streams {
        let mut connection = Connection::open(address).await?;
        connection.subscribe(exchange).await?;
        open.push(connection);
    }
    let before = server.ask("used")?;
    let window = Window::beginning_now(load)?;
    let mut readers = JoinSet::new();
    for connection in open {
        readers.spawn(read(connection, window));
    }
    let (mut lags, mut ends, mut due) = (Vec::new(), 0, None);
    while let Some(read) = readers.join_next().await {
        let read = read??;
        lags.extend(read.lags);
        ends += 1;
        due = due.or(Some(window.due(read.last)));
    }
    let cpu = server.ask("used")?.cpu - before.cpu;
    lags.sort_unstable();
    let expected = due.unwrap_or(0) * streams as usize;
    if lags.is_empty() || lags.len() > expected {
        return Err(format!("{} frames were read, and {expected} were due", lags.len()).into());
    }
    let millis = |lag: Option<Duration>| lag.map_or(f64::NAN, |lag| lag.as_secs_f64() * 1e3);
    let of_expected = |frames: usize| frames as f64 / expected as f64;
    Ok(Figures {
        // The frame by which each reader has seen the end was sent as well.
        cpu: cpu.as_secs_f64() * 1e6 / (lags.len() + ends) as f64,
        lags: [percentile(&lags, 50), percentile(&lags, 99), lags.last().copied()].map(millis),
        in_time: of_expected(lags.iter().filter(|lag| **lag < APART).count()),
        missed: of_expected(expected - lags.len()),
    })
}

/// The time in which frames that are due count, since 1970.
#[derive(Clone, Copy)]
struct Window {
    from: Duration,
    until: Duration,
}

impl Window {
    fn beginning_now(load: Duration) -> Result<Self> {
        let from = since_1970()?;
        Ok(Self { from, until: from + load })
    }

    /// How many frames were due within it, by the first that was due after it.
    fn due(self, mut last: Duration) -> usize {
        let mut count = 0;
        while last >= self.from {
            count += usize::from(last < self.until);
            last = last.saturating_sub(APART);
        }
        count
    }
}

/// What was read of one stream.
struct Read {
    /// Of the frames that were due in the window.
    lags: Vec<Duration>,
    /// When the first frame was due that was read after it, since 1970.
    last: Duration,
}

async fn read(mut connection: Connection, window: Window) -> Result<Read> {
    let (mut lags, mut newest) = (Vec::new(), 0);
    loop {
        let silent = |_| Error::from(format!("a stream was silent for {} s", SILENCE.as_secs()));
        let frames = timeout(SILENCE, connection.frames()).await.map_err(silent)??;
        let now = since_1970()?;
        for tick in Tick::all(&frames) {
            // Frames that came while others were opened are no business of the reader's.
            if tick.due < window.from {
                continue;
            }
            if tick.number <= newest {
                return Err("a frame came twice".into());
            }
            newest = tick.number;
            if tick.due >= window.until {
                return Ok(Read { lags, last: tick.due });
            }
            lags.push(now.saturating_sub(tick.due));
        }
    }
}

/// A frame: which it is, and when it was due, since 1970.
struct Tick {
    number: u64,
    due: Duration,
}

impl Tick {
    fn all(frames: &[u8]) -> impl Iterator<Item = Self> {
        const BEGIN: &[u8] = b"due ";
        memmem::find_iter(frames, BEGIN).filter_map(|at| {
            let line = frames[at + BEGIN.len()..].split(|byte| byte.is_ascii_control()).next()?;
            let (number, due) = str::from_utf8(line).ok()?.split_once(' ')?;
            let due = Duration::from_micros(due.parse().ok()?);
            Some(Self { number: number.parse().ok()?, due })
        })
    }
}

fn since_1970() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?)
}
