//! Pieces of Ember's public interface, each measured alone.
//!
//! `cargo bench` times them and counts their allocations, and `cargo run --release -- instructions`
//! compares what they execute with what is kept in `instructions.toml`. A piece checks its own
//! result, so that nothing is measured that does not work.

#![expect(clippy::expect_used, reason = "what cannot be measured ends the run, and says why")]

mod web;
mod sse;
mod adapters;
mod registry;
mod schema;

/// One piece.
#[derive(Debug, Clone, Copy)]
pub struct Micro {
    /// What it is called: the area, and what is done there.
    pub name: &'static str,
    /// Makes it ready; what that costs is not its own.
    pub ready: fn() -> Work,
}

/// Does the piece once.
pub type Work = Box<dyn FnMut()>;

/// All pieces, by area.
pub fn all() -> impl Iterator<Item = Micro> {
    let areas = [web::ALL, sse::ALL, adapters::ALL, registry::ALL, schema::ALL];
    areas.into_iter().flatten().map(|(name, ready)| Micro { name, ready: *ready })
}

/// The piece of a name.
pub fn find(name: &str) -> Option<Micro> {
    all().find(|micro| micro.name == name)
}

/// The pieces of one area.
type Area = &'static [(&'static str, fn() -> Work)];
