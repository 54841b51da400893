//! The classic text protocol, which every server of this kind understands: `protocol.txt` of
//! memcached 1.4 and later.

use bytes::Bytes;
use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// The longest line that an answer may have without its data.
const MAX_LINE: u64 = 2048;

/// The longest value that is read: the most that a server can be told to keep (`-I`).
const MAX_VALUE: usize = 1 << 30;

/// One connection, between two commands.
#[derive(Debug)]
pub(super) struct Wire(BufStream<TcpStream>);

/// A value, and the number by which the server tells whether it has changed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) value: Bytes,
    pub(super) unique: u64,
}

/// How a value is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// In any case.
    Set,
    /// If there is none.
    Add,
    /// If the one there is has this number.
    Cas(u64),
}

/// What became of a value that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Yes,
    No,
    /// It is larger than the server keeps.
    TooLarge,
}

impl Wire {
    pub(super) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        Ok(Self(BufStream::new(socket)))
    }

    /// Tells whether the server has neither closed it nor said something that nobody has asked for, as
    /// far as is known here.
    pub(super) fn is_quiet(&self) -> bool {
        let read = self.0.get_ref().try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) async fn gets(&mut self, key: &str) -> io::Result<Option<Found>> {
        self.command(&format!("gets {key}\r\n")).await?;
        let head = self.line().await?;
        if head == "END" {
            return Ok(None);
        }
        let mut words = head.split(' ');
        let is_value = words.next() == Some("VALUE") && words.next() == Some(key);
        let (_flags, length, unique) = (words.next(), number(words.next()), number(words.next()));
        let (true, Some(length), Some(unique)) = (is_value, length, unique) else {
            return Err(unexpected(&head));
        };
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_VALUE);
        let length = length.ok_or_else(|| unexpected(&head))?;
        let mut value = vec![0; length];
        self.0.read_exact(&mut value).await?;
        // The value's own end of line, and the end of all values.
        for expected in ["", "END"] {
            let line = self.line().await?;
            if line != expected {
                return Err(unexpected(&line));
            }
        }
        Ok(Some(Found { value: value.into(), unique }))
    }

    pub(super) async fn store(
        &mut self,
        mode: Mode,
        key: &str,
        value: &[u8],
        expires: u64,
    ) -> io::Result<Stored> {
        let length = value.len();
        let head = match mode {
            Mode::Set => format!("set {key} 0 {expires} {length}\r\n"),
            Mode::Add => format!("add {key} 0 {expires} {length}\r\n"),
            Mode::Cas(unique) => format!("cas {key} 0 {expires} {length} {unique}\r\n"),
        };
        self.0.write_all(head.as_bytes()).await?;
        self.0.write_all(value).await?;
        self.command("\r\n").await?;
        match self.line().await?.as_str() {
            "STORED" => Ok(Stored::Yes),
            "NOT_STORED" | "EXISTS" | "NOT_FOUND" => Ok(Stored::No),
            "SERVER_ERROR object too large for cache" => Ok(Stored::TooLarge),
            line => Err(unexpected(line)),
        }
    }

    pub(super) async fn delete(&mut self, key: &str) -> io::Result<bool> {
        self.command(&format!("delete {key}\r\n")).await?;
        match self.line().await?.as_str() {
            "DELETED" => Ok(true),
            "NOT_FOUND" => Ok(false),
            line => Err(unexpected(line)),
        }
    }

    pub(super) async fn version(&mut self) -> io::Result<String> {
        self.command("version\r\n").await?;
        let line = self.line().await?;
        line.strip_prefix("VERSION ").map(str::to_owned).ok_or_else(|| unexpected(&line))
    }

    async fn command(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes()).await?;
        self.0.flush().await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.0).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(unexpected("a line without an end")),
        }
    }
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}

fn unexpected(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("Memcached answered `{line}`"))
}
