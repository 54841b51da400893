//! What the tests share: a service that answers over a real socket as it is told to, and raw
//! requests.

mod raw;
mod upstream;

pub use raw::{RawResponse, exchange, read_response};
pub use upstream::{Reply, Seen, Upstream};

use std::path::PathBuf;

/// A file or folder of what the tests of this project read.
pub fn fixtures(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// A folder of recorded exchanges, where it exists beside the project.
///
/// Tests read it in addition to the fixtures, which every clone has.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    path.exists().then_some(path)
}
