//! A program that serves.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program that serves, with the address that it has printed.
pub struct Serving {
    child: Child,
    pub address: String,
}

impl Serving {
    pub fn start(mut program: Command) -> Self {
        let mut child = program
            .env("LLM_PROVIDER", "fake")
            .env("EMBER_HOST", "127.0.0.1")
            .env("EMBER_PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().split_once("http://").unwrap().1.to_owned();
        Self { child, address: format!("http://{address}") }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
