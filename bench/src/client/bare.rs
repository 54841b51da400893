//! The floor: reqwest, with nothing around it.

use super::{MODEL, Peer, QUESTION, SYSTEM};
use crate::Result;
use serde::Deserialize;
use serde_json::json;

pub(super) struct Bare {
    http: reqwest::Client,
    url: String,
}

impl Bare {
    async fn send(&self, stream: bool) -> Result<reqwest::Response> {
        let body = json!({
            "model": MODEL,
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}],
            "stream": stream,
        });
        let request = self.http.post(&self.url).bearer_auth("key");
        let request = request.header("content-type", "application/json").body(body.to_string());
        Ok(request.send().await?.error_for_status()?)
    }
}

impl Peer for Bare {
    const ONLY_SPLITS: bool = true;

    fn new(address: &str) -> Result<Self> {
        let url = format!("http://{address}/v1/chat/completions");
        Ok(Self { http: reqwest::Client::new(), url })
    }

    async fn unary(&self) -> Result<(String, u64)> {
        let answer: Answer = serde_json::from_slice(&self.send(false).await?.bytes().await?)?;
        let choice = answer.choices.into_iter().next().ok_or("no choice")?;
        Ok((choice.message.content, answer.usage.total_tokens))
    }

    async fn streamed(&self) -> Result<(String, usize)> {
        let mut response = self.send(true).await?;
        let (mut unfinished, mut lines) = (Vec::new(), 0);
        while let Some(bytes) = response.chunk().await? {
            let mut rest = &bytes[..];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let line = &rest[..end];
                rest = &rest[end + 1..];
                if unfinished.is_empty() {
                    lines += usize::from(line.starts_with(b"data:"));
                } else {
                    unfinished.extend_from_slice(line);
                    lines += usize::from(unfinished.starts_with(b"data:"));
                    unfinished.clear();
                }
            }
            unfinished.extend_from_slice(rest);
        }
        // The first and the last chunk, the usage and the end hold no text.
        let pieces = lines.checked_sub(4).ok_or("a stream has ended early")?;
        Ok((String::new(), pieces))
    }
}

/// What is read of a unary answer: no more than a program needs.
#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: u64,
}
