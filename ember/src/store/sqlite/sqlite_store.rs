use super::schema;
use super::worker::Worker;
use crate::base::{Clock, Error};
use crate::store::capability::Capability;
use crate::store::draw::{Bucket, Draw, Drawn};
use crate::store::level::{self, Change};
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
    /// What writes.
    worker: Worker,
    /// What only reads, and does not wait for what writes.
    reader: Worker,
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
        let reader = Worker::new(path.clone(), patience);
        Self { worker, reader, path, writes: Arc::default(), clock: Clock::system() }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn is_time_to_sweep(&self) -> bool {
        self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP.0)
    }
}

/// Milliseconds since 1970. It is asked for where the work is done, as it may have waited before.
fn now(clock: &Clock) -> i64 {
    let since = clock.date().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// When something ends that begins now and lasts so long; `None` is never.
fn end(now: i64, ttl: Duration) -> Option<i64> {
    let ttl = i64::try_from(ttl.as_nanos().div_ceil(1_000_000)).ok()?;
    now.checked_add(ttl)
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

/// Drops some of what has expired. If that fails it is done another time.
fn sweep(connection: &Connection, now: i64) {
    let sql = "DELETE FROM entries WHERE key IN
               (SELECT key FROM entries WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";
    let most = i64::try_from(SWEEP.1).unwrap_or(i64::MAX);
    let swept = connection
        .execute(sql, params![now, most])
        .and_then(|_| connection.execute("DELETE FROM locks WHERE until <= ?1", [now]));
    if let Err(error) = swept {
        tracing::debug!(%error, "what has expired was not dropped");
    }
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
            // A file that can only be read, and a disk that is full, are found out here, and not by the
            // first user. SQLite does not write what stays the same; tokens may have gaps.
            let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            write.execute("UPDATE fence SET token = token + 1", [])?;
            write.commit()
        };
        self.worker.run(check).await?;
        let (sqlite, version) = (rusqlite::version(), schema::VERSION);
        Ok(format!("SQLite {sqlite} in {}, schema {version}", self.path.display()))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let value = self.reader.run(move |connection| read(connection, &key, now(&clock))).await?;
        Ok(value.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        checked(&value)?;
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let sweeps = self.is_time_to_sweep();
        let write = move |connection: &mut Connection| {
            let now = now(&clock);
            put(connection, &key, &value, end(now, ttl))?;
            if sweeps {
                sweep(connection, now);
            }
            Ok(())
        };
        self.worker.run(write).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let delete = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let was_there = exists(&step, &key, now(&clock))?;
            step.prepare_cached("DELETE FROM entries WHERE key = ?1")?.execute([&key])?;
            step.commit()?;
            Ok(was_there)
        };
        self.worker.run(delete).await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        let (key, clock) = (key.to_owned(), self.clock.clone());
        self.reader.run(move |connection| exists(connection, &key, now(&clock))).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        checked(&value)?;
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let sweeps = self.is_time_to_sweep();
        let change = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let now = now(&clock);
            let is_expected = read(&step, &key, now)?.as_deref() == expected.as_deref();
            if is_expected {
                put(&step, &key, &value, end(now, ttl))?;
            }
            step.commit()?;
            if sweeps {
                sweep(connection, now);
            }
            Ok(is_expected)
        };
        self.worker.run(change).await
    }

    async fn draw(&self, key: &str, bucket: Bucket, what: Draw) -> Result<Drawn, Error> {
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let sweeps = self.is_time_to_sweep();
        let draw = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let now = now(&clock);
            let micros = u64::try_from(now).unwrap_or(0).saturating_mul(1000);
            let kept = read(&step, &key, now)?;
            let outcome = level::draw(kept.as_deref(), &bucket, what, micros);
            match &outcome {
                Ok((_, Change::Forget)) => {
                    step.prepare_cached("DELETE FROM entries WHERE key = ?1")?.execute([&key])?;
                }
                Ok((_, Change::Keep(value, ttl))) => put(&step, &key, value, end(now, *ttl))?,
                Ok((_, Change::Nothing)) | Err(_) => return Ok(outcome),
            }
            step.commit()?;
            if sweeps {
                sweep(connection, now);
            }
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
        let (prefix, clock) = (prefix.to_owned(), self.clock.clone());
        let after = cursor.map(str::to_owned);
        let limit = limit.max(1);
        let scan = move |connection: &mut Connection| {
            // Keys are compared byte by byte, so those that begin alike stand together, between two
            // bounds that the search can use.
            let (begins, bound) = match &after {
                Some(after) => ("key > ?1", after),
                None => ("key >= ?1", &prefix),
            };
            let end = end_of(&prefix);
            let ends = if end.is_some() { "key < ?2" } else { "?2 IS NULL" };
            let sql = format!(
                "SELECT key FROM entries WHERE {begins} AND {ends} AND substr(key, 1, ?3) = ?4
                 AND (expires IS NULL OR expires > ?5) ORDER BY key LIMIT ?6"
            );
            let characters = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = params![bound, end, characters, prefix, now(&clock), most];
            let mut scan = connection.prepare_cached(&sql)?;
            scan.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let keys = self.reader.run(scan).await?;
        let cursor = if keys.len() < limit { None } else { keys.last().cloned() };
        Ok(ScanPage::new(keys, cursor))
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let lock = move |connection: &mut Connection| {
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let now = now(&clock);
            let until = end(now, hold).unwrap_or(i64::MAX);
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
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let renew = move |connection: &mut Connection| {
            let now = now(&clock);
            let until = end(now, hold).unwrap_or(i64::MAX);
            let sql = "UPDATE locks SET until = ?1 WHERE key = ?2 AND token = ?3 AND until > ?4";
            connection.prepare_cached(sql)?.execute(params![until, key, token, now])
        };
        Ok(self.worker.run(renew).await? > 0)
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        let Ok(token) = i64::try_from(token) else { return Ok(false) };
        let (key, clock) = (key.to_owned(), self.clock.clone());
        let unlock = move |connection: &mut Connection| {
            let now = now(&clock);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::secs;

    /// A limit on the size of a file is what SQLite itself reports as a disk that is full.
    #[tokio::test]
    async fn a_full_disk_is_told_and_used_again_when_there_is_room() {
        let path = std::env::temp_dir().join(format!("ember-full-{}.db", std::process::id()));
        let store = SqliteStore::new(&path);
        store.set("kept", "one".into(), secs(1000)).await.unwrap();
        let limit = async |pages: i64| {
            let set = move |connection: &mut Connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            };
            store.worker.run(set).await.unwrap();
        };
        limit(16).await;
        let large = Bytes::from(vec![0xa5; 100_000]);
        let error = store.set("large", large.clone(), secs(1000)).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(secs(1))));
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert!(!error.message().contains("disk"), "{}", error.message());
        let change = store.compare_and_set("kept", Some("one".into()), large.clone(), secs(1000));
        assert_eq!(change.await.unwrap_err().status(), 503);
        assert_eq!(store.get("kept").await.unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(store.get("large").await.unwrap(), None, "nothing is half");
        limit(1000).await;
        store.set("large", large.clone(), secs(1000)).await.unwrap();
        assert_eq!(store.get("large").await.unwrap(), Some(large));
        drop(store);
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}
