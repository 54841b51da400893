//! When requests begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};

/// When the requests of one connection begin.
#[derive(Clone)]
pub(super) enum Schedule {
    /// Each as soon as the one before is answered, as long as there is one left for it.
    Left(Arc<AtomicUsize>),
    /// Each as soon as the one before is answered, until then.
    Until(Instant),
    /// At fixed times, whether or not the answers keep up.
    Paced { due: Instant, every: Duration, until: Instant },
    /// At fixed times, each over whichever connection is free.
    Handed(Arc<Mutex<mpsc::Receiver<Instant>>>),
}

impl Schedule {
    /// Hands out so many requests, so far apart, over connections of this number.
    ///
    /// A task waits for each moment without sleeping, as a timer would be late by up to a millisecond,
    /// and wake all whose turn was in it at once. It needs a core that has nothing else to do.
    pub(super) fn hand_out(requests: usize, apart: Duration, connections: usize) -> Self {
        let (sender, receiver) = mpsc::channel(connections.max(1));
        tokio::spawn(async move {
            let start = Instant::now();
            for number in 0..requests {
                let due = start + apart.mul_f64(number as f64);
                while Instant::now() < due {
                    tokio::task::yield_now().await;
                }
                if sender.send(due).await.is_err() {
                    return;
                }
            }
        });
        Self::Handed(Arc::new(Mutex::new(receiver)))
    }

    /// Waits for the time of the next request, and tells what it is; `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Left(left) => left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
                .then(Instant::now),
            Self::Until(until) => Some(Instant::now()).filter(|now| now < until),
            Self::Paced { due, every, until } => {
                let time = *due;
                *due += *every;
                if time >= *until {
                    return None;
                }
                if time <= Instant::now() {
                    // It is late by the fault of the answer before, so that its wait counts.
                    return Some(time);
                }
                // A timer is late by up to a millisecond, which is no fault of the server.
                tokio::time::sleep_until(time.into()).await;
                Some(Instant::now())
            }
            Self::Handed(requests) => requests.lock().await.recv().await,
        }
    }
}
