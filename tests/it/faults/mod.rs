//! Faults that a service in front of a model must survive: here as far as one client is concerned, in
//! [`service`] as a whole.
//!
//! The scenarios are those of Failover Bench (S01 to S14), committed by a service on a real socket, and asked of
//! a client both for a whole answer and for a stream. Where a scenario needs a second provider, what
//! is asked of the client is the error that lets a fallback take over at once. What waits by the
//! clock takes no time; limits of the connection are a twentieth of what the scenario says.

mod ai_route;
mod openai_api;
mod service;

use ember::Env;
use ember::base::clock::{ManualClock, millis, secs};
use ember::llm::{Client, ErrorKind, HttpProvider, ProviderConfig, Timeouts};
use ember_tests::{Reply, Upstream, in_no_time};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many words the answer has.
const WORDS: usize = 60;

/// A fault: what the service does at an attempt, counted from 0.
struct Fault {
    name: &'static str,
    about: &'static str,
    /// Asked for a whole answer.
    unary: fn(usize) -> Reply,
    /// Asked for a stream.
    streamed: fn(usize) -> Reply,
    /// What must come of either.
    outcomes: [Outcome; 2],
}

/// What must come of a request.
#[derive(Clone, Copy)]
struct Outcome {
    answer: Result<(), ErrorKind>,
    attempts: usize,
    /// How long must pass between the attempts, by the clock.
    apart: Duration,
}

const fn answered(attempts: usize) -> Outcome {
    Outcome { answer: Ok(()), attempts, apart: Duration::ZERO }
}

const fn failed(kind: ErrorKind, attempts: usize) -> Outcome {
    Outcome { answer: Err(kind), attempts, apart: Duration::ZERO }
}

fn word(index: usize) -> String {
    format!("word{index} ")
}

fn text() -> String {
    (0..WORDS).map(word).collect()
}

fn usage() -> Value {
    json!({"prompt_tokens": 7, "completion_tokens": WORDS})
}

/// The whole answer.
fn whole() -> Value {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text()}, "finish_reason": "stop"});
    json!({"id": "c1", "model": "small", "choices": [choice], "usage": usage()})
}

fn chunk(index: usize) -> Value {
    json!({"id": "c1", "model": "small", "choices": [{"index": 0, "delta": {"content": word(index)}, "finish_reason": null}]})
}

/// The first words of a stream.
fn words(count: usize) -> Reply {
    (0..count).fold(Reply::events(), |reply, index| reply.data(chunk(index)))
}

/// What stands behind the words, but for the mark of the end.
fn stop(reply: Reply) -> Reply {
    reply
        .data(json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        .data(json!({"id": "c1", "choices": [], "usage": usage()}))
}

fn answer() -> Reply {
    Reply::json(200, whole())
}

fn stream() -> Reply {
    stop(words(WORDS)).data("[DONE]")
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"message": message, "code": code}}))
}

/// A refusal at the first attempt only.
fn once(attempt: usize, fault: Reply, then: fn() -> Reply) -> Reply {
    if attempt == 0 { fault } else { then() }
}

const REASON: &str = "The prompt asks for something that the policy forbids.";

/// Half of the body, and then nothing or the end of the connection.
fn half() -> Reply {
    let body = whole().to_string();
    Reply::status(200)
        .header("content-type", "application/json")
        .send(&body.as_bytes()[..body.len() / 2])
}

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    Fault {
        name: "S01", about: "429 with Retry-After: 2, once",
        unary: |attempt| once(attempt, error(429, "rate_limit_exceeded", "slow").header("retry-after", "2"), answer),
        streamed: |attempt| once(attempt, error(429, "rate_limit_exceeded", "slow").header("retry-after", "2"), stream),
        outcomes: [Outcome { apart: millis(1_800), ..answered(2) }; 2],
    },
    Fault {
        name: "S02", about: "429 always, no header",
        unary: |_| error(429, "rate_limit_exceeded", "slow"),
        streamed: |_| error(429, "rate_limit_exceeded", "slow"),
        outcomes: [failed(ErrorKind::RateLimit, 3); 2],
    },
    Fault {
        name: "S03", about: "500 once",
        unary: |attempt| once(attempt, error(500, "server_error", "boom"), answer),
        streamed: |attempt| once(attempt, error(500, "server_error", "boom"), stream),
        outcomes: [answered(2); 2],
    },
    Fault {
        name: "S04", about: "503 always",
        unary: |_| Reply::status(503).send("busy"),
        streamed: |_| Reply::status(503).send("busy"),
        outcomes: [failed(ErrorKind::Overloaded, 3); 2],
    },
    Fault {
        name: "S05", about: "TCP reset before headers, once",
        unary: |attempt| once(attempt, Reply::reset(), answer),
        streamed: |attempt| once(attempt, Reply::reset(), stream),
        outcomes: [answered(2); 2],
    },
    Fault {
        name: "S06", about: "accepted, then silent",
        unary: |_| Reply::silence(),
        streamed: |_| Reply::silence(),
        outcomes: [failed(ErrorKind::Timeout, 1); 2],
    },
    Fault {
        name: "S07", about: "first token late; a whole answer may take its time",
        unary: |_| answer().late(millis(500)),
        streamed: |_| stop(Reply::events().wait(secs(20))),
        outcomes: [answered(1), failed(ErrorKind::Timeout, 1)],
    },
    Fault {
        name: "S08", about: "dies after 40 of 60 tokens, no terminal event",
        unary: |_| half().cut(),
        streamed: |_| words(40).cut(),
        outcomes: [failed(ErrorKind::Truncated, 1); 2],
    },
    Fault {
        name: "S09", about: "silent after 20 tokens",
        unary: |_| half().hang(),
        streamed: |_| words(20).hang(),
        outcomes: [failed(ErrorKind::Timeout, 1); 2],
    },
    Fault {
        name: "S10", about: "the 10th event is invalid JSON; so is a whole answer",
        unary: |_| Reply::status(200).header("content-type", "application/json").send("{\"id\": \"c1\", "),
        streamed: |_| stop((9..WORDS).fold(words(9).data("{\"id\": \"c1\", "), |reply, index| reply.data(chunk(index)))).data("[DONE]"),
        outcomes: [failed(ErrorKind::Decode, 1), answered(1)],
    },
    Fault {
        name: "S11", about: "no [DONE]",
        unary: |_| answer(),
        streamed: |_| stop(words(WORDS)).hang(),
        outcomes: [answered(1); 2],
    },
    Fault {
        name: "S12", about: "400 context_length_exceeded",
        unary: |_| error(400, "context_length_exceeded", "too long"),
        streamed: |_| error(400, "context_length_exceeded", "too long"),
        outcomes: [failed(ErrorKind::ContextLength, 1); 2],
    },
    Fault {
        name: "S13", about: "400 content_policy_violation",
        unary: |_| error(400, "content_policy_violation", REASON),
        streamed: |_| error(400, "content_policy_violation", REASON),
        outcomes: [failed(ErrorKind::ContentFilter, 1); 2],
    },
    Fault {
        name: "S14", about: "as S08; a prefill would be rejected",
        unary: |_| half().cut(),
        streamed: |attempt| once(attempt, words(40).cut(), || error(400, "invalid_request_error", "prefill")),
        outcomes: [failed(ErrorKind::Truncated, 1); 2],
    },
];

/// What has come of a request.
struct Seen {
    answer: Result<String, (ErrorKind, String)>,
    /// When each attempt was made, by the clock, since the first.
    attempts: Vec<Duration>,
    /// How long it took in truth.
    took: Duration,
    usage: Option<u64>,
}

/// Commits a fault against a client.
async fn commit(fault: &Fault, streamed: bool) -> Seen {
    let hands = ManualClock::new();
    let clock = hands.clock();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let (log, time) = (attempts.clone(), clock.clone());
    let reply = if streamed { fault.streamed } else { fault.unary };
    let healthy = Arc::new(Mutex::new(false));
    let is_healthy = healthy.clone();
    let upstream = Upstream::start(move |_| {
        if *is_healthy.lock().unwrap() {
            return if streamed { stream() } else { answer() };
        }
        let mut log = log.lock().unwrap();
        log.push(time.now());
        reply(log.len() - 1)
    })
    .await;
    let limit = millis(1_500);
    let timeouts =
        Timeouts::default().headers(limit).gap(limit).total(secs(3)).first_event(millis(750));
    let config = ProviderConfig::new("openai", "small").base_url(upstream.url()).timeouts(timeouts);
    let client = Client::builder()
        .provider(HttpProvider::openai(&config).unwrap())
        .clock(clock.clone())
        .env(Env::of::<&str, &str>([]))
        .build()
        .unwrap();
    let ask = || async {
        match streamed {
            true => client.stream("Sixty words, please.").await?.collect().await,
            false => client.complete("Sixty words, please.").await,
        }
    };
    let started = Instant::now();
    let (outcome, _) = in_no_time(&hands, ask()).await;
    let took = started.elapsed();
    // Whatever has happened, the next request is served.
    *healthy.lock().unwrap() = true;
    assert_eq!(
        ask().await.expect(fault.name).text(),
        text(),
        "{} left something behind",
        fault.name
    );
    for seen in upstream.seen() {
        let messages = seen.json()["messages"].clone();
        assert_eq!(messages.as_array().unwrap().last().unwrap()["role"], "user", "no prefill");
    }
    let attempts = attempts.lock().unwrap();
    let usage = outcome.as_ref().ok().and_then(|response| response.usage);
    Seen {
        answer: outcome
            .map(|response| response.text().into_owned())
            .map_err(|error| (error.kind(), error.message().to_owned())),
        attempts: attempts.iter().map(|at| *at - attempts[0]).collect(),
        took,
        usage: usage.map(|usage| usage.total_output()),
    }
}

#[tokio::test]
async fn every_fault_ends_as_it_must() {
    let mut faults = Vec::new();
    println!("{:<5} {:<8} {:<12} {:<9} about", "fault", "way", "outcome", "attempts");
    for fault in FAULTS {
        for (streamed, expected) in [false, true].into_iter().zip(fault.outcomes) {
            let seen = commit(fault, streamed).await;
            let way = if streamed { "stream" } else { "unary" };
            let outcome = match &seen.answer {
                Ok(_) => "answer".to_owned(),
                Err((kind, _)) => format!("{kind:?}"),
            };
            println!(
                "{:<5} {way:<8} {outcome:<12} {:<9} {}",
                fault.name,
                seen.attempts.len(),
                fault.about
            );
            let mut check = |holds: bool, what: String| {
                if !holds {
                    faults.push(format!("{} {way}: {what}", fault.name));
                }
            };
            let kind = seen.answer.as_ref().map(|_| ()).map_err(|(kind, _)| *kind);
            check(kind == expected.answer, format!("{outcome} instead of {:?}", expected.answer));
            let count = seen.attempts.len();
            check(count == expected.attempts, format!("{count} attempts"));
            if let Ok(answer) = &seen.answer {
                check(*answer == text(), format!("not the whole answer: {answer}"));
                check(seen.usage == Some(WORDS as u64), format!("the usage is {:?}", seen.usage));
            }
            if let Err((ErrorKind::ContentFilter, message)) = &seen.answer {
                check(message == REASON, format!("the provider's reason is not told: {message}"));
            }
            let apart = seen.attempts.windows(2).map(|pair| pair[1] - pair[0]).min();
            check(
                apart.unwrap_or(secs(9)) >= expected.apart,
                format!("attempts at {:?}", seen.attempts),
            );
            let within = |limit| seen.attempts.iter().filter(|at| **at < limit).count();
            check(within(secs(3)) <= 4 && count <= 6, "too many attempts".to_owned());
            // No limit here is above three seconds; the rest is for a slow machine.
            check(seen.took < secs(30), format!("it took {:?}", seen.took));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
