//! Moves bytes between sockets and a [`Site`].
//!
//! Each worker is a thread with a single-threaded runtime and a listener of its own on the
//! shared port, so that nothing is handed between threads while a request is answered. The
//! refused alternative, one work-stealing runtime, wakes tasks across cores for no gain: a
//! request rarely has work for two. hyper speaks HTTP/1.1 and HTTP/2; everything that bounds
//! it stands in [`ServerLimits`].

mod limits;
mod listen;
mod activity;
mod stream;
mod body;
mod connection;
mod worker;

pub use limits::ServerLimits;
pub use listen::Bind;

use super::site::Site;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use worker::Worker;

/// A server that has not started yet.
pub struct Server {
    site: Arc<Site>,
    limits: ServerLimits,
    workers: usize,
}

/// Whether the workers serve, finish, or break off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new connections; what is under way may finish until then.
    Draining(Instant),
}

impl Server {
    /// A server for a site, with as many workers as the machine has processors.
    pub fn new(site: Arc<Site>) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { site, limits: ServerLimits::default(), workers }
    }

    /// Sets the bounds.
    #[must_use]
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the number of workers; at least one is started.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Binds an address and starts the workers.
    ///
    /// # Errors
    /// When the address is taken or not allowed, or a thread cannot be started.
    pub fn bind(self, address: SocketAddr) -> io::Result<ServerHandle> {
        let bind = Bind::shared(address, self.workers)?;
        self.start(bind)
    }

    /// Starts the workers on a listener that is bound already.
    ///
    /// # Errors
    /// When the listener cannot be shared, or a thread cannot be started.
    pub fn serve(self, listener: TcpListener) -> io::Result<ServerHandle> {
        let bind = Bind::given(listener, self.workers)?;
        self.start(bind)
    }

    fn start(self, bind: Bind) -> io::Result<ServerHandle> {
        let address = bind.address();
        let (phase, watched) = watch::channel(Phase::Serving);
        let mut threads = Vec::with_capacity(self.workers);
        for (index, listener) in bind.into_listeners().into_iter().enumerate() {
            let worker = Worker {
                site: self.site.clone(),
                limits: self.limits.clone(),
                listener,
                phase: watched.clone(),
                share: self.workers,
            };
            let thread = std::thread::Builder::new().name(format!("ember-worker-{index}"));
            threads.push(thread.spawn(move || worker.run())?);
        }
        let stop = Stop { phase, grace: self.limits.shutdown };
        Ok(ServerHandle { address, stop, threads })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.limits)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// A running server.
///
/// Dropping the handle lets the server run on.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl ServerHandle {
    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What tells the server to stop, apart from the handle that waits for its end.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits until every worker has ended.
    pub fn join(self) {
        for thread in self.threads {
            // A worker catches its own panics; one that got past has been reported by the thread.
            let _ = thread.join();
        }
    }
}

/// Tells a server to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    phase: watch::Sender<Phase>,
    grace: Duration,
}

impl Stop {
    /// Stops taking connections, and lets requests finish for at most [`ServerLimits::shutdown`].
    ///
    /// Returns at once; [`ServerHandle::join`] waits for the end.
    pub fn gracefully(&self) {
        self.within(self.grace);
    }

    /// As [`Stop::gracefully`], with another time to finish in. A shorter one overrules an earlier call.
    pub fn within(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.phase.send_modify(|phase| {
            *phase = match *phase {
                Phase::Draining(earlier) => Phase::Draining(earlier.min(deadline)),
                Phase::Serving => Phase::Draining(deadline),
            };
        });
    }
}
