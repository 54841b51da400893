//! Drives a server over HTTP/1.1: one request at a time on each connection, every answer checked.

use crate::{Error, Result};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Tells whether the body of an answer is right.
pub(crate) type IsRight = dyn Fn(&[u8]) -> bool + Send + Sync;

/// A request, and what tells whether its answer is right.
#[derive(Clone)]
pub(crate) struct Exchange {
    request: Bytes,
    is_right: Arc<IsRight>,
    statuses: &'static [u16],
    /// What an answer in chunks has once it says something.
    begins_with: Option<&'static [u8]>,
}

impl Exchange {
    /// A GET request.
    pub(crate) fn get(
        path: &str,
        is_right: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: bench\r\n\r\n"
        );
        Self::of(request, is_right)
    }

    /// A POST request of JSON.
    pub(crate) fn post(
        path: &str,
        body: &str,
        is_right: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self::of(request, is_right)
    }

    fn of(request: String, is_right: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let (request, is_right) = (request.into(), Arc::new(is_right));
        Self { request, is_right, statuses: &[200], begins_with: None }
    }

    /// Takes answers with these statuses, instead of 200 alone.
    pub(crate) fn statuses(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    /// Sends a key (RFC 6750 §2.1).
    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sends a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let head = format!("\r\n{name}: {value}\r\n");
        let end = memmem::find(&self.request, b"\r\n").unwrap_or(0);
        let (first, rest) = (&self.request[..end], &self.request[end + 2..]);
        self.request = [first, head.as_bytes(), rest].concat().into();
        self
    }

    /// Tells whether the time until an answer says something is taken.
    pub(crate) fn has_beginning(&self) -> bool {
        self.begins_with.is_some()
    }

    /// Takes the time until an answer in chunks has these bytes.
    pub(crate) fn begins_with(mut self, bytes: &'static [u8]) -> Self {
        self.begins_with = Some(bytes);
        self
    }
}

/// How a load went.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    /// How long each answer took, in order of that.
    latencies: Vec<Duration>,
    /// How long each answer took to begin, in order of that, where that was asked for.
    beginnings: Vec<Duration>,
}

impl Outcome {
    /// How many answers there were.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// The time within which so much of a hundred answers came.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }

    /// The time within which so much of a hundred answers began.
    pub(crate) fn percentile_of_beginning(&self, percent: usize) -> Duration {
        percentile(&self.beginnings, percent)
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// When the requests of one connection begin.
#[derive(Clone)]
enum Schedule {
    /// Each as soon as the one before is answered, as long as there is one left for it.
    Left(Arc<AtomicUsize>),
    /// Each as soon as the one before is answered, until then.
    Until(Instant),
    /// At fixed times, whether or not the answers keep up.
    Paced { due: Instant, every: Duration, until: Instant },
}

impl Schedule {
    /// Waits for the time of the next request, and tells what it is; `None` after the last one.
    async fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Left(left) => left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
                .then(Instant::now),
            Self::Until(until) => Some(Instant::now()).filter(|now| now < until),
            Self::Paced { due, every, until } => {
                let time = *due;
                *due += *every;
                if time >= *until {
                    return None;
                }
                if time <= Instant::now() {
                    // It is late by the fault of the answer before, so that its wait counts.
                    return Some(time);
                }
                // A timer is late by up to a millisecond, which is no fault of the server.
                tokio::time::sleep_until(time.into()).await;
                Some(Instant::now())
            }
        }
    }
}

/// Sends so many requests over so many connections.
pub(crate) async fn run(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    requests: usize,
) -> Result<Outcome> {
    let left = Schedule::Left(Arc::new(AtomicUsize::new(requests)));
    drive(address, exchange, connections, |_, _| left.clone()).await
}

/// Sends as many requests as are answered over so many connections, for so long.
pub(crate) async fn saturate(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    duration: Duration,
) -> Result<Outcome> {
    drive(address, exchange, connections, |_, start| Schedule::Until(start + duration)).await
}

/// Sends so many requests a second over so many connections, for so long.
pub(crate) async fn pace(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    rate: f64,
    duration: Duration,
) -> Result<Outcome> {
    let apart = Duration::from_secs_f64(1.0 / rate);
    drive(address, exchange, connections, |number, start| Schedule::Paced {
        due: start + apart * number as u32,
        every: apart * connections as u32,
        until: start + duration,
    })
    .await
}

/// Opens connections, and sends over each what its schedule says.
async fn drive(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    schedule: impl Fn(usize, Instant) -> Schedule,
) -> Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, mut connection) in open.into_iter().enumerate() {
        let (mut schedule, exchange) = (schedule(number, started), exchange.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            while let Some(started) = schedule.next().await {
                let answer = connection.exchange(&exchange).await?;
                let begun = answer.begun.map(|begun| begun - started);
                times.push((started.elapsed(), begun));
                if answer.closes {
                    connection = Connection::open(address).await?;
                }
            }
            Ok::<_, Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        times.extend(outcome??);
    }
    let elapsed = started.elapsed();
    let mut latencies: Vec<_> = times.iter().map(|(latency, _)| *latency).collect();
    let mut beginnings: Vec<_> = times.iter().filter_map(|(_, begun)| *begun).collect();
    latencies.sort_unstable();
    beginnings.sort_unstable();
    Ok(Outcome { elapsed, latencies, beginnings })
}

/// What is known of an answer that was right.
pub(crate) struct Answer {
    /// The server closes the connection after it.
    pub(crate) closes: bool,
    /// When it had the bytes that it begins with.
    begun: Option<Instant>,
}

/// A connection to the server that is measured.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(4 << 10) })
    }

    /// Asks, and checks the answer.
    pub(crate) async fn exchange(&mut self, exchange: &Exchange) -> Result<Answer> {
        self.stream.write_all(&exchange.request).await?;
        let head = self.head().await?;
        let mut begun = None;
        let right = match head.length {
            Some(length) => {
                while self.buffer.len() < length {
                    self.read().await?;
                }
                let body = self.buffer.split_to(length);
                (exchange.is_right)(&body)
            }
            None => (exchange.is_right)(&self.chunks(exchange.begins_with, &mut begun).await?),
        };
        match exchange.statuses.contains(&head.status) && right {
            true => Ok(Answer { closes: head.closes, begun }),
            false => Err(format!("an answer is wrong, with status {}", head.status).into()),
        }
    }

    /// Asks for a stream, and waits until its first bytes are there.
    pub(crate) async fn subscribe(&mut self, exchange: &Exchange) -> Result {
        self.stream.write_all(&exchange.request).await?;
        let head = self.head().await?;
        while memmem::find(&self.buffer, b"data").is_none() {
            self.read().await?;
        }
        if head.status == 200 { Ok(()) } else { Err("no stream was opened".into()) }
    }

    /// Waits for frames of a stream that say when they were due, in µs since 1970, and tells how
    /// late each is.
    pub(crate) async fn lags(&mut self) -> Result<Vec<Duration>> {
        loop {
            let end = memmem::rfind(&self.buffer, b"\n\n").map_or(0, |end| end + 2);
            let frames = self.buffer.split_to(end);
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            let lag = |at: usize| {
                let digits = frames[at + b"due ".len()..].split(|byte| !byte.is_ascii_digit());
                let due = str::from_utf8(digits.into_iter().next().unwrap_or_default()).ok()?;
                Some(now.saturating_sub(Duration::from_micros(due.parse().ok()?)))
            };
            let lags: Vec<_> = memmem::find_iter(&frames, b"due ").filter_map(lag).collect();
            if !lags.is_empty() {
                return Ok(lags);
            }
            self.read().await?;
        }
    }

    async fn head(&mut self) -> Result<Head> {
        let end = loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        Head::parse(&self.buffer.split_to(end))
    }

    /// Reads a body in chunks (RFC 9112 §7.1), and takes the time when it has the bytes.
    async fn chunks(
        &mut self,
        begins_with: Option<&[u8]>,
        begun: &mut Option<Instant>,
    ) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = memmem::find(&self.buffer, b"\r\n") {
                    break end;
                }
                self.read().await?;
            };
            let size = usize::from_str_radix(str::from_utf8(&self.buffer[..end])?, 16)?;
            while self.buffer.len() < end + 2 + size + 2 {
                self.read().await?;
            }
            let chunk = self.buffer.split_to(end + 2 + size + 2);
            body.extend_from_slice(&chunk[end + 2..end + 2 + size]);
            if let (Some(bytes), None) = (begins_with, &begun) {
                *begun = memmem::find(&body, bytes).map(|_| Instant::now());
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn read(&mut self) -> Result {
        self.buffer.reserve(16 << 10);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server has closed a connection".into()),
            _ => Ok(()),
        }
    }
}

/// What the head of an answer says.
struct Head {
    status: u16,
    /// `None` where the body comes in chunks.
    length: Option<usize>,
    closes: bool,
}

impl Head {
    fn parse(head: &[u8]) -> Result<Self> {
        let mut lines = str::from_utf8(head)?.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let mut parsed =
            Self { status: status.ok_or("an answer has no status")?, length: None, closes: false };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                parsed.length = Some(value.trim().parse()?);
            }
            parsed.closes |= name.eq_ignore_ascii_case("connection")
                && value.trim().eq_ignore_ascii_case("close");
        }
        Ok(parsed)
    }
}
