//! Two processes of one application on one Redis.

use super::http::{self, Answer};
use super::server::Server;
use crate::serving::Serving;
use ember::ai::Conversation;
use ember::llm::{Message, Role};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the other process may take to go on where one was killed: the hold of its lock, which is a
/// second, and much for a busy machine.
const GOES_ON: Duration = Duration::from_secs(20);

/// Two processes that share a server. What one of them is asked goes by its number, 0 or 1.
pub struct Together {
    processes: [Option<Serving>; 2],
    url: String,
    _server: Server,
}

impl Together {
    pub fn on(server: Server) -> Self {
        let url = format!("redis://127.0.0.1:{}", server.port);
        let processes = [Some(process(&url)), Some(process(&url))];
        Self { processes, url, _server: server }
    }

    pub fn address(&self, number: usize) -> &str {
        &self.processes[number].as_ref().expect("the process lives").address
    }

    /// Kills a process where it stands.
    fn kill(&mut self, number: usize) {
        self.processes[number] = None;
    }

    fn start_again(&mut self, number: usize) {
        self.processes[number] = Some(process(&self.url));
    }

    /// Does something so often, with both processes in turns, so many at a time; returns what came
    /// of it in the order of the numbers that it was given.
    pub fn all<T: Send>(
        &self,
        times: usize,
        at_a_time: usize,
        work: impl Fn(&str, usize) -> T + Sync,
    ) -> Vec<T> {
        let lane = |lane: usize| {
            let numbers = (lane..times).step_by(at_a_time);
            let work = &work;
            numbers.map(move |number| (number, work(self.address(number % 2), number)))
        };
        let mut outcomes: Vec<_> = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..at_a_time)
                .map(|number| scope.spawn(move || lane(number).collect::<Vec<_>>()))
                .collect();
            lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
        });
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// Starts a process of the application on a store.
pub fn process(url: &str) -> Serving {
    let mut program = Command::new(env!("CARGO_BIN_EXE_shared"));
    program.env("EMBER_STORE", url).env("EMBER_LOG", "off").env("EMBER_WORKERS", "1");
    Serving::start(program)
}

/// Takes a turn of a conversation.
pub fn turn(address: &str, path: &str, id: &str, text: &str) -> std::io::Result<Answer> {
    http::post(address, path, &[("x-conversation-id", id)], text)
}

/// What was said in a conversation: pairs of a question and its answer, none of which is half.
pub fn pairs(address: &str, id: &str) -> Vec<(String, String)> {
    let answer = http::get(address, &format!("/conversations/{id}"), &[]).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let conversation: Conversation = serde_json::from_str(&answer.body).unwrap();
    let messages = conversation.messages;
    assert_eq!(messages.len() % 2, 0, "half a turn: {messages:?}");
    let text = |message: &Message, role: Role| {
        assert_eq!(message.role, role, "{messages:?}");
        message.text().into_owned()
    };
    let pair = |pair: &[Message]| (text(&pair[0], Role::User), text(&pair[1], Role::Assistant));
    messages.chunks(2).map(pair).collect()
}

pub fn share(server: Server) {
    let mut together = Together::on(server);
    turns_follow_each_other(&together);
    answers_are_shared(&together);
    visitors_are_known_to_both(&together);
    one_is_killed(&mut together);
}

/// Each answer tells how much was said before it, so that two at a time would tell the same.
fn turns_follow_each_other(together: &Together) {
    const ID: &str = "0123456789abcdef0123456789abcdef";
    const TURNS: usize = 48;
    let answers = together.all(TURNS, 8, |address, number| {
        // Both processes are asked in both ways.
        let path = if number / 2 % 2 == 0 { "/stream" } else { "/whole" };
        let answer = turn(address, path, ID, &format!("turn {number}")).unwrap();
        assert!(answer.is_good(), "{answer:?}");
        if path == "/stream" { answer.streamed() } else { answer.body }
    });
    let said = pairs(together.address(0), ID);
    assert_eq!(said, pairs(together.address(1), ID));
    for (place, (question, answer)) in said.iter().enumerate() {
        assert_eq!(*answer, format!("after {}: {question}", 2 * place));
        let number: usize = question.strip_prefix("turn ").unwrap().parse().unwrap();
        assert_eq!(answers[number], *answer, "what was told is what is remembered");
    }
    let questions: BTreeSet<_> = said.iter().map(|(question, _)| question).collect();
    assert_eq!(questions.len(), TURNS, "each turn is there, and once");
    println!("{TURNS} turns of one conversation by two processes: each whole, none lost");
}

fn answers_are_shared(together: &Together) {
    for path in ["/kept/a", "/redis/a"] {
        let made = http::get(together.address(0), path, &[]).unwrap();
        assert!(made.is_good(), "{made:?}");
        let given = http::get(together.address(1), path, &[]).unwrap();
        assert_eq!(given.body, made.body, "made by one, given by the other");
        let other = http::get(together.address(1), &path.replace("/a", "/b"), &[]).unwrap();
        let process = |answer: &Answer| answer.body.rsplit_once(' ').unwrap().1.to_owned();
        assert_ne!(process(&other), process(&made), "they are two processes");
    }
}

fn visitors_are_known_to_both(together: &Together) {
    let first = http::get(together.address(0), "/visits", &[]).unwrap();
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for visit in 2..=6 {
        let address = together.address(visit % 2);
        let answer = http::get(address, "/visits", &[("cookie", &cookie)]).unwrap();
        assert_eq!((answer.status, answer.body), (200, visit.to_string()));
    }
    let stranger = http::get(together.address(1), "/visits", &[]).unwrap();
    assert_eq!(stranger.body, "1");
}

/// Killed in the middle of a streamed turn: nothing of the turn is left, and the next one goes
/// through on the other process as soon as the lock has expired.
fn one_is_killed(together: &mut Together) {
    const ID: &str = "fedcba9876543210fedcba9876543210";
    let first = turn(together.address(0), "/stream", ID, "before").unwrap();
    assert!(first.is_good(), "{first:?}");
    for (dies, lives) in [(0, 1), (1, 0)] {
        let before = pairs(together.address(lives), ID);
        let headers = [("x-conversation-id", ID)];
        let mut stream =
            http::open(together.address(dies), "POST", "/stream", &headers, "slowly").unwrap();
        let (mut seen, mut piece) = (Vec::new(), [0; 512]);
        while !String::from_utf8_lossy(&seen).contains("so") {
            let length = stream.read(&mut piece).unwrap();
            assert_ne!(length, 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..length]);
        }
        together.kill(dies);
        let begun = Instant::now();
        let next = turn(together.address(lives), "/stream", ID, "after the kill").unwrap();
        let waited = begun.elapsed();
        assert!(next.is_good(), "{next:?}");
        assert!(waited < GOES_ON, "{waited:?}");
        println!("killed in the middle of a turn; the next one was answered after {waited:?}");
        let mut expected = before;
        let answer = format!("after {}: after the kill", 2 * expected.len());
        expected.push(("after the kill".to_owned(), answer));
        assert_eq!(pairs(together.address(lives), ID), expected);
        together.start_again(dies);
        assert_eq!(pairs(together.address(dies), ID), expected);
    }
}
