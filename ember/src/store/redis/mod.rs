//! A store on a server that many processes share, Redis or Valkey: see [`RedisStore`].

mod link;
mod scripts;
mod redis_store;

pub use redis_store::RedisStore;
