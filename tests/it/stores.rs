//! The stores that need no server.

use ember::Error;
use ember::bytes::Bytes;
use ember::store::{Capability, MemoryStore, ScanPage, Store};
use ember_tests::stores::conforms;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_a_store() {
    conforms(MemoryStore::new()).await;
}

/// A store of somebody else, which only does what it must.
#[derive(Clone)]
struct Plain(MemoryStore);

impl Store for Plain {
    fn name(&self) -> String {
        "plain".to_owned()
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Scan, Capability::Lock]
    }

    async fn check(&self) -> Result<String, Error> {
        self.0.check().await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.0.set(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.0.delete(key).await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.0.exists(key).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        tokio::task::yield_now().await;
        self.0.compare_and_set(key, expected, value, ttl).await
    }

    async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        self.0.scan(prefix, cursor, limit).await
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        self.0.try_lock(key, hold).await
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        self.0.renew(key, token, hold).await
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        self.0.unlock(key, token).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_draws_by_comparing_is_a_store() {
    conforms(Plain(MemoryStore::new())).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::conforms;
    use ember::Env;
    use ember::llm::{FakeProvider, FakeReply};
    use ember::prelude::*;
    use ember::store::{SqliteStore, Store as _};
    use ember::testing::TestClient;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        conforms(SqliteStore::new(folder.path().join("store.db"))).await;
    }

    #[tokio::test]
    async fn a_file_outlives_whoever_wrote_it_and_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let first = SqliteStore::new(&path);
        first.set("a", "one".into(), secs(1000)).await.unwrap();
        let second = SqliteStore::new(&path);
        assert_eq!(second.get("a").await.unwrap().as_deref(), Some(&b"one"[..]));
        let token = first.try_lock("a", secs(100)).await.unwrap().unwrap();
        assert_eq!(second.try_lock("a", secs(100)).await.unwrap(), None);
        drop(first);
        let third = SqliteStore::new(&path);
        assert!(third.unlock("a", token).await.unwrap(), "locks outlive whoever took them, too");
    }

    #[ai_route("/chat")]
    async fn chat(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
        conversation.ask(message).await
    }

    #[get("/visits")]
    async fn visits(session: Session) -> ember::Result<String> {
        let visits = session.get::<u32>("visits")?.unwrap_or_default() + 1;
        session.insert("visits", visits)?;
        Ok(visits.to_string())
    }

    /// One variable says where everything is kept that a request leaves behind.
    #[tokio::test]
    async fn a_variable_switches_a_whole_application() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("state.db").display());
        let (mut cookie, mut id) = (String::new(), String::new());
        for run in 1..=3 {
            let model = FakeProvider::new().respond(|request| {
                FakeReply::new().text(format!("{} messages", request.messages.len()))
            });
            let app = Ember::new()
                .route(chat {})
                .route(visits {})
                .client(Client::new(model))
                .env(Env::of([("EMBER_STORE", url.as_str())]));
            let app = TestClient::new(app.build().unwrap());
            let said = app.post("/chat").header("x-conversation-id", &id).body("Hi").send();
            let request = app.get("/visits").header("cookie", &cookie);
            let said =
                if id.is_empty() { app.post("/chat").body("Hi").send().await } else { said.await };
            id = said.header("x-conversation-id").unwrap().to_owned();
            assert_eq!(said.text().await, format!("{} messages", 2 * run - 1));
            let visit = request.send().await;
            if let Some(set) = visit.header("set-cookie") {
                cookie = set.split(';').next().unwrap().to_owned();
            }
            assert_eq!(visit.text().await, run.to_string());
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_told_and_then_used() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("later/store.db");
        let store = SqliteStore::new(&nowhere);
        let error = store.set("a", "one".into(), secs(100)).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(secs(1))));
        assert!(error.to_string().contains("cannot be opened"), "{error}");
        assert!(!error.message().contains("later"), "{}", error.message());
        std::fs::create_dir(folder.path().join("later")).unwrap();
        store.set("a", "one".into(), secs(100)).await.unwrap();
        let text = folder.path().join("text.db");
        std::fs::write(
            &text,
            "no database, but a text that is long enough to be one, or is it not?".repeat(9),
        )
        .unwrap();
        let error = SqliteStore::new(&text).check().await.unwrap_err();
        assert!(error.to_string().contains("no SQLite database"), "{error}");
    }

    #[tokio::test]
    async fn a_newer_file_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        SqliteStore::new(&path).set("a", "one".into(), secs(100)).await.unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = SqliteStore::new(&path).get("a").await.unwrap_err();
        assert!(error.to_string().contains("version 99"), "{error}");
        assert!(error.to_string().contains("newer ember"), "{error}");
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        assert_eq!(version, Ok(99));
    }

    #[tokio::test]
    async fn a_locked_file_is_told_in_time_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::with_patience(&path, millis(100));
        store.set("a", "one".into(), secs(100)).await.unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = store.set("a", "two".into(), secs(100)).await.unwrap_err();
        assert_eq!(error.status(), 503);
        assert!(error.to_string().contains("keeps the file locked"), "{error}");
        assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"one"[..]), "it can be read");
        other.execute_batch("COMMIT").unwrap();
        store.set("a", "two".into(), secs(100)).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_that_was_replaced_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("store.db"), folder.path().join("other.db"));
        let store = SqliteStore::new(&path);
        store.set("a", "one".into(), secs(100)).await.unwrap();
        std::fs::rename(&path, &other).unwrap();
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("store.db{end}")));
        }
        SqliteStore::new(&path).set("a", "two".into(), secs(100)).await.unwrap();
        assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"two"[..]));
        store.set("b", "three".into(), secs(100)).await.unwrap();
        let seen = SqliteStore::new(&path).get("b").await.unwrap();
        assert_eq!(seen.as_deref(), Some(&b"three"[..]), "nothing is written to what nobody opens");
    }

    #[tokio::test]
    async fn a_full_file_is_told_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::new(&path);
        store.set("a", "one".into(), secs(100)).await.unwrap();
        // The kernel refuses to write to this file, as it does when the disk is full.
        drop(store);
        let full = SqliteStore::new("/dev/full");
        let error = full.set("a", "one".into(), secs(100)).await.unwrap_err();
        assert_eq!(error.status(), 503, "{error}");
        let again = SqliteStore::new(&path);
        assert_eq!(again.get("a").await.unwrap().as_deref(), Some(&b"one"[..]));
    }
}
