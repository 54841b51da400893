use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What turns a file of version `n` into one of version `n + 1` stands at place `n`. What stands
/// here was released, and is never changed.
const STEPS: &[&str] = &["
    CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires INTEGER) WITHOUT ROWID;
    CREATE INDEX entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
    CREATE TABLE locks (key TEXT PRIMARY KEY, token INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE fence (token INTEGER NOT NULL);
    INSERT INTO fence VALUES (0);
"];

/// Says that a file is one of ours: "embr".
const APPLICATION: i32 = 0x656d_6272;

/// The version of files that this program writes.
pub(super) const VERSION: usize = STEPS.len();

/// SQLite counts milliseconds in 32 bits.
const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon something is done again for which SQLite does not wait.
const PAUSE: Duration = Duration::from_millis(5);

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum OpenError {
    Sqlite(rusqlite::Error),
    /// It has tables, and they are not ours.
    Foreign,
    /// It has a version that this program does not know.
    Newer {
        file: usize,
        known: usize,
    },
}

/// Opens a file, or creates it, and brings it to the present version.
pub(super) fn open(path: &Path, patience: Duration) -> Result<Connection, OpenError> {
    open_by(STEPS, path, patience)
}

/// Opens a file for a program that knows these steps.
fn open_by(steps: &[&str], path: &Path, patience: Duration) -> Result<Connection, OpenError> {
    let patience = patience.min(LONGEST_PATIENCE);
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(patience)?;
    // What is read here is of one moment, as another one may take the steps meanwhile.
    let version = check(steps, &*connection.transaction()?)?;
    // Connections that read do not wait for one that writes, nor it for them. What is committed is on
    // the disk.
    patiently(patience, || connection.pragma_update(None, "journal_mode", "WAL"))?;
    set_synchronous(&connection, "FULL")?;
    if version < steps.len() {
        // All steps or none: a file that was left in between would be no version at all.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been first.
        let version = check(steps, &transaction)?;
        for step in &steps[version..] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", steps.len())?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// Does something again and again while the file is locked, where SQLite itself does not wait: it refuses to change
/// how a file is written while another connection uses it ("PRAGMA journal_mode", "sqlite3_busy_handler" of its
/// documentation), as where several open a file for the first time.
fn patiently<T>(patience: Duration, work: impl Fn() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let begun = Instant::now();
    loop {
        match work() {
            Err(error) if is_locked(&error) && begun.elapsed() < patience => {
                std::thread::sleep(PAUSE.min(patience));
            }
            outcome => return outcome,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Sets whether a commit waits for the disk (`FULL`), or leaves that to the next one that does (`NORMAL`):
/// in a write-ahead log neither damages the file ("PRAGMA synchronous" of SQLite's documentation).
pub(super) fn set_synchronous(connection: &Connection, how: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", how)
}

/// Returns the version of a file that is ours, or empty: how many of the steps it has behind it.
fn check(steps: &[&str], connection: &Connection) -> Result<usize, OpenError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (version, application) = (read("user_version")?, read("application_id")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match usize::try_from(version) {
        Ok(0) if tables == 0 => Ok(0),
        _ if application != APPLICATION => Err(OpenError::Foreign),
        Err(_) => Err(OpenError::Foreign),
        Ok(version) if version > steps.len() => {
            Err(OpenError::Newer { file: version, known: steps.len() })
        }
        Ok(version) => Ok(version),
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Foreign => f.write_str("the database belongs to another program"),
            Self::Newer { file, known } => write!(
                f,
                "the file has version {file}, and this program knows no later one than {known}: \
                 it was written by a newer ember; update this program, or name another file"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A file in a folder of its own, which goes away with this.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = format!("ember-schema-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn open_by(&self, steps: &[&str]) -> Result<Connection, OpenError> {
            // Eight that open one file at once may take long on a busy machine.
            super::open_by(steps, &self.0.join("store.db"), Duration::from_secs(60))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn error_after(change: &str) -> String {
        let place = Place::new(&format!("after-{}", change.len()));
        place.open_by(STEPS).unwrap().execute_batch(change).unwrap();
        place.open_by(STEPS).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_files_of_ours_and_of_our_time_are_opened() {
        assert_eq!(error_after(""), "");
        assert!(error_after("PRAGMA user_version = 7").contains("version 7"));
        assert!(error_after("PRAGMA user_version = -1").contains("another program"));
        assert!(error_after("PRAGMA application_id = 12").contains("another program"));
    }

    /// What a later version of this library may do.
    const LATER: &[&str] = &[
        STEPS[0],
        "ALTER TABLE entries ADD COLUMN tag TEXT NOT NULL DEFAULT 'none'",
        "UPDATE entries SET tag = 'old'; CREATE TABLE more (key TEXT)",
    ];

    #[test]
    fn a_file_goes_forward_with_what_is_in_it_and_never_back() {
        let place = Place::new("forward");
        let old = place.open_by(&LATER[..1]).unwrap();
        old.execute("INSERT INTO entries VALUES ('a', x'31', NULL)", []).unwrap();
        drop(old);
        let tag = |steps| {
            let new = place.open_by(steps).unwrap();
            new.query_row("SELECT value || tag FROM entries", [], |row| row.get::<_, String>(0))
        };
        assert_eq!(tag(&LATER[..2]), Ok("1none".to_owned()), "one step");
        assert_eq!(tag(LATER), Ok("1old".to_owned()), "and the next");
        assert_eq!(tag(LATER), Ok("1old".to_owned()), "each is done once");
        let error = place.open_by(&LATER[..2]).unwrap_err().to_string();
        assert!(error.contains("version 3") && error.contains("later one than 2"), "{error}");
        let fresh = Place::new("fresh");
        drop(fresh.open_by(LATER).unwrap());
        assert!(fresh.open_by(&LATER[..1]).is_err(), "a new file has all steps behind it");
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let place = Place::new("fails");
        drop(place.open_by(&LATER[..1]).unwrap());
        let wrong = [LATER[0], LATER[1], "UPDATE missing SET tag = 'new'"];
        let error = place.open_by(&wrong).unwrap_err().to_string();
        assert!(error.contains("no such table"), "{error}");
        let old = place.open_by(&LATER[..1]).unwrap();
        assert!(old.prepare("SELECT tag FROM entries").is_err(), "the second step is undone");
    }

    #[test]
    fn a_file_that_another_begins_is_waited_for() {
        let place = Place::new("begun");
        // As it is between two steps of whoever is first: there, and not written ahead yet.
        let other = Connection::open(place.0.join("store.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| place.open_by(STEPS));
            std::thread::sleep(Duration::from_millis(200));
            other.execute_batch("COMMIT").unwrap();
            opening.join().unwrap().unwrap();
        });
    }

    #[test]
    fn many_may_open_a_file_that_is_not_there() {
        for round in 0..10 {
            let place = Place::new(&format!("none-{round}"));
            std::thread::scope(|scope| {
                let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| place.open_by(STEPS))).collect();
                for opened in opened {
                    opened.join().unwrap().unwrap();
                }
            });
        }
    }

    #[test]
    fn of_many_who_open_an_old_file_one_takes_the_steps() {
        let place = Place::new("many");
        drop(place.open_by(&LATER[..1]).unwrap());
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| place.open_by(LATER))).collect();
            for opened in opened {
                opened.join().unwrap().unwrap();
            }
        });
    }
}
