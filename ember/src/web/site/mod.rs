//! The routes, components and middleware of one application, put together at start-up.
//!
//! [`SiteBuilder`] checks and builds; a [`Site`] never changes after that. A request finds its
//! target in the table, and an [`Answer`] carries it through middleware, hooks and cache to the
//! handler. Whatever goes wrong on the way ends in a response.

mod target;
mod answer;
mod route;
mod caches;
mod table;
mod service;
mod builder;

pub use answer::Answer;
pub(crate) use builder::{Placed, SiteBuilder};
pub use service::Site;
