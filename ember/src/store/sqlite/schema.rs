use rusqlite::{Connection, TransactionBehavior};
use std::fmt;
use std::path::Path;
use std::time::Duration;

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
pub(super) const VERSION: i32 = STEPS.len() as i32;

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum OpenError {
    Sqlite(rusqlite::Error),
    /// It has tables, and they are not ours.
    Foreign,
    /// It has a version that this program does not know.
    Newer(i32),
}

/// Opens a file, or creates it, and brings it to the present version.
pub(super) fn open(path: &Path, patience: Duration) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(patience)?;
    let version = check(&connection)?;
    // Readers do not wait for the writer, nor it for them. What is committed is on the disk.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    set_synchronous(&connection, "FULL")?;
    if version < VERSION {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been first.
        let version = check(&transaction)?;
        for step in &STEPS[usize::try_from(version).unwrap_or(0)..] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// Sets whether a commit waits for the disk (`FULL`), or leaves that to the next one that does (`NORMAL`):
/// in a write-ahead log neither damages the file ("PRAGMA synchronous" of SQLite's documentation).
pub(super) fn set_synchronous(connection: &Connection, how: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", how)
}

/// Returns the version of a file that is ours, or empty.
fn check(connection: &Connection) -> Result<i32, OpenError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (version, application) = (read("user_version")?, read("application_id")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match version {
        0 if tables == 0 => Ok(0),
        _ if application != APPLICATION => Err(OpenError::Foreign),
        ..0 => Err(OpenError::Foreign),
        version if version > VERSION => Err(OpenError::Newer(version)),
        version => Ok(version),
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
            Self::Newer(version) => write!(
                f,
                "the file has version {version}, and this program knows no later one than {VERSION}: \
                 it was written by a newer ember; update this program, or name another file"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_after(change: &str) -> String {
        let name = format!("ember-schema-{}-{}", std::process::id(), change.len());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        open(&path, Duration::ZERO).unwrap().execute_batch(change).unwrap();
        let outcome = open(&path, Duration::ZERO);
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
        outcome.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_files_of_ours_and_of_our_time_are_opened() {
        assert_eq!(error_after(""), "");
        assert!(error_after("PRAGMA user_version = 7").contains("version 7"));
        assert!(error_after("PRAGMA application_id = 12").contains("another program"));
    }
}
