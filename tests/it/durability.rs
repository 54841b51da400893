//! A process that is killed in the middle of turns, and what is found in its file.

use ember::llm::{History, Role, SessionQuery, SessionStore as _, StoreSessions};
use ember::store::SqliteStore;
use ember_tests::Program;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many conversations go on at a time.
const CONVERSATIONS: usize = 3;

/// What was acknowledged of one conversation, and what was asked in it.
#[derive(Default)]
struct Talk {
    id: String,
    asked: usize,
    acknowledged: BTreeSet<usize>,
}

/// `EMBER_TEST_TURNS` says how many turns there are, 500 for a long run.
#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_is_half() {
    let turns = std::env::var("EMBER_TEST_TURNS").ok().and_then(|turns| turns.parse().ok());
    let turns: usize = turns.unwrap_or(40);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut talks: Vec<_> = (0..CONVERSATIONS)
        .map(|number| Talk { id: format!("{number:032x}"), ..Talk::default() })
        .collect();
    let (mut kills, mut cut) = (0, 0);
    let count = |talks: &[Talk], what: fn(&Talk) -> usize| talks.iter().map(what).sum::<usize>();
    // On a busy machine a process lives longer, until a turn has ended before it does.
    let mut patience = 0;
    while count(&talks, |talk| talk.asked) < turns
        || (count(&talks, |talk| talk.acknowledged.len()) == 0 && patience < 10_000)
    {
        let mut program = start(&path);
        let address = program.address().to_owned();
        let budget = AtomicUsize::new(turns.div_ceil(4).max(CONVERSATIONS));
        std::thread::scope(|scope| {
            for talk in &mut talks {
                let (address, budget) = (&address, &budget);
                scope.spawn(move || talk.go_on(address, budget));
            }
            // The moment is the system's and the processor's, which nobody foresees.
            let pause = 20 + u64::from(std::process::id()) * 7919 % 130 + kills * 37 % 160;
            std::thread::sleep(Duration::from_millis(pause + patience));
            program.kill();
        });
        kills += 1;
        cut = check(&path, &talks);
        if count(&talks, |talk| talk.acknowledged.len()) == 0 {
            patience += 200;
        }
    }
    let acknowledged = count(&talks, |talk| talk.acknowledged.len());
    assert!(acknowledged > 0, "no turn ended before its process did");
    println!(
        "{kills} kills, {acknowledged} turns acknowledged, {cut} seen unacknowledged, 0 lost, 0 half"
    );
}

impl Talk {
    /// Takes turns until the process is gone.
    fn go_on(&mut self, address: &str, budget: &AtomicUsize) {
        while budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            self.asked += 1;
            match turn(address, &self.id, &format!("turn {}", self.asked)) {
                Some(()) => self.acknowledged.insert(self.asked),
                None => return,
            };
        }
    }
}

fn start(path: &Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_durable"));
    Program::start(command.arg(path).env_remove("EMBER_STORE"))
}

/// Takes a streamed turn; `None` unless the stream has come to its proper end.
fn turn(address: &str, id: &str, text: &str) -> Option<()> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let head = format!(
        "POST /chat HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\nconnection: close\r\n\
         x-conversation-id: {id}\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    socket.write_all(head.as_bytes()).ok()?;
    let mut response = Vec::new();
    // A process that was killed closes its connections, with a reset or without.
    let _ = socket.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response);
    if !response.ends_with("\r\n0\r\n\r\n") {
        return None;
    }
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(!response.contains("event: error"), "{response}");
    Some(())
}

/// Looks into the file, as a process does that starts; tells how many turns are there that nobody
/// was told of.
fn check(path: &Path, talks: &[Talk]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sessions = StoreSessions::new(SqliteStore::new(path)).unwrap();
    let mut unacknowledged = 0;
    for talk in talks {
        let key = format!("anonymous/{}", talk.id);
        let History { messages, .. } = runtime.block_on(sessions.load(&key)).unwrap();
        let mut found = BTreeSet::new();
        let mut last = 0;
        assert_eq!(messages.len() % 2, 0, "half a turn: {messages:?}");
        for pair in messages.chunks(2) {
            let question = pair[0].text().into_owned();
            let number: usize = question.strip_prefix("turn ").unwrap().parse().unwrap();
            assert!(number > last, "{number} after {last}");
            last = number;
            assert_eq!(pair[1].role, Role::Assistant);
            assert_eq!(pair[1].text(), format!("you said {question}"), "half an answer");
            found.insert(number);
        }
        let lost: Vec<_> = talk.acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "acknowledged, and lost: {lost:?} of {}", talk.id);
        unacknowledged += found.difference(&talk.acknowledged).count();
        let listed = runtime.block_on(sessions.list(SessionQuery::new(&key, 1))).unwrap();
        assert_eq!(listed.first().map_or(0, |summary| summary.messages), messages.len());
    }
    unacknowledged
}
