//! Drives a server over HTTP/1.1: one request at a time on each connection, every answer checked.

use crate::{Error, Result};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A request, and what tells whether its answer is right.
#[derive(Clone)]
pub(crate) struct Exchange {
    request: Bytes,
    is_right: Arc<dyn Fn(&[u8]) -> bool + Send + Sync>,
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
        Self { request: request.into(), is_right: Arc::new(is_right) }
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
        Self { request: request.into(), is_right: Arc::new(is_right) }
    }
}

/// How a load went.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    /// How long each answer took, in order of that.
    latencies: Vec<Duration>,
}

impl Outcome {
    /// The time within which so much of a hundred answers came.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Sends so many requests over so many connections.
pub(crate) async fn run(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    requests: usize,
) -> Result<Outcome> {
    let left = Arc::new(AtomicUsize::new(requests));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (left, exchange) = (left.clone(), exchange.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                let started = Instant::now();
                let closes = connection.exchange(&exchange).await?;
                latencies.push(started.elapsed());
                if closes {
                    connection = Connection::open(address).await?;
                }
            }
            Ok::<_, Error>(latencies)
        });
    }
    let mut latencies = Vec::with_capacity(requests);
    while let Some(outcome) = tasks.join_next().await {
        latencies.extend(outcome??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Ok(Outcome { elapsed, latencies })
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

    /// Asks, checks the answer, and tells whether the server closes the connection after it.
    pub(crate) async fn exchange(&mut self, exchange: &Exchange) -> Result<bool> {
        self.stream.write_all(&exchange.request).await?;
        let head = self.head().await?;
        let right = match head.length {
            Some(length) => {
                while self.buffer.len() < length {
                    self.read().await?;
                }
                let body = self.buffer.split_to(length);
                (exchange.is_right)(&body)
            }
            None => (exchange.is_right)(&self.chunks().await?),
        };
        match head.status == 200 && right {
            true => Ok(head.closes),
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

    async fn head(&mut self) -> Result<Head> {
        let end = loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        Head::parse(&self.buffer.split_to(end))
    }

    /// Reads a body in chunks (RFC 9112 §7.1).
    async fn chunks(&mut self) -> Result<Vec<u8>> {
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
