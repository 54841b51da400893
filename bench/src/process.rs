//! Processes that are measured, and the line protocol by which they are asked.
//!
//! A child answers each line on its standard input with one on its standard output, and ends with
//! its input.

use crate::{Error, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Where a process runs.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// What is measured.
    Measured,
    /// What drives it, or answers it.
    Driver,
}

/// Finds the cores, and allows as many files as ten thousand connections need.
pub(crate) fn prepare() -> Result {
    let allowed = sched_getaffinity(Pid::this())?;
    let cores: Vec<usize> =
        (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
    // A child starts with the one core of its parent, so the numbers are told to it.
    let told = std::env::var("EMBER_BENCH_CORES").ok();
    let cores: Vec<usize> = match &told {
        Some(told) => told.split(',').filter_map(|core| core.parse().ok()).collect(),
        None => cores,
    };
    CORES.get_or_init(|| cores);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(())
}

/// Binds this process to one core. With a single core all share it, which the table's head tells.
pub(crate) fn pin(core: Core) -> Result {
    bind(Pid::from_raw(0), core)
}

/// Binds a process to one of the cores.
fn bind(process: Pid, core: Core) -> Result {
    let cores = CORES.get().ok_or("no core was found")?;
    let core = match core {
        Core::Measured => cores.first(),
        Core::Driver => cores.last(),
    };
    let mut set = CpuSet::new();
    set.set(*core.ok_or("this process may run on no core")?)?;
    Ok(sched_setaffinity(process, &set)?)
}

static CORES: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();

/// What a process has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    /// On the processor, user and system.
    pub(crate) cpu: Duration,
    /// The most memory that was resident, in KiB.
    pub(crate) peak: u64,
    /// The memory that is resident, in KiB.
    pub(crate) resident: u64,
    /// Bytes handed to a store, where what is measured counts them by [`STORED`].
    pub(crate) stored: u64,
    /// Bytes written to files and sockets, by proc_pid_io(5).
    pub(crate) written: u64,
}

/// Bytes that this process has handed to a store.
pub(crate) static STORED: AtomicU64 = AtomicU64::new(0);

impl Used {
    fn by_this_process() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let time = |time: TimeVal| {
            Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
        };
        let status = std::fs::read_to_string("/proc/self/status")?;
        // A kernel need not account for this.
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let written = io.lines().find_map(|line| line.strip_prefix("wchar:")?.trim().parse().ok());
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| Error::from(format!("the kernel tells no {name}")))
        };
        Ok(Self {
            cpu: time(usage.user_time()) + time(usage.system_time()),
            peak: field("VmHWM:")?,
            resident: field("VmRSS:")?,
            stored: STORED.load(Relaxed),
            written: written.unwrap_or(0),
        })
    }

    fn to_line(self) -> String {
        let Self { cpu, peak, resident, stored, written } = self;
        format!("{} {peak} {resident} {stored} {written}", cpu.as_nanos())
    }

    fn from_line(line: &str) -> Result<Self> {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| format!("a child said: {line}"))?;
        match numbers[..] {
            [cpu, peak, resident, stored, written] => {
                Ok(Self { cpu: Duration::from_nanos(cpu), peak, resident, stored, written })
            }
            _ => Err(format!("a child said: {line}").into()),
        }
    }
}

/// A process that is measured.
pub(crate) struct Measured {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
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
        let cores = CORES.get().ok_or("no core was found")?;
        let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
        let mut child = command
            .arg("child")
            .args(arguments)
            .env("EMBER_BENCH_CORES", cores.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("a child has no output")?);
        Ok(Self { child, input, output })
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads the next line.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a child has ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The address at which a child serves.
    pub(crate) fn address(&mut self) -> Result<SocketAddr> {
        Ok(self.line()?.parse()?)
    }

    /// Says something, and reads what the child has used when it has done it.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Used> {
        let input = self.input.as_mut().ok_or("a child has no input")?;
        writeln!(input, "{line}")?;
        Used::from_line(&self.line()?)
    }

    /// Lets a child end by itself, so that it can tidy up.
    pub(crate) fn end(mut self) -> Result {
        self.input = None;
        self.child.wait()?;
        Ok(())
    }

    /// Ends a child that counts, and tells how many instructions it has executed.
    pub(crate) fn counted(mut self) -> Result<u64> {
        self.input = None;
        let mut errors = BufReader::new(self.child.stderr.take().ok_or("nothing is counted")?);
        let mut collected = None;
        let mut line = String::new();
        while errors.read_line(&mut line)? > 0 {
            if let Some((_, count)) = line.split_once("Collected :") {
                collected = count.trim().parse().ok();
            }
            line.clear();
        }
        self.child.wait()?;
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

/// A program of somebody else that is measured.
pub(crate) struct Foreign(Child);

impl Foreign {
    /// Starts it. What it writes goes nowhere.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        without_settings(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Self(command.spawn()?);
        // Threads that it has not started yet follow.
        let process = Pid::from_raw(i32::try_from(started.0.id())?);
        bind(process, Core::Measured)?;
        Ok(started)
    }

    /// Tells whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// The time that it has been on the processor, user and system, by proc_pid_stat(5).
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name of the program, in parentheses, can hold spaces.
        let (_, fields) = text.rsplit_once(')').ok_or("the kernel tells no CPU time")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<std::result::Result<_, _>>()?;
        let a_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("the kernel tells no clock")?;
        Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A proxy would be measured as well, and settings of Ember would change it.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_lowercase();
        if text.ends_with("_proxy") || text.starts_with("ember_") {
            command.env_remove(&name);
        }
    }
}

/// The role of a client: does so often what it is told, and says what it has used.
pub(crate) fn obey(mut run: impl FnMut(usize) -> Result) -> Result {
    for line in std::io::stdin().lines() {
        run(line?.trim().parse()?)?;
        println!("{}", Used::by_this_process()?.to_line());
    }
    Ok(())
}

/// The role of a server: tells its address, serves, and says what it has used whenever it is asked.
pub(crate) fn serve(run: impl FnOnce(TcpListener) -> Result) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(|| {
        for line in std::io::stdin().lines() {
            match line.map_err(Error::from).and_then(|_| Used::by_this_process()) {
                Ok(used) => println!("{}", used.to_line()),
                Err(error) => eprintln!("{error}"),
            }
        }
        std::process::exit(0);
    });
    run(listener)
}
