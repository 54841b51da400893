//! An application whose file may not be written, or has no room: told, and used again without a restart.

use super::http::{self, Answer};
use super::run;
use crate::serving::Serving;
use ember::base::clock::{millis, secs};
use ember::llm::{SessionStore as _, StoreSessions};
use ember::store::SqliteStore;
use libtest_mimic::{Completion, Failed};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// The file, or its folder, may only be read.
pub fn read_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut turns = 1;
    assert!(say(&start(&path), turns).is_good());
    // The file; the file with what a process that was killed has left beside it; the folder.
    for narrow in [&["state.db"][..], &["state.db", "state.db-wal", "state.db-shm"], &["."]] {
        if narrow.len() == 1 {
            close(&path);
        }
        for place in narrow.iter().map(|name| folder.path().join(name)) {
            let mode = if place.is_dir() { 0o555 } else { 0o444 };
            fs::set_permissions(place, Permissions::from_mode(mode)).unwrap();
        }
        let serving = start(&path);
        is_told(&say(&serving, 0), &path);
        let checked = as_anybody(env!("CARGO_BIN_EXE_store_check"))
            .arg(format!("sqlite://{}", path.display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&checked.stderr);
        let is_clear = text.contains("may only be read") || text.contains("cannot be opened");
        assert!(!checked.status.success() && is_clear, "{narrow:?}: {text}");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        // What SQLite makes beside a file has the permissions of the file.
        for file in fs::read_dir(folder.path()).unwrap() {
            fs::set_permissions(file.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
        }
        turns += 1;
        works(&serving, turns);
        drop(serving);
        is_kept(&path, turns);
    }
}

/// Opens and closes the file as a process does that is not killed, which leaves nothing beside it.
fn close(path: &Path) {
    let begun = Instant::now();
    loop {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.query_row("SELECT count(*) FROM entries", [], |_| Ok(())).unwrap();
        connection.close().unwrap();
        if !path.with_extension("db-wal").exists() {
            return;
        }
        // The thread of a store that was dropped may still be about to close it.
        assert!(begun.elapsed() < secs(30), "somebody else has it open");
        std::thread::sleep(millis(10));
    }
}

/// Another process holds a transaction that lets nobody write.
pub fn locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let serving = start(&path);
    assert!(say(&serving, 1).is_good());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    is_told(&say(&serving, 0), &path);
    other.execute_batch("COMMIT").unwrap();
    works(&serving, 2);
    is_kept(&path, 2);
}

/// A disk that is full, and then not; for whoever may mount one.
pub fn full() -> Result<Completion, Failed> {
    let folder = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(folder.path());
    if !mount.output().unwrap().status.success() {
        return Ok(Completion::ignored_with("nobody but root may mount a small disk"));
    }
    let _disk = Disk(folder.path());
    let path = folder.path().join("state.db");
    let serving = start(&path);
    assert!(say(&serving, 1).is_good());
    // Somebody else takes all there is.
    let filler = folder.path().join("filler");
    assert!(fs::write(&filler, vec![0; 2 << 20]).is_err());
    let begun = Instant::now();
    let mut turns = 1;
    // What is left of the last page can hold a turn.
    let told = loop {
        let answer = say(&serving, turns + 1);
        if answer.status != 200 {
            break answer;
        }
        turns += 1;
        assert!(begun.elapsed() < secs(60), "the disk is not full after {turns} turns");
    };
    is_told(&told, &path);
    // What is left may be enough for what a check writes, for a while.
    let text = loop {
        let mut check = Command::new(env!("CARGO_BIN_EXE_store_check"));
        let checked = check.arg(format!("sqlite://{}", path.display())).output().unwrap();
        if !checked.status.success() {
            break String::from_utf8_lossy(&checked.stderr).into_owned();
        }
        assert!(begun.elapsed() < secs(60), "the disk is not full");
    };
    assert!(text.contains("the disk is full"), "{text}");
    fs::remove_file(filler).unwrap();
    turns += 1;
    works(&serving, turns);
    is_kept(&path, turns);
    Ok(Completion::Completed)
}

/// A disk that is there until this is dropped.
struct Disk<'a>(&'a Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Also while somebody uses it.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn start(path: &Path) -> Serving {
    let mut program = as_anybody(env!("CARGO_BIN_EXE_durable"));
    program.arg(path).env_remove("EMBER_STORE");
    Serving::start(program)
}

/// A program that the permissions of files hold for, which they do not for root.
fn as_anybody(program: &str) -> Command {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    if fs::write(&file, "").is_err() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-dac_override", program]);
    command
}

fn say(serving: &Serving, number: usize) -> Answer {
    let headers = [("x-conversation-id", ID)];
    http::post(&serving.address, "/chat", &headers, &format!("turn {number}")).unwrap()
}

fn is_told(answer: &Answer, path: &Path) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert!(!answer.body.contains(&path.display().to_string()), "{answer:?}");
}

/// The turn goes through, if not at once.
fn works(serving: &Serving, number: usize) {
    let begun = Instant::now();
    while !say(serving, number).is_good() {
        assert!(begun.elapsed() < secs(30), "it does not recover");
    }
}

/// All turns are there, none is half, and none that was refused.
fn is_kept(path: &Path, turns: usize) {
    run(async {
        let sessions = StoreSessions::new(SqliteStore::new(path)).unwrap();
        let history = sessions.load(&format!("anonymous/{ID}")).await.unwrap();
        let said = history.messages.iter().map(|message| message.text().into_owned());
        let expected = (1..=turns)
            .flat_map(|number| [format!("turn {number}"), format!("you said turn {number}")]);
        assert_eq!(said.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    });
}
