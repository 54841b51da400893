//! A provider for tests and for first steps: it answers by a script.
//!
//! A reply says what happens, event by event; a player lets it happen; the provider knows which reply is next.

mod reply;
mod player;
mod provider;

pub use provider::FakeProvider;
pub use reply::FakeReply;
