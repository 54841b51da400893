//! This program in another role, which is measured.

use super::cores::{TOLD, allowed};
use super::used::Used;
use crate::Result;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a child may take for one line: it may have thousands of calls to do, and valgrind around it.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// How long a child may take to start, and to end.
const MOMENT: Duration = Duration::from_secs(60);

/// A process that is measured.
pub(crate) struct Measured {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    /// What valgrind says.
    errors: Option<Lines>,
}

impl Measured {
    /// Starts this program again in another role.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        Self::spawn(Command::new(std::env::current_exe()?), arguments)
    }

    /// The same, where what it logs goes nowhere.
    pub(crate) fn start_quietly(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.stderr(Stdio::null());
        Self::spawn(command, arguments)
    }

    /// The same, within valgrind, which counts instructions.
    pub(crate) fn start_counted(arguments: &[&str]) -> Result<Self> {
        Self::start_in_callgrind(&["--callgrind-out-file=/dev/null".to_owned()], arguments)
    }

    /// The same, with options of callgrind.
    pub(crate) fn start_in_callgrind(options: &[String], arguments: &[&str]) -> Result<Self> {
        let mut valgrind = Command::new("valgrind");
        valgrind
            .arg("--tool=callgrind")
            .args(options)
            .arg(std::env::current_exe()?)
            .stderr(Stdio::piped());
        Self::spawn(valgrind, arguments)
            .map_err(|error| format!("valgrind does not start: {error}").into())
    }

    fn spawn(mut command: Command, arguments: &[&str]) -> Result<Self> {
        without_settings(&mut command);
        let cores: Vec<String> = allowed()?.iter().map(usize::to_string).collect();
        let mut child = command
            .arg("child")
            .args(arguments)
            .env(TOLD, cores.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = Lines::of(child.stdout.take().ok_or("a child has no output")?);
        let errors = child.stderr.take().map(Lines::of);
        Ok(Self { child, input, output, errors })
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The address at which a child serves.
    pub(crate) fn address(&mut self) -> Result<SocketAddr> {
        Ok(self.output.next(MOMENT)?.ok_or(ENDED)?.parse()?)
    }

    /// Says something, and reads what the child has used when it has done it.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Used> {
        let input = self.input.as_mut().ok_or("a child has no input")?;
        writeln!(input, "{line}")?;
        Used::from_line(&self.output.next(PATIENCE)?.ok_or(ENDED)?)
    }

    /// Lets a child end by itself, so that it can tidy up.
    pub(crate) fn end(mut self) -> Result {
        self.input = None;
        let started = Instant::now();
        while !self.has_ended()? {
            if started.elapsed() > MOMENT {
                return Err("a child does not end".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends a child that counts, and tells how many instructions it has executed.
    pub(crate) fn counted(mut self) -> Result<u64> {
        self.input = None;
        let errors = self.errors.as_mut().ok_or("nothing is counted")?;
        let mut collected = None;
        while let Some(line) = errors.next(PATIENCE)? {
            if let Some((_, count)) = line.split_once("Collected :") {
                collected = count.trim().parse().ok();
            }
        }
        self.end()?;
        collected.ok_or_else(|| "valgrind has counted nothing".into())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.input = None;
        // It ends with its input; whatever keeps it from that is of no more interest.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ENDED: &str = "a child has ended early";

/// Lines of a pipe, which nobody awaits for ever.
struct Lines(Receiver<std::io::Result<String>>);

impl Lines {
    /// A thread reads them, and ends with the pipe.
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next line; `None` at the end.
    fn next(&mut self, patience: Duration) -> Result<Option<String>> {
        match self.0.recv_timeout(patience) {
            Ok(line) => Ok(Some(line?)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("a child has said nothing for {} s", patience.as_secs()).into())
            }
        }
    }
}

/// A proxy would be measured as well, and settings of Ember would change it.
pub(super) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_lowercase();
        if text.ends_with("_proxy") || text.starts_with("ember_") {
            command.env_remove(&name);
        }
    }
}
