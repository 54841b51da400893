//! From the start of a program to its first answer.

use super::Figures;
use super::projects::{self, Project};
use crate::process::{Core, Foreign, free_address, pin};
use crate::{Error, Result};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often each program is started.
const STARTS: usize = 50;

/// After how long a program that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

const GREETING: &[u8] = b"Hello, World!";

/// The programs take turns, and each runs on a core of its own.
pub(super) fn measure(folder: &Path, figures: &mut [Figures]) -> Result {
    for _ in 0..STARTS {
        for (project, figures) in projects::ALL.iter().zip(&mut *figures) {
            figures.starts.push(once(project, folder)?);
        }
    }
    Ok(())
}

/// Starts a program, and tells how long it took to answer.
pub(super) fn once(project: &Project, folder: &Path) -> Result<Duration> {
    let program = project.program(folder);
    // In a thread of its own, as what is built next may run on all cores.
    let taken = std::thread::scope(|scope| scope.spawn(|| start(&program)).join());
    let taken = taken.map_err(|_| format!("starting {} panics", project.name))?;
    Ok(taken.map_err(|error| format!("{}: {error}", project.name))?)
}

fn start(program: &Path) -> Result<Duration> {
    let address = free_address()?;
    let mut command = Command::new(program);
    command.env("PORT", address.port().to_string());
    // It is born where it is to run.
    pin(Core::Measured)?;
    let started = Instant::now();
    let running = Foreign::start(command);
    pin(Core::Driver)?;
    let mut running = running?;
    loop {
        match connect(address) {
            Ok(connection) => {
                answer(connection)?;
                return Ok(started.elapsed());
            }
            Err(error) if running.has_ended()? => {
                return Err(format!("it has ended before it answered: {error}").into());
            }
            Err(error) if started.elapsed() > PATIENCE => return Err(error.into()),
            // It does not listen yet.
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let connection = TcpStream::connect(address)?;
    // Where nobody listens, a socket may be given the very port that it looks for, and meet itself.
    match connection.local_addr()? == address {
        true => Err(ErrorKind::ConnectionRefused.into()),
        false => Ok(connection),
    }
}

/// Asks, and reads until the greeting is there.
fn answer(mut connection: TcpStream) -> Result {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let (mut answer, mut length) = ([0; 4096], 0);
    while !answer[..length].ends_with(GREETING) {
        match connection.read(&mut answer[length..])? {
            0 => return Err(wrong(&answer[..length])),
            read => length += read,
        }
    }
    match answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(wrong(&answer[..length])),
    }
}

fn wrong(answer: &[u8]) -> Error {
    format!("an answer is wrong: {}", String::from_utf8_lossy(answer)).into()
}
