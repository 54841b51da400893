//! Hello worlds of Ember, axum and hyper: what it takes to build one, how large it is, and how soon it
//! answers.
//!
//! A hello with little in it is compared with the same, and one that can talk to models with another
//! that can; see [`projects`]. Everything is built in a folder of its own, by the cargo that runs this
//! program, on all cores; what is downloaded before does not count.

mod projects;
mod start;
mod report;

use crate::folder::Folder;
use crate::{Options, Result};
use nix::sys::resource::{UsageWho, getrusage};
use projects::Project;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a handler is changed in a round, and built again.
const TOUCHES: usize = 5;

/// How long something took, in seconds.
#[derive(Clone, Copy)]
struct Taken {
    elapsed: f64,
    /// On all processors together.
    cpu: f64,
}

/// What was seen of a project, a value for each round; more for touches and starts.
#[derive(Default)]
struct Figures {
    crates: usize,
    /// Bytes of the release build, as it is and without symbols; the latter where `strip` is at hand.
    size: u64,
    stripped: Option<u64>,
    release: Vec<Taken>,
    debug: Vec<Taken>,
    touched: Vec<Taken>,
    starts: Vec<Duration>,
}

pub(crate) fn measure(options: &Options) -> Result {
    let temporary = Folder::new()?;
    let folder = temporary.path();
    projects::copy_ember(folder)?;
    for project in &projects::ALL {
        project.write(folder)?;
        // Whatever is missing is downloaded here, and not while time is taken.
        cargo(project, folder, &["fetch", "--quiet", "--target", env!("EMBER_BENCH_TARGET")])?;
    }
    let mut figures: Vec<Figures> = projects::ALL.iter().map(|_| Figures::default()).collect();
    for number in 1..=options.rounds {
        for (project, figures) in projects::ALL.iter().zip(&mut figures) {
            eprintln!("round {number} of {}: {}", options.rounds, project.name);
            round(project, folder, figures)?;
            // What does not answer is not built again.
            start::once(project, folder)?;
        }
    }
    report::building(&figures, options.rounds);
    start::measure(folder, &mut figures)?;
    report::size_and_start(&figures);
    Ok(())
}

fn round(project: &Project, folder: &Path, figures: &mut Figures) -> Result {
    let targets = project.folder(folder).join("target");
    if targets.exists() {
        std::fs::remove_dir_all(&targets)?;
    }
    figures.crates = crates(project, folder)?;
    const BUILD: [&str; 3] = ["build", "--quiet", "--offline"];
    figures.debug.push(cargo(project, folder, &BUILD)?);
    for _ in 0..TOUCHES {
        project.greet(folder, &format!("Hello, number {}!", figures.touched.len()))?;
        figures.touched.push(cargo(project, folder, &BUILD)?);
    }
    project.write(folder)?;
    std::fs::remove_dir_all(&targets)?;
    figures.release.push(cargo(project, folder, &[&BUILD[..], &["--release"]].concat())?);
    let program = project.program(folder);
    figures.size = std::fs::metadata(&program)?.len();
    let stripped = program.with_extension("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(&program).status();
    if strip.is_ok_and(|status| status.success()) {
        figures.stripped = Some(std::fs::metadata(&stripped)?.len());
    }
    Ok(())
}

/// Runs cargo, and tells how many seconds it took, and how many on the processors.
fn cargo(project: &Project, folder: &Path, arguments: &[&str]) -> Result<Taken> {
    let (before, started) = (processors()?, Instant::now());
    let status = command(project, folder).args(arguments).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("cargo {} fails for {}", arguments.join(" "), project.name).into());
    }
    Ok(Taken { elapsed: started.elapsed().as_secs_f64(), cpu: processors()? - before })
}

/// Cargo, without what this program's own build has set.
fn command(project: &Project, folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo = text.starts_with("CARGO") && text != "CARGO_HOME";
        if of_cargo || text.contains("RUSTFLAGS") || text.contains("WRAPPER") {
            command.env_remove(&name);
        }
    }
    command.current_dir(project.folder(folder));
    command
}

/// The time that ended children have been on the processors, in seconds.
fn processors() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// How many crates stand in the tree of normal dependencies, the program itself among them, and
/// procedural macros with what they need.
fn crates(project: &Project, folder: &Path) -> Result<usize> {
    let arguments =
        ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = command(project, folder).args(arguments).output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo tree fails for {}: {told}", project.name).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
    Ok(names.filter(|name| !name.is_empty()).collect::<std::collections::HashSet<_>>().len())
}
