//! What a process has at one moment, and the file of such moments.

use super::Tally;
use crate::Result;
use crate::process::Measured;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// What the kernel says of the process at one moment, by proc(5).
pub(super) struct Sample {
    pub(super) time: Duration,
    /// KiB.
    pub(super) resident: u64,
    pub(super) files: usize,
    pub(super) threads: u64,
    pub(super) requests: u64,
    pub(super) errors: u64,
}

impl Sample {
    /// Of a process that runs.
    pub(super) fn of(server: &Measured, time: Duration, tally: &Tally) -> Result<Self> {
        let folder = format!("/proc/{}", server.id());
        let status = std::fs::read_to_string(format!("{folder}/status"))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| format!("the kernel tells no {name}").into())
        };
        Ok(Self {
            time,
            resident: field("VmRSS:")?,
            files: std::fs::read_dir(format!("{folder}/fd"))?.count(),
            threads: field("Threads:")?,
            requests: tally.requests(),
            errors: tally.errors(),
        })
    }
}

/// A file of samples, as CSV. Each is there as soon as it is taken.
pub(super) struct Csv(File);

impl Csv {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let mut file = File::create(path)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        writeln!(file, "seconds,resident_kib,files,threads,requests,errors")?;
        Ok(Self(file))
    }

    pub(super) fn append(&mut self, sample: &Sample) -> Result {
        let Sample { time, resident, files, threads, requests, errors } = sample;
        let seconds = time.as_secs_f64();
        Ok(writeln!(self.0, "{seconds:.1},{resident},{files},{threads},{requests},{errors}")?)
    }
}
