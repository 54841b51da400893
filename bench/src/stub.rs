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
    Manner::default().start()
}

/// How the service answers.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// How many pieces of text a streamed answer has.
    pub(crate) events: usize,
    /// How long it pauses after the first of them.
    pub(crate) pause: Duration,
    /// The tool that it calls before it answers, where a request has tools: without arguments.
    pub(crate) calls: Option<&'static str>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { events: EVENTS, pause: Duration::ZERO, calls: None }
    }
}

impl Manner {
    /// Answers like this, until the process ends.
    pub(crate) fn start(self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let answers = Arc::new(Answers::new(self));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let answers = answers.clone();
                std::thread::spawn(move || answers.give(connection));
            }
        });
        Ok(address)
    }
}

/// Answers every request with a stream that says a few tokens, and is silent from then on.
///
/// It needs no thread for each connection, of which there are thousands.
pub(crate) async fn start_silent() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut beginning = streamed(EVENTS);
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
    /// A streamed answer that calls a tool.
    call: Option<Vec<u8>>,
}

impl Answers {
    fn new(Manner { events, pause, calls }: Manner) -> Self {
        let mut beginning = streamed(events);
        let end = if pause.is_zero() { 0 } else { end_of_event(&beginning, 2) };
        let rest = beginning.split_off(end);
        Self { unary: unary(), beginning, pause, rest, call: calls.map(call) }
    }

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
            if let Some(call) = &self.call
                && memmem::find(&body, b"\"tools\":[").is_some()
                && memmem::find(&body, b"\"role\":\"tool\"").is_none()
            {
                connection.write_all(call)?;
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

fn streamed(events: usize) -> Vec<u8> {
    let first = chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    let words = (0..events).map(|number| chunk(json!({"content": word(number)}), Value::Null));
    in_chunks([first].into_iter().chain(words).chain(end("stop")))
}

/// A streamed answer that calls a tool, without arguments.
fn call(name: &str) -> Vec<u8> {
    let function = json!({"name": name, "arguments": "{}"});
    let call = json!({"index": 0, "id": "call_DdmO9pD3xa9XTPNJ32zg2hcA", "type": "function", "function": function});
    let delta = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    in_chunks([chunk(delta, Value::Null)].into_iter().chain(end("tool_calls")))
}

fn chunk(delta: Value, finish: Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk",
        "created": 1741570283, "model": "gpt-4o-2024-08-06", "service_tier": "default",
        "system_fingerprint": "fp_fc9f1d7035",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        "usage": null,
    });
    format!("data: {chunk}\n\n")
}

fn end(reason: &str) -> [String; 3] {
    let usage = json!({
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk",
        "created": 1741570283, "model": "gpt-4o-2024-08-06", "service_tier": "default",
        "system_fingerprint": "fp_fc9f1d7035", "choices": [], "usage": usage(),
    });
    [chunk(json!({}), reason.into()), format!("data: {usage}\n\n"), "data: [DONE]\n\n".to_owned()]
}

fn in_chunks(events: impl Iterator<Item = String>) -> Vec<u8> {
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
