//! A program that serves.

use ember_tests::Program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that serves without a model, with the address of its pages.
pub struct Serving {
    pub address: String,
    /// It ends with this.
    _program: Program,
}

impl Serving {
    pub fn start(mut program: Command) -> Self {
        let program = Program::start(program.env("LLM_PROVIDER", "fake"));
        Self { address: program.url(), _program: program }
    }
}

/// Builds an example; returns where the program is.
pub fn example(name: &str) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(&examples).args(["build", "-q", "--all-features", "--example", name]);
    let built = build.args(["--message-format", "json"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8(built.stdout).unwrap();
    let messages = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut built = messages.filter(|message| message["target"]["name"] == name);
    built.find_map(|message| message["executable"].as_str().map(Into::into)).unwrap()
}
