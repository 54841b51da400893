//! What a process has used.

use crate::{Error, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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
    pub(super) fn by_this_process() -> Result<Self> {
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

    pub(super) fn to_line(self) -> String {
        let Self { cpu, peak, resident, stored, written } = self;
        format!("{} {peak} {resident} {stored} {written}", cpu.as_nanos())
    }

    pub(super) fn from_line(line: &str) -> Result<Self> {
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
