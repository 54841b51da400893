//! The database: one file, opened at the start and closed at the end.

use crate::models::task::{NewTask, Task, TaskChange, TaskFilter};
use crate::models::user::{NewUser, User};
use ember::Env;
use ember::prelude::*;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};
use std::sync::{Arc, Mutex, PoisonError};

/// The statements that make the tables, each file once.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/001_create_tasks.sql")];

/// The database. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Db(Arc<Mutex<Connection>>);

/// Opens the file that `TASKS_DB` names, or `tasks.db`.
#[component(teardown = close)]
fn open(env: Env) -> Result<Db> {
    let path = env.var("TASKS_DB").unwrap_or_else(|| "tasks.db".to_owned());
    Db::of(Connection::open(&path)?)
}

async fn close(db: Component<Db>) -> Result {
    // SQLite brings up to date what it knows of the tables, for the next start.
    db.run(|connection| connection.execute_batch("PRAGMA optimize")).await
}

impl Db {
    /// A database that is gone with the process, for tests.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Result<Self> {
        Self::of(Connection::open_in_memory()?)
    }

    fn of(mut connection: Connection) -> Result<Self> {
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL")?;
        let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for (number, migration) in (1..).zip(MIGRATIONS).skip(version) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.execute_batch(&format!("PRAGMA user_version = {number}"))?;
            transaction.commit()?;
        }
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs statements where they block nobody.
    async fn run<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.0.clone();
        let run =
            move || statements(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(run).await??)
    }

    pub(crate) async fn tasks(&self, filter: TaskFilter) -> Result<Vec<Task>> {
        self.run(move |connection| {
            let sql = "SELECT id, title, done, owner FROM tasks WHERE ?1 IS NULL OR done = ?1 \
                       ORDER BY id LIMIT ?2 OFFSET ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let tasks =
                statement.query_map(params![filter.done, filter.limit, filter.offset], task)?;
            tasks.collect()
        })
        .await
    }

    pub(crate) async fn tasks_of(&self, owner: i64) -> Result<Vec<Task>> {
        self.run(move |connection| {
            let sql = "SELECT id, title, done, owner FROM tasks WHERE owner = ?1 ORDER BY id";
            connection.prepare_cached(sql)?.query_map([owner], task)?.collect()
        })
        .await
    }

    pub(crate) async fn task(&self, id: i64) -> Result<Option<Task>> {
        self.run(move |connection| {
            let sql = "SELECT id, title, done, owner FROM tasks WHERE id = ?1";
            connection.prepare_cached(sql)?.query_row([id], task).optional()
        })
        .await
    }

    /// Adds a task; `None` if its owner is nobody.
    pub(crate) async fn add_task(&self, new: NewTask) -> Result<Option<Task>> {
        let added = self
            .run(move |connection| {
                let sql = "INSERT INTO tasks (title, owner) VALUES (?1, ?2) RETURNING id, title, done, owner";
                constrained(connection.query_row(sql, params![new.title, new.owner], task))
            })
            .await?;
        Ok(added)
    }

    pub(crate) async fn change_task(&self, id: i64, change: TaskChange) -> Result<Option<Task>> {
        self.run(move |connection| {
            let sql = "UPDATE tasks SET title = coalesce(?2, title), done = coalesce(?3, done) \
                       WHERE id = ?1 RETURNING id, title, done, owner";
            connection.query_row(sql, params![id, change.title, change.done], task).optional()
        })
        .await
    }

    /// Deletes a task, and tells whether there was one.
    pub(crate) async fn delete_task(&self, id: i64) -> Result<bool> {
        self.run(move |connection| {
            Ok(connection.execute("DELETE FROM tasks WHERE id = ?1", [id])? > 0)
        })
        .await
    }

    pub(crate) async fn users(&self) -> Result<Vec<User>> {
        self.run(|connection| {
            let sql = "SELECT id, name FROM users ORDER BY id";
            connection.prepare_cached(sql)?.query_map([], user)?.collect()
        })
        .await
    }

    pub(crate) async fn user(&self, id: i64) -> Result<Option<User>> {
        self.run(move |connection| {
            let sql = "SELECT id, name FROM users WHERE id = ?1";
            connection.prepare_cached(sql)?.query_row([id], user).optional()
        })
        .await
    }

    /// Adds a user; `None` if somebody has that name.
    pub(crate) async fn add_user(&self, new: NewUser) -> Result<Option<User>> {
        self.run(move |connection| {
            let sql = "INSERT INTO users (name) VALUES (?1) RETURNING id, name";
            constrained(connection.query_row(sql, [new.name], user))
        })
        .await
    }
}

/// `None` where a rule of the tables refuses a row.
fn constrained<T>(outcome: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match outcome {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        outcome => outcome.map(Some),
    }
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task { id: row.get(0)?, title: row.get(1)?, done: row.get(2)?, owner: row.get(3)? })
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User { id: row.get(0)?, name: row.get(1)? })
}
