//! Sessions: what a service remembers of a visitor between requests.
//!
//! A handler takes a [`Session`]; a [`SessionEngine`] keeps what is in it; a [`SessionConfig`],
//! which is a component, holds the engine, the cookie and the times.
//!
//! The client knows nothing but an id of 128 random bits. An id that the engine does not know is
//! never taken over, so that nobody can fix the id of somebody else's session in advance. Call
//! [`Session::renew`] whenever somebody logs in.
//!
//! # Requests of one session at the same time
//!
//! Requests do not wait for each other, and lose nothing of each other silently. Each saves its
//! own changes onto what the others have saved: changes of different keys are all kept. Of two
//! that set the same key the later one wins, unless it had read the key: then its change rests on
//! a value that is gone, and it is answered with 409 instead of being saved. So is a request whose
//! session has ended, or got another id, while it ran. The refused alternative is a lock for each
//! session: one slow request would hold up the whole page.

mod engine;
mod memory;
mod store;
mod config;
mod state;
#[expect(clippy::module_inception, reason = "the folder is about the type")]
mod session;

pub use config::SessionConfig;
pub use engine::{SessionEngine, SessionRecord};
pub use memory::MemorySession;
pub use session::Session;
pub use store::StoreSession;
