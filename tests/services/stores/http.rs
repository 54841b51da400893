//! Requests over connections of their own, and what came of them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long a service may be silent before a test says that it hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// An answer, as far as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The header section, in lower case.
    head: String,
    pub body: String,
    /// Whether it has come to its proper end.
    pub is_whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let of =
            |line: &'_ str| line.split_once(": ").filter(|(found, _)| *found == name).is_some();
        let line = self.head.lines().find(|line| of(line))?;
        Some(line.split_once(": ")?.1)
    }

    /// Whether the whole of what was asked for came, and nothing went wrong in the middle.
    pub fn is_good(&self) -> bool {
        self.status == 200 && self.is_whole && !self.body.contains("event: error")
    }

    /// The text of a stream of tokens.
    pub fn streamed(&self) -> String {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").collect()
    }
}

/// Asks for something.
pub fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    read(open(address, "GET", path, headers, "")?)
}

/// Says something.
pub fn post(address: &str, path: &str, headers: &[(&str, &str)], text: &str) -> io::Result<Answer> {
    read(open(address, "POST", path, headers, text)?)
}

/// Sends a request whose answer is read elsewhere.
pub fn open(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address.trim_start_matches("http://"))?;
    socket.set_read_timeout(Some(SILENCE))?;
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         {headers}content-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes())?;
    Ok(socket)
}

/// Reads to the end, which may be an early one; an error if there is not even a head.
fn read(mut socket: TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    if let Err(error) = socket.read_to_end(&mut bytes) {
        let is_silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_silent, "no answer for {SILENCE:?}: {}", String::from_utf8_lossy(&bytes));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(ErrorKind::InvalidData)?;
    let (body, is_whole) = match head.contains("transfer-encoding: chunked") {
        true => unchunked(body),
        false => {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|length| length.parse().ok());
            (body.to_owned(), length.is_none_or(|length: usize| body.len() == length))
        }
    };
    Ok(Answer { status, head, body, is_whole })
}

/// The chunks of RFC 9112, 7.1, and whether the last one is there.
fn unchunked(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = after.get(..size) else { break };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}
