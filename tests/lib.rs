//! What the tests share: models and stores that do as they are told, servers and services over real
//! sockets, and raw requests.

mod asking;
pub mod flaky;
mod frames;
pub mod gated;
mod models;
mod money;
mod program;
mod raw;
mod server;
pub mod stores;
mod trusting;
mod upstream;

pub use asking::{ask, number};
pub use frames::frames;
pub use models::{counting, model, moody};
pub use money::{dear, priced, usd};
pub use program::Program;
pub use raw::{RawResponse, ask_on_socket, exchange, read_response};
pub use server::Server;
pub use trusting::Trusting;
pub use upstream::{Reply, Seen, Upstream};

use ember::base::clock::{ManualClock, millis};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

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

/// One of the schemas that OpenAI publishes, where they lie beside the project: `chat_response`,
/// `chat_chunk`, `error`. It holds what it refers to and no more, as others use an older dialect.
pub fn openai_schema(root: &str) -> Option<Value> {
    let bytes = std::fs::read(shared("openai_schema/openai_subset.json")?).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let mut schema = document["roots"][root].clone();
    let mut needed = serde_json::Map::new();
    let mut open = vec![schema.to_string()];
    while let Some(text) = open.pop() {
        for name in text.split("\"#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
            if !needed.contains_key(name) {
                open.push(document["$defs"][name].to_string());
                needed.insert(name.to_owned(), document["$defs"][name].clone());
            }
        }
    }
    schema["$defs"] = Value::Object(needed);
    Some(schema)
}

/// Lets time pass whenever somebody waits for it, and tells how much has passed.
pub async fn in_no_time<T>(hands: &ManualClock, work: impl Future<Output = T>) -> (T, Duration) {
    let clock = hands.clock();
    let started = clock.now();
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => return (outcome, clock.now() - started),
            () = tokio::task::yield_now() => {
                if hands.sleepers() > 0 {
                    hands.advance(millis(10));
                }
            }
        }
    }
}
