//! On what is measured, and what else it does.

use crate::{Result, process};
use std::process::Command;

/// Says on what is measured, of what, and how busy it is before that.
pub(crate) fn print() -> Result {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let allowed: Vec<_> = process::allowed()?.iter().map(usize::to_string).collect();
    println!("{model}, {cores} cores (allowed: {}), Linux {}", allowed.join(", "), kernel.trim());
    println!("{}, commit {}", env!("EMBER_BENCH_RUSTC"), commit());
    print_load("before")
}

/// Says how many tasks wait for the cores, by proc_loadavg(5).
pub(crate) fn print_load(when: &str) -> Result {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: Vec<_> = load.split_whitespace().take(3).collect();
    println!("Load {when}: {} (1, 5 and 15 minutes)\n", load.join(", "));
    Ok(())
}

/// What is checked out, with "-dirty" behind it where that was changed.
fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--exclude=*"]);
    let told = git.output().ok().filter(|output| output.status.success());
    let told = told.and_then(|output| String::from_utf8(output.stdout).ok());
    told.map_or("unknown".to_owned(), |told| told.trim().to_owned())
}
