use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that serves, and is killed at the latest when this is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    address: String,
}

impl Program {
    /// Starts a program on a free port of this machine, and waits until it has printed where it serves.
    pub fn start(command: &mut Command) -> Self {
        Self::start_at("127.0.0.1", command)
    }

    /// As [`Program::start`], at another `EMBER_HOST`.
    pub fn start_at(host: &str, command: &mut Command) -> Self {
        let mut child = command
            .env("EMBER_HOST", host)
            .env("EMBER_PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let first = first.trim();
        let place = first.split_once("http://").or_else(|| first.rsplit_once(" on "));
        let address = place.expect("it prints where it serves").1.to_owned();
        Self { child, address }
    }

    /// The host and the port, or the path of a socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address of its pages.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connects to it. Reading takes twenty seconds at most.
    pub fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; tells whether that was a success.
    pub fn ended(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
