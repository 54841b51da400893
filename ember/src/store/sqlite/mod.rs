//! A store in one file: see [`SqliteStore`].

mod schema;
mod worker;
mod sqlite_store;

pub use sqlite_store::SqliteStore;
