use super::schema;
use crate::base::Error;
use crate::store::failure::{away, not_done};
use rusqlite::{Connection, ErrorCode};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many operations may wait for the thread.
const QUEUE: usize = 1024;

/// Work for the thread, which says whether the connection can be used on.
type Job = Box<dyn FnOnce(Result<&mut Connection, SqliteError>) -> Health + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// The next operation opens the file anew.
    Broken,
}

/// A thread that has a connection. SQLite blocks, and the workers of a server must not.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    path: Arc<Path>,
    patience: Duration,
}

impl Worker {
    /// Begins the thread. The file is opened with the first operation, and again after each failure
    /// to do so.
    pub(super) fn new(path: PathBuf, patience: Duration) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let path: Arc<Path> = path.into();
        let file = Arc::clone(&path);
        let thread = std::thread::Builder::new().name("ember-sqlite".to_owned());
        // Without a thread nobody takes jobs, and every operation says so.
        let _ = thread.spawn(move || serve(&file, patience, queue));
        Self { jobs, path, patience }
    }

    /// As [`Worker::run`], and does not wait until what is written is on the disk.
    pub(super) async fn run_lightly<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let lightly = move |connection: &mut Connection| {
            schema::set_synchronous(connection, "NORMAL")?;
            let outcome = work(connection);
            // Everything else is promised to be on the disk: without this nothing more is done.
            schema::set_synchronous(connection, "FULL")?;
            outcome
        };
        self.run(lightly).await
    }

    /// Does something on the thread, and waits for it no longer than may be.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let path = Arc::clone(&self.path);
        let job: Job = Box::new(move |connection| {
            // Nobody waits for what would be done too late; it must not be done behind their back.
            if tell.is_closed() {
                return Health::Good;
            }
            let mut health = Health::Good;
            let outcome = connection.and_then(|connection| {
                work(connection).map_err(|error| {
                    health = health_after(&error);
                    SqliteError { path, reason: explain(&error) }
                })
            });
            let _ = tell.send(outcome);
            health
        });
        let answer = async {
            self.jobs.send(job).await.map_err(|_| away("the thread of the store has ended"))?;
            // A transaction that fails has changed nothing.
            told.await.map_err(|_| away("an operation on the store failed"))?.map_err(not_done)
        };
        // The file may be locked for as long as its patience; others may wait before us.
        match tokio::time::timeout(self.patience.saturating_mul(2), answer).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(away("the store has more to do than it can, or its disk does not answer"))
            }
        }
    }
}

fn serve(path: &Arc<Path>, patience: Duration, mut queue: mpsc::Receiver<Job>) {
    let mut file: Option<(Connection, Option<FileId>)> = None;
    while let Some(job) = queue.blocking_recv() {
        // What is written to a file that was removed, or put in another's place, is lost.
        if file.as_ref().is_some_and(|(_, id)| *id != file_id(path)) {
            tracing::warn!(path = %path.display(), "the file of the store is another one, and is opened anew");
            file = None;
        }
        if file.is_none() {
            match schema::open(path, patience) {
                Ok(opened) => file = Some((opened, file_id(path))),
                Err(error) => {
                    job(Err(SqliteError { path: Arc::clone(path), reason: reason(&error) }));
                    continue;
                }
            }
        }
        if let Some((connection, _)) = &mut file {
            // Whoever waits for a job that panics is told so, and the others are served.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(Ok(connection))));
            if outcome.unwrap_or(Health::Broken) == Health::Broken {
                file = None;
            }
        }
    }
}

/// Which file it is, whatever its name.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// A file that is open can be neither removed nor replaced.
#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
}

/// Tells whether a connection may be used on. A file that may only be read stays so for whoever has it
/// open, and of what is damaged or cannot be reached nobody knows what it has left behind.
fn health_after(error: &rusqlite::Error) -> Health {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ConstraintViolation
            | ErrorCode::TooBig,
        ) => Health::Good,
        Some(_) => Health::Broken,
        // The mistake was ours, and not that of the file.
        None => Health::Good,
    }
}

fn reason(error: &schema::OpenError) -> String {
    match error {
        schema::OpenError::Sqlite(error) => explain(error),
        error => error.to_string(),
    }
}

/// Says what an error of SQLite means, where its own words say little.
fn explain(error: &rusqlite::Error) -> String {
    let means = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly) => "the file, or one that belongs to it, may only be read",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program keeps the file locked"
        }
        Some(ErrorCode::CannotOpen) => {
            "the file cannot be opened or created, as where its folder is missing"
        }
        Some(ErrorCode::NotADatabase) => "the file is no SQLite database",
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged",
        Some(ErrorCode::TooBig) => "a value is larger than SQLite keeps",
        _ => return error.to_string(),
    };
    format!("{means} ({error})")
}

/// An error of SQLite, with what it means.
#[derive(Debug)]
pub(super) struct SqliteError {
    path: Arc<Path>,
    reason: String,
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for SqliteError {}
