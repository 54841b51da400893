//! Exchanges with providers, replayed by a server on a real socket.
//!
//! Those under `tests/fixtures` are written by hand after what the providers document. Where the
//! folder of recorded ones lies beside the project, all of these are replayed as well.

use ember::llm::{ChatResponse, Client, Error, HttpProvider, ProviderConfig};
use ember_tests::{Reply, Upstream, fixtures, shared};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::sync::{Arc, Mutex};

#[derive(Clone, Deserialize)]
struct Recording {
    id: String,
    provider: String,
    stream: bool,
    response: Recorded,
    expected: Expected,
}

#[derive(Clone, Deserialize)]
struct Recorded {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Clone, Deserialize)]
struct Expected {
    text: String,
    reasoning: String,
    refusal: Option<String>,
    tool_calls: Vec<ExpectedCall>,
    finish_reason: Option<String>,
    usage: Option<ExpectedUsage>,
    model: Option<String>,
    id: Option<String>,
    error: Option<ExpectedError>,
}

#[derive(Clone, Deserialize)]
struct ExpectedCall {
    id: String,
    name: String,
    arguments: Option<Value>,
    arguments_raw: Option<String>,
}

#[derive(Clone, Deserialize)]
struct ExpectedUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_input_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Clone, Deserialize)]
struct ExpectedError {
    message: Option<String>,
    code: Option<Value>,
    r#type: Option<String>,
}

/// The exchanges of the project, and those that lie beside it.
fn recordings(format: &str, wanted: impl Fn(&str) -> bool) -> Vec<Recording> {
    let folders = [Some(fixtures(format)), shared(&format!("recordings/{format}"))];
    let files = folders.into_iter().flatten().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let recordings = files.map(|bytes| serde_json::from_slice::<Recording>(&bytes).unwrap());
    let mut recordings: Vec<_> =
        recordings.filter(|recording| wanted(&recording.provider)).collect();
    recordings.sort_by(|a, b| a.id.cmp(&b.id));
    recordings
}

/// How many exchanges there must be: so many of our own, and so many beside the project.
fn at_least(own: usize, beside: usize) -> usize {
    own + shared("recordings").map_or(0, |_| beside)
}

/// The answer to a recording, cut into pieces of so many bytes.
fn reply(recording: &Recording, piece: usize) -> Reply {
    let mut reply = Reply::status(recording.response.status);
    for (name, value) in &recording.response.headers {
        reply = reply.header(name, value);
    }
    recording.response.body.as_bytes().chunks(piece).fold(reply, |reply, piece| reply.send(piece))
}

/// What differs between an outcome and what a client must read in the recording.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.0.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    fn of(outcome: &Result<ChatResponse, Error>, expected: &Expected) -> Vec<String> {
        let mut differences = Self::default();
        match (outcome, &expected.error) {
            (Ok(response), None) => differences.response(response, expected),
            (Err(error), Some(expected)) => differences.error(error, expected),
            (Ok(_), Some(_)) => differences.0.push("an answer instead of an error".to_owned()),
            (Err(error), None) => differences.0.push(format!("{error:?} instead of an answer")),
        }
        differences.0
    }

    fn error(&mut self, error: &Error, expected: &ExpectedError) {
        let code = expected.code.as_ref().and_then(|code| match code {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        });
        self.check("message", error.message(), expected.message.as_deref().unwrap_or_default());
        self.check("code", error.code(), code.as_deref().or(expected.r#type.as_deref()));
    }

    fn response(&mut self, response: &ChatResponse, expected: &Expected) {
        let message = &response.message;
        self.check("text", &*response.text(), &expected.text);
        // The reader of the recordings does not look into Mistral's thinking parts.
        if !expected.reasoning.is_empty() {
            self.check("reasoning", &*message.reasoning(), &expected.reasoning);
        }
        self.check("refusal", message.refusal().as_deref(), expected.refusal.as_deref());
        self.check("finish", &response.finish.raw, &expected.finish_reason);
        self.check("model", &response.model, &expected.model);
        self.check("id", &response.id, &expected.id);
        self.check("number of calls", message.tool_calls().count(), expected.tool_calls.len());
        for (call, expected) in message.tool_calls().zip(&expected.tool_calls) {
            self.check("call", (&call.id, &call.name), (&expected.id, &expected.name));
            let arguments = call.parse().ok().filter(Value::is_object);
            self.check("arguments", &arguments, &expected.arguments);
            if let Some(raw) = &expected.arguments_raw {
                self.check("raw arguments", &call.arguments, raw);
            }
        }
        self.check("usage", response.usage.is_some(), expected.usage.is_some());
        if let (Some(usage), Some(expected)) = (&response.usage, &expected.usage) {
            self.check("input", Some(usage.total_input()), expected.input_tokens);
            self.check("cached", usage.cache_read_tokens, expected.cached_input_tokens);
            self.check("reasoning tokens", usage.reasoning_tokens, expected.reasoning_tokens);
            // xAI counts the reasoning beside the completion, and the recording as it came.
            let completion = if usage.total() == expected.total_tokens.unwrap_or_default()
                && expected.output_tokens < Some(usage.total_output())
            {
                usage.output_tokens
            } else {
                Some(usage.total_output())
            };
            self.check("output", completion, expected.output_tokens);
        }
    }
}

/// Replays recordings and collects the faults. Streams are cut in three ways.
async fn replay(recordings: &[Recording]) -> (usize, Vec<String>) {
    let current = Arc::new(Mutex::new(Reply::default()));
    let next = current.clone();
    let upstream = Upstream::start(move |_| next.lock().unwrap().clone()).await;
    let config =
        ProviderConfig::new("openai", "recorded").api_key("sk-test").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let mut faults = Vec::new();
    for recording in recordings {
        let pieces: &[usize] =
            if recording.stream { &[usize::MAX, 1_000, 7] } else { &[usize::MAX] };
        for piece in pieces {
            *current.lock().unwrap() = reply(recording, *piece);
            let outcome = match recording.stream {
                false => client.complete("Hi").await,
                true => match client.stream("Hi").await {
                    Ok(stream) => stream.collect().await,
                    Err(error) => Err(error),
                },
            };
            for difference in Differences::of(&outcome, &recording.expected) {
                faults.push(format!("{} in pieces of {piece}: {difference}", recording.id));
            }
        }
    }
    (recordings.len(), faults)
}

#[tokio::test]
async fn every_exchange_with_openai_is_read_as_it_must_be() {
    let recordings = recordings("openai-chat", |provider| provider == "openai");
    let (count, faults) = replay(&recordings).await;
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count >= at_least(6, 104), "{count} exchanges");
}

#[tokio::test]
async fn every_exchange_with_a_compatible_server_is_read_as_it_must_be() {
    let recordings = recordings("openai-chat", |provider| provider != "openai");
    let (count, faults) = replay(&recordings).await;
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count >= at_least(6, 228), "{count} exchanges");
}
