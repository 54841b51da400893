//! Exchanges with providers, replayed by a server on a real socket.
//!
//! Those under `tests/fixtures` are written by hand after what the providers document. Where the
//! folder of recorded ones lies beside the project, all of these are replayed as well.

mod expected;
mod laws;

use ember::llm::{Client, HttpProvider, ProviderConfig};
use ember_tests::{Reply, Upstream, fixtures, shared};
use expected::{Differences, Expected};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

/// The interface that was spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
}

impl Format {
    const ALL: [Self; 4] = [Self::OpenAi, Self::Responses, Self::Anthropic, Self::Gemini];

    fn folder(self) -> &'static str {
        match self {
            Self::OpenAi => "openai-chat",
            Self::Responses => "openai-responses",
            Self::Anthropic => "anthropic-messages",
            Self::Gemini => "gemini-generate",
        }
    }

    fn client(self, url: String) -> Client {
        let config = |name: &str| {
            ProviderConfig::new(name, "recorded").api_key("sk-test").base_url(url.clone())
        };
        match self {
            Self::OpenAi => Client::new(HttpProvider::openai(&config("openai")).unwrap()),
            Self::Responses => {
                Client::new(HttpProvider::openai_responses(&config("openai-responses")).unwrap())
            }
            Self::Anthropic => Client::new(HttpProvider::anthropic(&config("anthropic")).unwrap()),
            Self::Gemini => Client::new(HttpProvider::gemini(&config("gemini")).unwrap()),
        }
    }
}

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

/// The exchanges of the project, and those that lie beside it.
fn recordings(format: Format, wanted: impl Fn(&str) -> bool) -> Vec<Recording> {
    let folders =
        [Some(fixtures(format.folder())), shared(&format!("recordings/{}", format.folder()))];
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

/// Replays recordings and collects the faults. Streams are cut in three ways.
async fn replay(format: Format, recordings: &[Recording]) -> (usize, Vec<String>) {
    let current = Arc::new(Mutex::new(Reply::default()));
    let next = current.clone();
    let upstream = Upstream::start(move |_| next.lock().unwrap().clone()).await;
    let client = format.client(upstream.url());
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
            for difference in Differences::of(format, &outcome, &recording.expected) {
                faults.push(format!("{} in pieces of {piece}: {difference}", recording.id));
            }
        }
    }
    (recordings.len(), faults)
}

#[tokio::test]
async fn every_exchange_with_openai_is_read_as_it_must_be() {
    let recordings = recordings(Format::OpenAi, |provider| provider == "openai");
    let (count, faults) = replay(Format::OpenAi, &recordings).await;
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count >= at_least(6, 104), "{count} exchanges");
}

#[tokio::test]
async fn every_exchange_with_a_compatible_server_is_read_as_it_must_be() {
    let recordings = recordings(Format::OpenAi, |provider| provider != "openai");
    let (count, faults) = replay(Format::OpenAi, &recordings).await;
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count >= at_least(6, 228), "{count} exchanges");
}

/// Recordings whose expectation is not what a client must read, each with its reason.
fn excused(recording: &Recording) -> Option<&'static str> {
    let other = |name: &str| recording.expected.other.iter().any(|other| other == name);
    if other("partial-args") {
        return Some("the reader of the recordings counts each piece of a call as a call");
    }
    if recording.id == "xai--json--response-identity-auth-rejection-classifies-with-contract" {
        return Some("the code stands beside the error, where the reader does not look");
    }
    None
}

#[track_caller]
fn check(format: Format, recordings: &[Recording], faults: Vec<String>, least: usize) {
    let streamed = recordings.iter().filter(|recording| recording.stream).count();
    let whole = recordings.len() - streamed;
    println!("{}: {whole} whole, {streamed} streamed", format.folder());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(recordings.len() >= least, "{} exchanges", recordings.len());
}

/// Replays all exchanges of a format but those that are excused.
async fn replay_all(format: Format, least: usize) {
    let (excused_ones, recordings): (Vec<_>, Vec<_>) =
        recordings(format, |_| true).into_iter().partition(|one| excused(one).is_some());
    for one in &excused_ones {
        println!("{}: {}", one.id, excused(one).unwrap_or_default());
    }
    let (_, faults) = replay(format, &recordings).await;
    check(format, &recordings, faults, least);
}

#[tokio::test]
async fn every_exchange_with_anthropic_is_read_as_it_must_be() {
    replay_all(Format::Anthropic, at_least(4, 236)).await;
}

#[tokio::test]
async fn every_exchange_with_gemini_is_read_as_it_must_be() {
    replay_all(Format::Gemini, at_least(4, 189)).await;
}

#[tokio::test]
async fn every_exchange_with_responses_is_read_as_it_must_be() {
    replay_all(Format::Responses, at_least(4, 144)).await;
}
