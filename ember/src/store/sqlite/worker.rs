use super::schema;
use crate::base::Error;
use crate::store::failure::away;
use rusqlite::{Connection, ErrorCode};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many operations may wait for the thread.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(Result<&mut Connection, SqliteError>) -> Afterwards + Send>;

/// What becomes of the connection after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Keep,
    /// The next operation opens the file again: it may be another one by then, or another's rights.
    Reopen,
}

/// The thread that has the connection. SQLite blocks, and the workers of a server must not.
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
                return Afterwards::Keep;
            }
            let mut afterwards = Afterwards::Keep;
            let outcome = connection.and_then(|connection| {
                work(connection).map_err(|error| {
                    afterwards = after(&error);
                    SqliteError { path, reason: explain(&error) }
                })
            });
            let _ = tell.send(outcome);
            afterwards
        });
        let answer = async {
            self.jobs.send(job).await.map_err(|_| away("the thread of the store has ended"))?;
            told.await.map_err(|_| away("an operation on the store failed"))?.map_err(away)
        };
        // The file may be locked for as long as its patience; others may wait before us.
        match tokio::time::timeout(self.patience * 2, answer).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(away("the store has more to do than it can, or its disk does not answer"))
            }
        }
    }
}

fn serve(path: &Arc<Path>, patience: Duration, mut queue: mpsc::Receiver<Job>) {
    let mut connection: Option<Connection> = None;
    while let Some(job) = queue.blocking_recv() {
        if connection.is_none() {
            match schema::open(path, patience) {
                Ok(opened) => connection = Some(opened),
                Err(error) => {
                    job(Err(SqliteError { path: Arc::clone(path), reason: reason(&error) }));
                    continue;
                }
            }
        }
        let afterwards = connection.as_mut().map(|connection| job(Ok(connection)));
        if afterwards == Some(Afterwards::Reopen) {
            connection = None;
        }
    }
}

/// A file that may only be read is opened only to be read, and stays so for whoever has it open; what
/// is damaged, or cannot be reached, may be put in order while we run.
fn after(error: &rusqlite::Error) -> Afterwards {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase,
        ) => Afterwards::Reopen,
        _ => Afterwards::Keep,
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
