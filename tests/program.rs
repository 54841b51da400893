use std::io::{self, BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a program may take to start, or to answer.
const LONG: Duration = Duration::from_secs(20);

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
        let child = command
            .env("EMBER_HOST", host)
            .env("EMBER_PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From here on it is killed whatever happens.
        let mut program = Self { child, address: String::new() };
        let mut output = BufReader::new(program.child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut first = String::new();
            let read = output.read_line(&mut first);
            let _ = tell.send(read.map(|_| first));
            // Whatever else it prints is read, so that it never waits for that.
            let _ = io::copy(&mut output, &mut io::sink());
        });
        let first = told.recv_timeout(LONG).expect("it prints where it serves in time").unwrap();
        let first = first.trim();
        let place = first.split_once("http://").or_else(|| first.rsplit_once(" on "));
        program.address = place.expect("it prints where it serves").1.to_owned();
        program
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
        socket.set_read_timeout(Some(LONG)).unwrap();
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
