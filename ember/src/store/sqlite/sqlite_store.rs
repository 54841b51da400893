use super::schema;
use super::worker::Worker;
use crate::base::{Clock, Error};
use crate::store::capability::Capability;
use crate::store::draw::{self, Bucket, Change, Draw, Drawn};
use crate::store::store::{ScanPage, Store};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// After how many writes values that have expired are looked for, and how many are dropped then.
const SWEEP: (u64, usize) = (256, 1024);

/// The longest value, in bytes: what SQLite keeps in one row at most is about 1 GB, and all of it is
/// copied.
const MAX_VALUE: usize = 256 << 20;

/// Keeps values in one file, by SQLite. Clones share it, and so do processes on one machine.
///
/// What a write has acknowledged is on the disk: it survives `kill -9`, and a power cut as far as the
/// disk tells the truth. Draws from buckets are the exception: they survive `kill -9`, but a power cut can
/// undo those that no other write has followed, so that no request waits for the disk to be counted;
/// a limit then has a little more than it should. The file is opened with the first operation, created where it is missing
/// (not its folder), and brought to the present version of its schema; one that a newer version of
/// this library has written is refused.
#[derive(Clone)]
pub struct SqliteStore {
    worker: Worker,
    path: PathBuf,
    writes: Arc<AtomicU64>,
    clock: Clock,
}

impl SqliteStore {
    /// Keeps values in this file, which another program may keep locked for two seconds at most.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_patience(path, Duration::from_secs(2))
    }

    /// As [`SqliteStore::new`], with another time to wait while the file is locked. An operation ends
    /// after twice that in any case.
    pub fn with_patience(path: impl Into<PathBuf>, patience: Duration) -> Self {
        let path = path.into();
        let worker = Worker::new(path.clone(), patience);
        Self { worker, path, writes: Arc::default(), clock: Clock::system() }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn now(&self) -> i64 {
        milliseconds(self.clock.date())
    }

    /// When something ends that lasts so long; `None` is never.
    fn end(&self, ttl: Duration) -> Option<i64> {
        let ttl = i64::try_from(ttl.as_nanos().div_ceil(1_000_000)).ok()?;
        self.now().checked_add(ttl)
    }

    fn is_time_to_sweep(&self) -> bool {
        self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP.0)
    }
}

fn milliseconds(date: SystemTime) -> i64 {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn put(
    connection: &Connection,
    key: &str,
    value: &[u8],
    expires: Option<i64>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO entries (key, value, expires) VALUES (?1, ?2, ?3)
               ON CONFLICT (key) DO UPDATE SET value = ?2, expires = ?3";
    connection.prepare_cached(sql)?.execute(params![key, value, expires])?;
    Ok(())
}

fn read(connection: &Connection, key: &str, now: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT value FROM entries WHERE key = ?1 AND (expires IS NULL OR expires > ?2)";
    connection.prepare_cached(sql)?.query_row(params![key, now], |row| row.get(0)).optional()
}

fn exists(connection: &Connection, key: &str, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM entries WHERE key = ?1 AND (expires IS NULL OR expires > ?2)";
    connection.prepare_cached(sql)?.exists(params![key, now])
}

fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM entries WHERE key IN
               (SELECT key FROM entries WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";
    connection.execute(sql, params![now, i64::try_from(SWEEP.1).unwrap_or(i64::MAX)])?;
    connection.execute("DELETE FROM locks WHERE until <= ?1", [now])?;
    Ok(())
}

fn checked(value: &Bytes) -> Result<(), Error> {
    if value.len() > MAX_VALUE {
        return Err(Error::payload_too_large("This is too large to be kept."));
    }
    Ok(())
}

impl Store for SqliteStore {
    fn name(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }

    fn capabilities(&self) -> &'static [Capability] {
        Capability::ALL
    }

    async fn check(&self) -> Result<String, Error> {
        let check = |connection: &mut Connection| {
            // A file that can only be read is found out here, and not by the first user.
            let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            write.execute("UPDATE fence SET token = token", [])?;
            write.commit()?;
            connection.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0))
        };
        let entries = self.worker.run(check).await?;
        let (sqlite, version) = (rusqlite::version(), schema::VERSION);
        let path = self.path.display();
        Ok(format!("SQLite {sqlite} in {path}, schema {version}, {entries} entries"))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let (key, now) = (key.to_owned(), self.now());
        let value = self.worker.run(move |connection| read(connection, &key, now)).await?;
        Ok(value.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        checked(&value)?;
        let (key, now, expires) = (key.to_owned(), self.now(), self.end(ttl));
        let sweeps = self.is_time_to_sweep();
        let write = move |connection: &mut Connection| {
            put(connection, &key, &value, expires)?;
            if sweeps { sweep(connection, now) } else { Ok(()) }
        };
        self.worker.run(write).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let (key, now) = (key.to_owned(), self.now());
        let delete = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let was_there = exists(&step, &key, now)?;
            step.prepare_cached("DELETE FROM entries WHERE key = ?1")?.execute([&key])?;
            step.commit()?;
            Ok(was_there)
        };
        self.worker.run(delete).await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        let (key, now) = (key.to_owned(), self.now());
        self.worker.run(move |connection| exists(connection, &key, now)).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        checked(&value)?;
        let (key, now, expires) = (key.to_owned(), self.now(), self.end(ttl));
        let sweeps = self.is_time_to_sweep();
        let change = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_expected = read(&step, &key, now)?.as_deref() == expected.as_deref();
            if is_expected {
                put(&step, &key, &value, expires)?;
            }
            if sweeps {
                sweep(&step, now)?;
            }
            step.commit()?;
            Ok(is_expected)
        };
        self.worker.run(change).await
    }

    async fn draw(&self, key: &str, bucket: Bucket, what: Draw) -> Result<Drawn, Error> {
        let (key, date) = (key.to_owned(), self.clock.date());
        let micros = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        let (now, store) = (self.now(), self.clone());
        let draw = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let kept = read(&step, &key, now)?;
            let outcome = draw::draw(kept.as_deref(), &bucket, what, micros);
            match &outcome {
                Ok((_, Change::Forget)) => {
                    step.prepare_cached("DELETE FROM entries WHERE key = ?1")?.execute([&key])?;
                }
                Ok((_, Change::Keep(value, ttl))) => put(&step, &key, value, store.end(*ttl))?,
                Ok((_, Change::Nothing)) | Err(_) => return Ok(outcome),
            }
            if store.is_time_to_sweep() {
                sweep(&step, now)?;
            }
            step.commit()?;
            Ok(outcome)
        };
        self.worker.run_lightly(draw).await?.map(|(drawn, _)| drawn)
    }

    async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        let (prefix, now) = (prefix.to_owned(), self.now());
        let after = cursor.map(str::to_owned);
        let limit = limit.max(1);
        let scan = move |connection: &mut Connection| {
            // Keys are compared byte by byte, so those that begin alike stand together.
            let sql = "SELECT key FROM entries
                       WHERE key >= ?1 AND (?2 IS NULL OR key > ?2) AND substr(key, 1, ?3) = ?1
                       AND (expires IS NULL OR expires > ?4) AND (?5 IS NULL OR key < ?5)
                       ORDER BY key LIMIT ?6";
            let characters = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = params![prefix, after, characters, now, end_of(&prefix), most];
            let mut scan = connection.prepare_cached(sql)?;
            scan.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let keys = self.worker.run(scan).await?;
        let cursor = if keys.len() < limit { None } else { keys.last().cloned() };
        Ok(ScanPage::new(keys, cursor))
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        let (key, now) = (key.to_owned(), self.now());
        let until = self.end(hold).unwrap_or(i64::MAX);
        let lock = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_held = step
                .prepare_cached("SELECT 1 FROM locks WHERE key = ?1 AND until > ?2")?
                .exists(params![key, now])?;
            if is_held {
                return Ok(None);
            }
            let sql = "UPDATE fence SET token = token + 1 RETURNING token";
            let token: i64 = step.query_row(sql, [], |row| row.get(0))?;
            let sql = "INSERT OR REPLACE INTO locks (key, token, until) VALUES (?1, ?2, ?3)";
            step.prepare_cached(sql)?.execute(params![key, token, until])?;
            step.commit()?;
            Ok(Some(token))
        };
        let token = self.worker.run(lock).await?;
        Ok(token.and_then(|token| u64::try_from(token).ok()))
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        let Ok(token) = i64::try_from(token) else { return Ok(false) };
        let (key, now) = (key.to_owned(), self.now());
        let until = self.end(hold).unwrap_or(i64::MAX);
        let renew = move |connection: &mut Connection| {
            let sql = "UPDATE locks SET until = ?1 WHERE key = ?2 AND token = ?3 AND until > ?4";
            connection.prepare_cached(sql)?.execute(params![until, key, token, now])
        };
        Ok(self.worker.run(renew).await? > 0)
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        let Ok(token) = i64::try_from(token) else { return Ok(false) };
        let (key, now) = (key.to_owned(), self.now());
        let unlock = move |connection: &mut Connection| {
            let sql = "DELETE FROM locks WHERE key = ?1 AND token = ?2 AND until > ?3";
            connection.prepare_cached(sql)?.execute(params![key, token, now])
        };
        Ok(self.worker.run(unlock).await? > 0)
    }
}

/// The first text after all that begin like this, as far as one character tells.
fn end_of(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    let last = end.pop()?;
    end.push(char::from_u32(u32::from(last) + 1)?);
    Some(end)
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}
