//! A store on a server that forgets, Memcached: see [`MemcachedStore`].

mod protocol;
mod pool;
mod memcached_store;

pub use memcached_store::MemcachedStore;
