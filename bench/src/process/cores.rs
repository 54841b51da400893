//! The cores of the machine: one for what is measured, and another for what drives it.

use crate::Result;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use std::sync::OnceLock;

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
    let told = std::env::var(TOLD).ok();
    let cores: Vec<usize> = match &told {
        Some(told) => told.split(',').filter_map(|core| core.parse().ok()).collect(),
        None => cores,
    };
    CORES.get_or_init(|| cores);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(())
}

/// The cores that this program may use.
pub(crate) fn allowed() -> Result<&'static [usize]> {
    Ok(CORES.get().ok_or("no core was found")?)
}

/// Binds this process to one core. With a single core all share it, which the table's head tells.
pub(crate) fn pin(core: Core) -> Result {
    bind(Pid::from_raw(0), core)
}

/// Binds a process to one of the cores.
pub(super) fn bind(process: Pid, core: Core) -> Result {
    let cores = allowed()?;
    let core = match core {
        Core::Measured => cores.first(),
        Core::Driver => cores.last(),
    };
    let mut set = CpuSet::new();
    set.set(*core.ok_or("this process may run on no core")?)?;
    Ok(sched_setaffinity(process, &set)?)
}

/// The variable of the environment by which a child is told the cores.
pub(super) const TOLD: &str = "EMBER_BENCH_CORES";

static CORES: OnceLock<Vec<usize>> = OnceLock::new();
