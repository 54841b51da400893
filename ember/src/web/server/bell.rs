//! Rings for the workers, once a tick.
//!
//! A runtime with an armed timer looks at the clock before and after each wait, so that a worker has none: a thread
//! wakes the reapers of all of them. It does nothing else, as all their limits depend on it.

use std::io;
use std::sync::Weak;
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// Wakes whoever waits for one of these once a tick, and ends when none of them is left.
pub(super) fn ring(bells: Vec<Weak<Notify>>, tick: Duration) -> io::Result<()> {
    let every_tick = move || {
        loop {
            thread::sleep(tick);
            let rung = bells.iter().filter_map(Weak::upgrade).inspect(|bell| bell.notify_one());
            if rung.count() == 0 {
                return;
            }
        }
    };
    thread::Builder::new().name("ember-bell".into()).spawn(every_tick)?;
    Ok(())
}
