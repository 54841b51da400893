//! What the routes stand on.

pub(crate) mod db;
