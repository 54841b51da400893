//! An upstream that costs next to nothing: canned bytes, by a thread of the driver.

use crate::Result;
use memchr::memmem;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How many pieces of text the streamed answer has.
pub(crate) const EVENTS: usize = 1_000;

/// The tokens that every answer took.
pub(crate) const TOKENS: u64 = 1_019;

/// The text that is streamed.
pub(crate) fn streamed_text() -> String {
    (0..EVENTS).map(word).collect()
}

/// The text of the unary answer.
pub(crate) fn unary_text() -> String {
    // Some clients take white space away at its ends.
    let text: String = (0..200).map(word).collect();
    text.trim().to_owned()
}

fn word(number: usize) -> String {
    const WORDS: [&str; 8] =
        [" the", " model", " says", " a \"word\"", "\n", " and", " goes", " on."];
    WORDS[number % WORDS.len()].to_owned()
}

/// Answers like a service of chat completions, until the process ends.
pub(crate) fn start() -> Result<SocketAddr> {
    start_with_pause(Duration::ZERO)
}

/// The same, where a streamed answer pauses after its first token.
pub(crate) fn start_with_pause(pause: Duration) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (beginning, rest) = match pause.is_zero() {
        true => (Vec::new(), streamed()),
        false => {
            let mut beginning = streamed();
            let rest = beginning.split_off(end_of_event(&beginning, 2));
            (beginning, rest)
        }
    };
    let answers = Arc::new(Answers { unary: unary(), beginning, pause, rest });
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || answers.give(connection));
        }
    });
    Ok(address)
}

/// Answers every request with a stream that says a few tokens, and is silent from then on.
///
/// It needs no thread for each connection, of which there are thousands.
pub(crate) async fn start_silent() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut beginning = streamed();
    beginning.truncate(end_of_event(&beginning, 5));
    let beginning = Arc::new(beginning);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let beginning = beginning.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while whole(&bytes).is_none() {
                    connection.read_buf(&mut bytes).await?;
                }
                connection.write_all(&beginning).await?;
                // Until the client goes away.
                connection.read_u8().await
            });
        }
    });
    Ok(address)
}

/// Where so many events of a stream end, with the chunks that they are in.
fn end_of_event(stream: &[u8], events: usize) -> usize {
    const END: &[u8] = b"\n\n\r\n";
    memmem::find_iter(stream, END).nth(events - 1).map_or(stream.len(), |at| at + END.len())
}

/// What is answered, byte for byte.
struct Answers {
    unary: Vec<u8>,
    beginning: Vec<u8>,
    pause: Duration,
    rest: Vec<u8>,
}

impl Answers {
    /// Answers the requests of one connection; whatever is wrong with one ends it, and shows at the client.
    fn give(&self, mut connection: TcpStream) -> std::io::Result<()> {
        connection.set_nodelay(true)?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            let (end, body) = loop {
                if let Some(found) = whole(&bytes) {
                    break found;
                }
                match connection.read(&mut buffer)? {
                    0 => return Ok(()),
                    read => bytes.extend_from_slice(&buffer[..read]),
                }
            };
            let body: Vec<u8> =
                bytes[end..end + body].iter().copied().filter(|byte| *byte != b' ').collect();
            let streamed = memmem::find(&body, b"\"stream\":true").is_some();
            bytes.clear();
            if !streamed {
                connection.write_all(&self.unary)?;
                continue;
            }
            if !self.pause.is_zero() {
                connection.write_all(&self.beginning)?;
                std::thread::sleep(self.pause);
            }
            connection.write_all(&self.rest)?;
        }
    }
}

/// Where the head of a request ends, and how long its body is, once both are there.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    (bytes.len() >= end + length).then_some((end, length))
}

fn streamed() -> Vec<u8> {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({
            "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk",
            "created": 1741570283, "model": "gpt-4o-2024-08-06", "service_tier": "default",
            "system_fingerprint": "fp_fc9f1d7035",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            "usage": null,
        });
        format!("data: {chunk}\n\n")
    };
    let first = json!({"role": "assistant", "content": "", "refusal": null});
    let words = (0..EVENTS).map(|number| chunk(json!({"content": word(number)}), Value::Null));
    let usage = json!({
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk",
        "created": 1741570283, "model": "gpt-4o-2024-08-06", "service_tier": "default",
        "system_fingerprint": "fp_fc9f1d7035", "choices": [], "usage": usage(),
    });
    let events = [chunk(first, Value::Null)].into_iter().chain(words).chain([
        chunk(json!({}), "stop".into()),
        format!("data: {usage}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ]);
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for event in events {
        // A service flushes each event, so each is a chunk of its own.
        bytes.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn unary() -> Vec<u8> {
    let body = json!({
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion",
        "created": 1741569952, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": unary_text(), "refusal": null, "annotations": []},
            "logprobs": null, "finish_reason": "stop"}],
        "usage": usage(), "service_tier": "default", "system_fingerprint": "fp_fc9f1d7035",
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 19, "completion_tokens": 1000, "total_tokens": TOKENS,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}
