//! What the tests share: a service that answers over a real socket as it is told to, and raw
//! requests.

mod raw;
mod upstream;

pub use raw::{RawResponse, exchange, read_response};
pub use upstream::{Reply, Seen, Upstream};

use std::path::PathBuf;

/// The folder of recorded exchanges, where it exists beside the project.
///
/// Tests that need it do nothing in a clone without it.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    path.exists().then_some(path)
}
