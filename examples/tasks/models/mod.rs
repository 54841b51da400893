//! What the application is about, as it travels.

pub(crate) mod task;
pub(crate) mod user;
