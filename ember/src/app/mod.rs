//! Puts an application together: collect, check, serve.
//!
//! [`Ember`] collects what the macros and the program itself provide, checks all of it at once,
//! and becomes a [`Ready`] application or a [`LaunchError`] that names every problem. Nothing
//! that is knowable at start-up is left to the first request.

mod launch;
mod gather;
mod lifecycle;
mod checks;
mod limits;
mod state;
#[cfg(feature = "server")]
mod settings;
#[cfg(feature = "server")]
mod log;
mod ready;
mod ember;
mod api;
mod build;
mod listing;
#[cfg(feature = "server")]
mod running;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod command;

pub use ember::Ember;
pub use launch::LaunchError;
pub use ready::Ready;
#[cfg(feature = "server")]
pub use running::{Running, Stop};
