//! One connection to the server that is measured.

use super::exchange::Exchange;
use crate::{Error, Result};
use bytes::BytesMut;
use memchr::memmem;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a connection may take to open, and a stream to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much of an answer that is wrong is shown, in bytes.
const SHOWN: usize = 200;

/// A connection to the server that is measured.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// What is known of an answer that was right.
pub(crate) struct Answer {
    /// The server closes the connection after it.
    pub(crate) closes: bool,
    /// When it had the bytes that it begins with.
    pub(super) begun: Option<Instant>,
}

/// In what form a body comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Without parameters.
    media_type: String,
    is_in_chunks: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = in_time("a connection", async { Ok(TcpStream::connect(address).await?) });
        let stream = stream.await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(4 << 10) })
    }

    /// Asks, and checks the answer. Whoever calls it sets a limit.
    pub(crate) async fn exchange(&mut self, exchange: &Exchange) -> Result<Answer> {
        self.stream.write_all(&exchange.request).await?;
        let head = self.head().await?;
        let mut begun = None;
        let body = match head.length {
            Some(length) => {
                while self.buffer.len() < length {
                    self.read().await?;
                }
                Body::Whole(self.buffer.split_to(length))
            }
            None => Body::InChunks(self.chunks(exchange.begins_with, &mut begun).await?),
        };
        match exchange.statuses.contains(&head.status) && (exchange.is_right)(body.bytes()) {
            true => Ok(Answer { closes: head.closes, begun }),
            false => Err(wrong(head.status, body.bytes())),
        }
    }

    /// Asks for a stream, and waits until its first bytes are there.
    pub(crate) async fn subscribe(&mut self, exchange: &Exchange) -> Result {
        in_time("a stream", async {
            self.stream.write_all(&exchange.request).await?;
            let head = self.head().await?;
            if head.status != 200 {
                return Err(wrong(head.status, &self.buffer));
            }
            while memmem::find(&self.buffer, b"data").is_none() {
                self.read().await?;
            }
            Ok(())
        })
        .await
    }

    /// Asks, and tells in what form the answer comes. The rest of it is left unread.
    pub(crate) async fn form(mut self, exchange: &Exchange) -> Result<Form> {
        in_time("an answer", async {
            self.stream.write_all(&exchange.request).await?;
            let end = self.end_of_head().await?;
            Form::parse(str::from_utf8(&self.buffer[..end])?)
        })
        .await
    }

    /// Waits until frames of a stream are whole, and returns them as they came. Whoever calls it sets a
    /// limit.
    pub(crate) async fn frames(&mut self) -> Result<BytesMut> {
        loop {
            if let Some(end) = memmem::rfind(&self.buffer, b"\n\n") {
                return Ok(self.buffer.split_to(end + 2));
            }
            self.read().await?;
        }
    }

    async fn head(&mut self) -> Result<Head> {
        let end = self.end_of_head().await?;
        Head::parse(&self.buffer.split_to(end))
    }

    async fn end_of_head(&mut self) -> Result<usize> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                return Ok(end + 4);
            }
            self.read().await?;
        }
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

/// Awaits what nobody measures.
async fn in_time<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| format!("{what} was not there after {} s", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}

fn wrong(status: u16, body: &[u8]) -> Error {
    let shown = body[..body.len().min(SHOWN)].escape_ascii();
    let length = body.len();
    format!("an answer is wrong, with status {status} and {length} bytes: {shown}").into()
}

/// The body of an answer, as it lies.
enum Body {
    Whole(BytesMut),
    InChunks(Vec<u8>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::InChunks(bytes) => bytes,
        }
    }
}

impl Form {
    fn parse(head: &str) -> Result<Self> {
        let value = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find(|line| line.0.eq_ignore_ascii_case(name)).map(|line| line.1.trim())
        };
        let media_type = value("content-type").ok_or("an answer has no content-type")?;
        let media_type = media_type.split(';').next().unwrap_or_default().to_ascii_lowercase();
        let is_in_chunks = value("transfer-encoding").is_some();
        if is_in_chunks == value("content-length").is_some() {
            return Err("an answer does not tell its length in one way".into());
        }
        Ok(Self { media_type, is_in_chunks })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let framing = if self.is_in_chunks { "in chunks" } else { "whole" };
        write!(f, "{} {framing}", self.media_type)
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
