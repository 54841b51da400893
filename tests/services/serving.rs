//! A program that serves.

use std::io::{BufRead as _, BufReader};
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
