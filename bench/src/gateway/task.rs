//! What gateways are asked, and whether an answer is right.

use super::{KEY, MODEL};
use crate::load::{Exchange, IsRight};
use crate::stub;
use memchr::memmem;
use serde_json::{Value, json};

/// What is asked, and how often in a second below saturation.
pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) rate: f64,
    pub(super) exchange: Exchange,
    /// How many calls are taken to count instructions: few, and many.
    pub(super) counted: [usize; 2],
}

pub(super) fn tasks() -> [Task; 2] {
    let (unary, streamed) = (stub::unary_text(), in_json(&stub::streamed_text()));
    let post = |stream, is_right: Box<IsRight>| {
        Exchange::post("/v1/chat/completions", &body(stream), is_right).bearer(KEY)
    };
    [
        Task {
            name: "unary calls",
            rate: 500.0,
            exchange: post(false, Box::new(move |body| is_answer(body, &unary))),
            counted: [20, 120],
        },
        Task {
            name: "streamed answers of 1,000 events",
            rate: 40.0,
            exchange: post(true, Box::new(move |body| text_of(body).as_deref() == Some(&streamed)))
                .begins_with(b"the\""),
            counted: [3, 13],
        },
    ]
}

fn body(stream: bool) -> String {
    let system = json!({"role": "system", "content": "You are a helpful assistant."});
    let user = json!({"role": "user", "content": "What does the model say? Answer at length."});
    json!({"model": MODEL, "messages": [system, user], "stream": stream}).to_string()
}

/// Asks for a stream, whether by the interface of OpenAI or by a route that takes any text.
pub(crate) fn open_stream(path: &str) -> Exchange {
    Exchange::post(path, &body(true), |_| true).bearer(KEY)
}

/// A text as JSON writes it between its quotes.
fn in_json(text: &str) -> String {
    Value::from(text).to_string().trim_matches('"').to_owned()
}

fn is_answer(body: &[u8], text: &str) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    body["choices"][0]["message"]["content"] == text
        && body["usage"]["total_tokens"] == stub::TOKENS
}

/// The text of a stream that is whole, with its escapes. It parses no JSON, as that would keep the
/// driver busier than what it measures.
fn text_of(body: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut data =
        str::from_utf8(body).ok()?.lines().filter_map(|line| line.strip_prefix("data: "));
    loop {
        let event = data.next()?;
        if event == "[DONE]" {
            return data.next().is_none().then_some(text);
        }
        const NAME: &str = "\"content\":";
        let Some(at) = memmem::find(event.as_bytes(), NAME.as_bytes()) else { continue };
        let Some(content) = event[at + NAME.len()..].trim_start().strip_prefix('"') else {
            continue;
        };
        let mut escaped = false;
        let end = content.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        text.push_str(&content[..end?]);
    }
}
