use super::Phase;
use super::activity::{Activity, Ticks};
use super::connection::{Peer, Protocols};
use super::limits::ServerLimits;
use crate::web::site::Site;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

/// One thread's share of the server.
pub(super) struct Worker {
    pub(super) site: Arc<Site>,
    pub(super) limits: ServerLimits,
    pub(super) listener: TcpListener,
    pub(super) phase: watch::Receiver<Phase>,
    /// Among how many workers the connections are shared.
    pub(super) share: usize,
}

impl Worker {
    /// Serves until the server is told to stop. A worker that fails is started anew.
    pub(super) fn run(self) {
        loop {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
            match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::error!(%error, "a worker failed and is started anew"),
                // The panic itself has been reported by the hook.
                Err(_) => tracing::error!("a worker panicked and is started anew"),
            }
            if matches!(*self.phase.borrow(), Phase::Draining(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn serve(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
            let connections = Connections::new(self);
            connections.accept(listener, self.phase.clone()).await;
            Ok(())
        })
    }
}

/// The open connections of a worker.
struct Connections {
    site: Arc<Site>,
    limits: ServerLimits,
    protocols: Protocols,
    ticks: Ticks,
    open: Vec<(Arc<Activity>, AbortHandle)>,
    max_open: usize,
}

impl Connections {
    fn new(worker: &Worker) -> Self {
        Self {
            // A count of its own, so that requests of different workers do not touch the same memory.
            site: Arc::new(worker.site.own_copy()),
            limits: worker.limits.clone(),
            protocols: Protocols::new(&worker.limits),
            ticks: Ticks::new(&worker.limits),
            open: Vec::new(),
            max_open: worker.limits.max_connections.div_ceil(worker.share).max(1),
        }
    }

    /// Accepts until the server drains, and then sees the open connections to their end.
    async fn accept(
        mut self,
        listener: tokio::net::TcpListener,
        mut phase: watch::Receiver<Phase>,
    ) {
        let mut tick = interval(self.ticks.length());
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                accepted = listener.accept(), if self.open.len() < self.max_open => match accepted {
                    Ok((socket, remote)) => self.open(socket, remote),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        // Out of file descriptors, most likely: others must close before it goes on.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                _ = tick.tick() => self.reap(),
                changed = phase.changed() => if changed.is_err() || *phase.borrow() != Phase::Serving {
                    break;
                },
            }
        }
        // What the kernel has accepted already is served as well.
        while let Some(Ok((socket, remote))) = now(listener.accept()).await {
            self.open(socket, remote);
        }
        drop(listener);
        self.drain(phase, tick).await;
    }

    fn open(&mut self, socket: TcpStream, remote: SocketAddr) {
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = socket.set_nodelay(true);
        let activity = Activity::new(self.ticks.clone());
        let peer = Peer {
            site: self.site.clone(),
            remote: Some(remote),
            activity: activity.clone(),
            body_read: self.limits.body_read,
        };
        let task: JoinHandle<()> = tokio::spawn(self.protocols.clone().serve(socket, peer));
        self.open.push((activity, task.abort_handle()));
    }

    /// Forgets connections that have ended, and ends those that have used up their time.
    fn reap(&mut self) {
        self.ticks.advance();
        self.open.retain(|(activity, task)| {
            if activity.is_overdue(&self.limits) {
                task.abort();
            }
            !task.is_finished()
        });
    }

    /// Lets requests finish; whatever is still open at the deadline is cut.
    async fn drain(mut self, mut phase: watch::Receiver<Phase>, mut tick: tokio::time::Interval) {
        for (activity, _) in &self.open {
            activity.close();
        }
        while !self.open.is_empty() {
            let deadline = match *phase.borrow_and_update() {
                Phase::Draining(deadline) => deadline,
                Phase::Serving => Instant::now(),
            };
            tokio::select! {
                () = sleep_until(deadline.into()) => {
                    for (_, task) in self.open.drain(..) {
                        task.abort();
                    }
                    // Aborted tasks drop their sockets when the runtime next runs them.
                    tokio::task::yield_now().await;
                }
                _ = tick.tick() => self.reap(),
                _ = phase.changed() => {}
            }
        }
    }
}

/// Polls a future once.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}
