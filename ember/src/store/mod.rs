//! State that outlives a request: what is kept, counted and locked.
//!
//! A [`Store`] keeps bytes under keys: in the memory of the process, in a file, or on a server
//! that many processes share. What needs state takes a [`BoxStore`], and does not care which.
//!
//! Knows nothing of models or HTTP.

mod bounded;
mod locks;
mod token_bucket;
mod failure;
mod capability;
mod draw;
mod level;
mod outage;
mod background;
mod jitter;
#[expect(clippy::module_inception, reason = "the folder is about the trait")]
mod store;
mod boxed;
mod memory;
#[cfg(test)]
pub(crate) mod flaky;
mod lease;
mod lenient;
mod era;
mod claims;
mod single_flight;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod home;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "memcached")]
mod memcached;
mod url;
mod on_failure;
mod shared;
mod bucket_error;
mod global_bucket;

pub(crate) use background::Background;
pub(crate) use bounded::BoundedMap;
pub use boxed::BoxStore;
pub use bucket_error::BucketError;
pub use capability::Capability;
pub use claims::Claims;
pub use draw::{Bucket, Draw, DrawId, Drawn};
pub(crate) use era::Era;
pub use global_bucket::{GlobalTokenBucket, TokenHold};
pub use lease::StoreLock;
pub(crate) use lenient::LenientStore;
pub use locks::{KeyedLock, KeyedLocks};
#[cfg(feature = "memcached")]
pub use memcached::MemcachedStore;
pub use memory::MemoryStore;
pub use on_failure::OnStoreFailure;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub(crate) use shared::{SharedBucket, SharedHold, Taken, key_part};
pub(crate) use single_flight::{Flight, Joined, SingleFlight, Waiting};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use store::{ScanPage, Store};
pub use token_bucket::TokenBucket;
