//! Programs of somebody else.

use super::cores::{Core, bind};
use super::measured::without_settings;
use crate::Result;
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

    /// The time that it and the processes that it has started have been on the processor, user and
    /// system, by proc_pid_stat(5).
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let ticks = ticks(self.0.id()).ok_or("the kernel tells no CPU time")?;
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

/// An address whose port was free a moment ago: for programs that take a number only. Nobody else is
/// likely to get the same one in between.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Of a process, of its children that have ended, and of those that run; `None` if it is gone.
fn ticks(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in parentheses, can hold spaces.
    let (_, fields) = text.rsplit_once(')')?;
    let own: u64 = fields.split_whitespace().skip(11).take(4).flat_map(str::parse::<u64>).sum();
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let children = threads.flat_map(|thread| {
        // A child that ends meanwhile is counted with its parent the next time.
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().flat_map(str::parse::<u32>).collect::<Vec<_>>()
    });
    Some(own + children.filter_map(ticks).sum::<u64>())
}
