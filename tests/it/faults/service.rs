//! The whole table of Failover Bench, end to end: a client on a socket, a service with a primary and
//! one fallback, and a socket to each of them.
//!
//! The [`Front`] is what the client talks to; each front has a test of its own. What waits by the clock (retries, the open
//! circuit, the recovery of S15) passes by hand at its full length. Limits of connections cannot: the time-outs of 30 s
//! are 1.5 s here, a twentieth; so are the first-token limit of S07 (5 s) and the waits of the faults.

use super::{REASON, WORDS, answer, error, half, stop, stream, text, words};
use ember::base::clock::{ManualClock, millis, secs};
use ember::llm::events::{ModelFailed, RequestComplete, StreamComplete};
use ember::llm::{ChatResponse, ErrorKind, ModelRouter, ModelSpec, Timeouts};
use ember::{Ember, Env};
use ember_tests::{Reply, Seen, Upstream, in_no_time};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Asks for sixty words, whole or streamed.
type Ask = fn(SocketAddr, bool) -> Pin<Box<dyn Future<Output = Told>>>;

/// What a client talks to.
pub(super) struct Front {
    pub(super) name: &'static str,
    /// The application, which is given a router.
    pub(super) app: fn() -> Ember,
    pub(super) ask: Ask,
}

/// What a client is told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    /// All pieces of the answer.
    pub(super) text: String,
    /// Whether it was told that the answer is complete.
    pub(super) complete: bool,
    /// What it was told of a failure.
    pub(super) error: Option<String>,
}

/// A fault: what the primary does at an attempt, counted from 0, asked for a whole answer or for a stream.
struct Fault {
    name: &'static str,
    about: &'static str,
    primary: fn(usize, bool) -> Reply,
    /// Whether the primary has a first-token limit.
    first_token: bool,
    /// What must come of it, whole and streamed.
    needed: [Needed; 2],
}

struct Needed {
    outcome: Outcome,
    /// How often the primary is asked.
    attempts: usize,
    /// How long must pass between the attempts, by the clock.
    apart: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Primary,
    Fallback,
    /// A clear error, after so many words.
    Error(usize),
}
use Outcome::{Fallback, Primary};

const fn needed(outcome: Outcome, attempts: usize) -> Needed {
    Needed { outcome, attempts, apart: Duration::ZERO }
}

const fn both(outcome: Outcome, attempts: usize) -> [Needed; 2] {
    [needed(outcome, attempts), needed(outcome, attempts)]
}

fn whole_or(streamed: bool, whole: fn() -> Reply, stream: fn() -> Reply) -> Reply {
    if streamed { stream() } else { whole() }
}

fn good(streamed: bool) -> Reply {
    whole_or(streamed, answer, stream)
}

fn busy() -> Reply {
    Reply::status(503).send("busy")
}

fn limited() -> Reply {
    error(429, "rate_limit_exceeded", "slow")
}

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    Fault {
        name: "S01", about: "429 with Retry-After: 2, once", first_token: false,
        primary: |attempt, streamed| match attempt { 0 => limited().header("retry-after", "2"), _ => good(streamed) },
        needed: [Needed { outcome: Primary, attempts: 2, apart: millis(1_800) }, Needed { outcome: Primary, attempts: 2, apart: millis(1_800) }],
    },
    Fault {
        name: "S02", about: "429 always, no header", first_token: false,
        primary: |_, _| limited(),
        needed: both(Fallback, 3),
    },
    Fault {
        name: "S03", about: "500 once", first_token: false,
        primary: |attempt, streamed| match attempt { 0 => error(500, "server_error", "boom"), _ => good(streamed) },
        needed: both(Primary, 2),
    },
    Fault {
        name: "S04", about: "503 always", first_token: false,
        primary: |_, _| busy(),
        needed: both(Fallback, 3),
    },
    Fault {
        name: "S05", about: "TCP reset before headers, once", first_token: false,
        primary: |attempt, streamed| match attempt { 0 => Reply::reset(), _ => good(streamed) },
        needed: both(Primary, 2),
    },
    Fault {
        name: "S06", about: "accepted, then silent", first_token: false,
        primary: |_, _| Reply::silence(),
        needed: both(Fallback, 1),
    },
    Fault {
        name: "S07", about: "first token late", first_token: true,
        primary: |_, streamed| whole_or(streamed, || answer().late(secs(1)), || stop((0..WORDS).fold(Reply::events().wait(secs(1)), |reply, index| reply.data(super::chunk(index))))),
        needed: both(Fallback, 1),
    },
    Fault {
        name: "S08", about: "dies after 40 of 60 tokens, no terminal event", first_token: false,
        primary: |_, streamed| whole_or(streamed, || half().cut(), || words(40).cut()),
        needed: [needed(Fallback, 1), needed(Outcome::Error(40), 1)],
    },
    Fault {
        name: "S09", about: "silent after 20 tokens", first_token: false,
        primary: |_, streamed| whole_or(streamed, || half().hang(), || words(20).hang()),
        needed: [needed(Fallback, 1), needed(Outcome::Error(20), 1)],
    },
    Fault {
        name: "S10", about: "the 10th event is invalid JSON; so is a whole answer", first_token: false,
        primary: |_, streamed| whole_or(streamed,
            || Reply::status(200).header("content-type", "application/json").send("{\"id\": \"c1\", "),
            || stop((9..WORDS).fold(words(9).data("{\"id\": \"c1\", "), |reply, index| reply.data(super::chunk(index)))).data("[DONE]")),
        needed: [needed(Fallback, 1), needed(Primary, 1)],
    },
    Fault {
        name: "S11", about: "no [DONE]", first_token: false,
        primary: |_, streamed| whole_or(streamed, answer, || stop(words(WORDS)).hang()),
        needed: both(Primary, 1),
    },
    Fault {
        name: "S12", about: "400 context_length_exceeded", first_token: false,
        primary: |_, _| error(400, "context_length_exceeded", "too long"),
        needed: both(Fallback, 1),
    },
    Fault {
        name: "S13", about: "400 content_policy_violation", first_token: false,
        primary: |_, _| error(400, "content_policy_violation", REASON),
        needed: both(Outcome::Error(0), 1),
    },
    Fault {
        name: "S14", about: "as S08, and the fallback rejects a prefill", first_token: false,
        primary: |_, streamed| whole_or(streamed, || half().cut(), || words(40).cut()),
        needed: [needed(Fallback, 1), needed(Outcome::Error(40), 1)],
    },
    Fault {
        name: "S16", about: "503 always: model, usage and bill", first_token: false,
        primary: |_, _| busy(),
        needed: both(Fallback, 3),
    },
];

/// An answer as the fallback gives it: it rejects a prefill, and has a model of its own.
fn fallback(seen: &Seen) -> Reply {
    let request = seen.json();
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    if last.is_some_and(|last| last["role"] == "assistant") {
        return error(400, "invalid_request_error", "prefill");
    }
    let renamed = |reply: Reply| reply.replaced("\"small\"", "\"large\"");
    renamed(good(request["stream"] == true))
}

/// A service, and the models behind it.
struct Service {
    running: Option<ember::app::Running>,
    ask: Ask,
    hands: ManualClock,
    router: ModelRouter,
    /// When the primary was asked, by the clock.
    attempts: Arc<Mutex<Vec<Instant>>>,
    /// What the application's own subscribers have seen of the last answer.
    answered: Arc<Mutex<Option<ChatResponse>>>,
    failed: Arc<Mutex<Vec<(String, ErrorKind)>>>,
    upstreams: [Upstream; 2],
}

impl Service {
    async fn start(
        front: &Front,
        first_token: bool,
        primary: impl Fn(usize, bool, Duration) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let (log, time, started) = (attempts.clone(), clock.clone(), clock.now());
        let first = Upstream::start(move |seen| {
            let mut log = log.lock().unwrap();
            log.push(time.now());
            primary(log.len() - 1, seen.json()["stream"] == true, time.now() - started)
        })
        .await;
        let second = Upstream::start(fallback).await;
        let limit = millis(1_500);
        let timeouts =
            Timeouts::default().headers(limit).gap(limit).first_event(limit).total(secs(3));
        let spec = |name: &str, model: &str, upstream: &Upstream| {
            let spec =
                ModelSpec::new(name).provider("openai").model(model).endpoint(upstream.url());
            spec.timeouts(timeouts)
        };
        let mut primary = spec("primary", "small", &first).context_window(8_192);
        if first_token {
            primary = primary.first_token(millis(250));
        }
        let router = ModelRouter::builder()
            .model(primary)
            .model(spec("fallback", "large", &second).context_window(131_072))
            .env(Env::of::<&str, &str>([]))
            .clock(clock)
            .build()
            .unwrap();
        let (answered, failed) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
        let keep = |response: &ChatResponse, answered: &Mutex<_>| {
            *answered.lock().unwrap() = Some(response.clone())
        };
        let (whole, streamed, failures) = (answered.clone(), answered.clone(), failed.clone());
        let _ = router.events().on(move |event: &RequestComplete| keep(&event.response, &whole));
        let _ = router.events().on(move |event: &StreamComplete| keep(&event.response, &streamed));
        let _ = router.events().on(move |event: &ModelFailed| {
            failures.lock().unwrap().push((event.model.clone(), event.error.kind()));
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = (front.app)().env(Env::of::<&str, &str>([])).models(router.clone());
        let running = Some(app.workers(2).serve(listener).unwrap());
        Self {
            running,
            ask: front.ask,
            hands,
            router,
            attempts,
            answered,
            failed,
            upstreams: [first, second],
        }
    }

    async fn ask(&self, streamed: bool) -> Told {
        let address = self.running.as_ref().unwrap().address();
        in_no_time(&self.hands, (self.ask)(address, streamed)).await.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().within(Duration::ZERO);
            running.join();
        }
    }
}

/// Commits every fault against a service behind a front, prints what has come of each, and fails if one has
/// not come out as it must.
pub(super) async fn survive(front: Front) {
    let mut faults = Vec::new();
    println!("{}", front.name);
    println!(
        "{:<5} {:<8} {:<10} {:<9} {:<7} about",
        "fault", "way", "outcome", "attempts", "status"
    );
    for fault in FAULTS {
        for (streamed, needed) in [false, true].into_iter().zip(&fault.needed) {
            commit(&front, fault, streamed, needed, &mut faults).await;
        }
    }
    for streamed in [false, true] {
        recover(&front, streamed, &mut faults).await;
    }
    assert!(faults.is_empty(), "{}:\n{}", front.name, faults.join("\n"));
}

async fn commit(
    front: &Front,
    fault: &'static Fault,
    streamed: bool,
    needed: &Needed,
    faults: &mut Vec<String>,
) {
    let is_healthy = Arc::new(Mutex::new(false));
    let healthy = is_healthy.clone();
    let service = Service::start(front, fault.first_token, move |attempt, streamed, _| {
        match *healthy.lock().unwrap() {
            true => good(streamed),
            false => (fault.primary)(attempt, streamed),
        }
    })
    .await;
    let started = Instant::now();
    let told = service.ask(streamed).await;
    let took = started.elapsed();
    let attempts = service.attempts.lock().unwrap().clone();
    let answered = service.answered.lock().unwrap().take();
    let outcome = match (&told.error, answered.as_ref().and_then(|answer| answer.model.as_deref()))
    {
        (Some(_), _) => Outcome::Error(told.text.split_whitespace().count()),
        (None, Some("large")) => Fallback,
        (None, _) => Primary,
    };
    let way = if streamed { "stream" } else { "whole" };
    let shown = format!("{outcome:?}");
    println!(
        "{:<5} {way:<8} {shown:<10} {:<9} {:<7} {}",
        fault.name,
        attempts.len(),
        told.status,
        fault.about
    );
    let mut check = |holds: bool, what: String| {
        if !holds {
            faults.push(format!("{} {way}: {what}; {told:?}", fault.name));
        }
    };
    check(outcome == needed.outcome, format!("{outcome:?} instead of {:?}", needed.outcome));
    check(attempts.len() == needed.attempts, format!("{} attempts", attempts.len()));
    let since: Vec<_> = attempts.iter().map(|at| *at - attempts[0]).collect();
    let within = |limit| since.iter().filter(|at| **at < limit).count();
    check(within(secs(3)) <= 4 && since.len() <= 6, format!("attempts at {since:?}"));
    let apart = since.windows(2).map(|pair| pair[1] - pair[0]).min();
    check(apart.unwrap_or(Duration::MAX) >= needed.apart, format!("attempts at {since:?}"));
    match outcome {
        Outcome::Error(_) => {
            check(!told.complete, "a broken answer is called complete".to_owned());
            check(text().starts_with(&told.text), "what came is not of the answer".to_owned());
            let tells = told.error.as_deref().unwrap_or_default();
            let wanted = if fault.name == "S13" { REASON } else { "model" };
            check(
                tells.contains(wanted) && !tells.contains("prefill"),
                format!("not clear: {tells}"),
            );
        }
        Primary | Fallback => {
            check(told.complete && told.status == 200, "not called complete".to_owned());
            check(told.text == text(), "not the whole answer".to_owned());
            let usage =
                answered.as_ref().and_then(|answer| answer.usage).map(|usage| usage.total_output());
            check(usage == Some(WORDS as u64), format!("the usage is {usage:?}"));
        }
    }
    // What was refused is no answer and costs nothing; what broke off was billed by its provider.
    let bill = service.router.ledger().totals();
    if fault.name == "S16" {
        check(
            bill.total_requests() == 1 && bill.by_model.contains_key("large"),
            format!("{bill:?}"),
        );
        let failed = service.failed.lock().unwrap().clone();
        check(
            failed == [("primary".to_owned(), ErrorKind::Overloaded)],
            format!("told of {failed:?}"),
        );
    }
    // No limit here is above three seconds; the rest is for a slow machine.
    check(took < secs(30), format!("it took {took:?}"));
    // Whatever has happened, the next request is served.
    *is_healthy.lock().unwrap() = true;
    let next = service.ask(streamed).await;
    check(next.complete && next.text == text(), format!("it has left something behind: {next:?}"));
    for seen in service.upstreams.iter().flat_map(Upstream::seen) {
        let last = seen.json()["messages"].as_array().and_then(|messages| messages.last().cloned());
        check(last.is_some_and(|last: Value| last["role"] == "user"), "a prefill".to_owned());
    }
}

/// S15: the primary is away for 60 s; twenty requests, 4 s apart, and some more to see it come back.
async fn recover(front: &Front, streamed: bool, faults: &mut Vec<String>) {
    const AWAY: Duration = secs(60);
    let reply = |_, streamed, time| if time < AWAY { busy() } else { good(streamed) };
    let service = Service::start(front, false, reply).await;
    let clock = service.hands.clock();
    let started = clock.now();
    let (mut served, mut back) = (0, None);
    for index in 0..24 {
        let due = started + index * secs(4);
        service.hands.advance(due.saturating_duration_since(clock.now()));
        let told = service.ask(streamed).await;
        if told.complete && told.text == text() {
            served += 1;
        }
        let answered = service.answered.lock().unwrap().take();
        let by_primary = answered.is_some_and(|answer| answer.model.as_deref() == Some("small"));
        match by_primary {
            true => _ = back.get_or_insert(clock.now() - started),
            false if back.is_some() => faults.push("S15: away again from the primary".to_owned()),
            false => {}
        }
    }
    let way = if streamed { "stream" } else { "whole" };
    let attempts =
        service.attempts.lock().unwrap().iter().filter(|at| **at - started < AWAY).count();
    let shown = back.map_or("never".to_owned(), |back| format!("after {} s", back.as_secs()));
    let count = format!("{served}/24");
    println!(
        "{:<5} {way:<8} {count:<10} {attempts:<9} {:<7} 503 for 60 s; back on the primary {shown}",
        "S15", ""
    );
    if served != 24 {
        faults.push(format!("S15 {way}: {served} of 24 requests were served"));
    }
    if back.is_none_or(|back| back < AWAY || back > AWAY + secs(30)) {
        faults.push(format!("S15 {way}: back on the primary at {back:?}"));
    }
}
