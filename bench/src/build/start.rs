//! From the start of a program to its first answer.

use super::{Figures, projects};
use crate::process::{Core, Foreign, pin};
use crate::{Error, Result};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often each program is started.
const STARTS: usize = 50;

/// After how long a program that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The programs take turns, and each runs on a core of its own.
pub(super) fn measure(folder: &Path, figures: &mut [Figures]) -> Result {
    pin(Core::Driver)?;
    for _ in 0..STARTS {
        for (project, figures) in projects::ALL.iter().zip(&mut *figures) {
            let taken = start(&project.program(folder));
            let taken = taken.map_err(|error| format!("{}: {error}", project.name))?;
            figures.starts.push(taken);
        }
    }
    Ok(())
}

fn start(program: &Path) -> Result<Duration> {
    // A port that nobody has at this moment.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = Command::new(program);
    command.env("PORT", address.port().to_string());
    let started = Instant::now();
    let mut running = Foreign::start(command)?;
    loop {
        match ask(address) {
            Ok(()) => return Ok(started.elapsed()),
            Err(error) if started.elapsed() > PATIENCE || running.has_ended()? => {
                return Err(error);
            }
            // It does not listen yet.
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

fn ask(address: SocketAddr) -> Result {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("Hello, World!") {
        true => Ok(()),
        false => Err(Error::from(format!("an answer is wrong: {answer}"))),
    }
}
