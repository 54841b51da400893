//! Moves bytes between sockets and a [`Site`].
//!
//! Each worker is a thread with a single-threaded runtime and a listener of its own on the
//! shared port, so that nothing is handed between threads while a request is answered. The
//! refused alternative, one work-stealing runtime, wakes tasks across cores for no gain: a
//! request rarely has work for two. hyper speaks HTTP/1.1 and HTTP/2; everything that bounds
//! it stands in [`ServerLimits`].
//!
//! # How it ends
//!
//! A server that is told to stop ([`Stop::gracefully`]) first gives notice: for
//! [`ServerLimits::notice`] it still accepts and answers, each answer asks its client to close
//! the connection (`Connection: close`, or GOAWAY in HTTP/2), and [readiness](Health) is denied.
//! Then it no longer listens, idle connections are closed, and requests may finish within
//! [`ServerLimits::shutdown`]. At that deadline streams of events end with an event named `error`
//! and a complete body, and whatever else is open is cut, so that it does not look complete.

mod limits;
mod ticks;
mod bell;
mod progress;
mod handover;
mod activity;
mod tasks;
mod framing;
mod refuse;
mod farewell;
#[cfg(feature = "tls")]
mod wire;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;
mod socket;
mod stream;
mod body;
mod events;
mod connection;
mod listen;
mod runtime;
mod worker;
mod supervisor;

pub use limits::ServerLimits;
pub use listen::Bind;
pub(crate) use runtime::ThreadRuntime;
#[cfg(feature = "tls")]
pub use tls::Tls;
#[cfg(unix)]
pub use unix::{UnixPeer, UnixSocket};

use super::health::Health;
use super::site::Site;
use crate::base::Clock;
use listen::Listener;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use ticks::Ticks;
use tokio::sync::{Notify, Semaphore, watch};
use worker::Worker;

/// A server that has not started yet.
pub struct Server {
    site: Arc<Site>,
    limits: ServerLimits,
    workers: usize,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// Whether the workers serve or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping {
        /// Until then connections are accepted, and idle ones kept open.
        notice: Instant,
        /// Until then requests may finish.
        deadline: Instant,
    },
}

impl Server {
    /// A server for a site, with as many workers as the machine has processors.
    pub fn new(site: Arc<Site>) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            site,
            limits: ServerLimits::default(),
            workers,
            #[cfg(feature = "tls")]
            tls: None,
        }
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

    /// Encrypts connections over TCP. Those over Unix sockets never are.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
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

    /// Binds a socket in the file system and starts the workers. Its file is removed at the end.
    ///
    /// # Errors
    /// When another process listens there, something else than a socket is there, or a thread
    /// cannot be started. A socket that nobody listens on is replaced.
    #[cfg(unix)]
    pub fn bind_unix(
        self,
        socket: impl Into<UnixSocket>,
    ) -> io::Result<ServerHandle<std::os::unix::net::SocketAddr>> {
        let bind = Bind::unix(&socket.into(), self.workers)?;
        self.start(bind)
    }

    /// Starts the workers on a Unix listener that is bound already. Its file is not removed.
    ///
    /// # Errors
    /// When the listener cannot be shared, or a thread cannot be started.
    #[cfg(unix)]
    pub fn serve_unix(
        self,
        listener: std::os::unix::net::UnixListener,
    ) -> io::Result<ServerHandle<std::os::unix::net::SocketAddr>> {
        let bind = Bind::given_unix(listener, self.workers)?;
        self.start(bind)
    }

    fn start<A>(self, bind: Bind<A>) -> io::Result<ServerHandle<A>> {
        let (address, listeners) = bind.into_parts();
        let ServerHandle { stop, supervisor, workers, .. } = self.start_on(listeners)?;
        Ok(ServerHandle { address, stop, supervisor, workers })
    }

    fn start_on(self, listeners: Vec<Listener>) -> io::Result<ServerHandle<()>> {
        let (phase, watched) = watch::channel(Phase::Serving);
        let most = self.limits.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(most));
        let fault = Arc::new(Notify::new());
        let workers = listeners.into_iter().map(|listener| Worker {
            site: self.site.clone(),
            limits: self.limits.clone(),
            listener: Mutex::new(Some(listener)),
            phase: watched.clone(),
            room: room.clone(),
            tick: Arc::default(),
            fault: fault.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        });
        let workers: Vec<_> = workers.collect();
        let bells = workers.iter().map(|worker| Arc::downgrade(&worker.tick)).collect();
        bell::ring(bells, Ticks::length_for(&self.limits))?;
        let replaced = Arc::default();
        let supervisor = supervisor::start(workers, &phase, Arc::clone(&replaced))?;
        let stop = Stop {
            phase,
            notice: self.limits.notice,
            grace: self.limits.shutdown,
            health: self
                .site
                .state()
                .components
                .get::<Health>()
                .map(|health| Health::clone(health)),
        };
        Ok(ServerHandle { address: (), stop, supervisor, workers: Workers { replaced, fault } })
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

/// A running server, with the type of the address that it listens on.
///
/// Dropping the handle lets the server run on.
#[derive(Debug)]
pub struct ServerHandle<A = SocketAddr> {
    address: A,
    stop: Stop,
    supervisor: JoinHandle<()>,
    workers: Workers,
}

/// What can be known of the workers of a running server.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    replaced: Arc<AtomicU64>,
    fault: Arc<Notify>,
}

impl Workers {
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced.load(Relaxed)
    }

    pub(crate) fn fail_one(&self) {
        self.fault.notify_one();
    }
}

impl<A> ServerHandle<A> {
    /// The address that the server listens on.
    pub fn address(&self) -> A
    where
        A: Clone,
    {
        self.address.clone()
    }

    /// What tells the server to stop, apart from the handle that waits for its end.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// How many workers have failed and were replaced so far.
    pub fn replaced_workers(&self) -> u64 {
        self.workers.replaced()
    }

    /// Makes one worker fail, for tests of what becomes of a server then.
    #[doc(hidden)]
    pub fn fail_a_worker(&self) {
        self.workers.fail_one();
    }

    /// The address, and a handle that does not know it: whatever goes on with a server is written once for all
    /// types of addresses.
    pub(crate) fn apart(self) -> (A, ServerHandle<()>) {
        let Self { address, stop, supervisor, workers } = self;
        (address, ServerHandle { address: (), stop, supervisor, workers })
    }

    /// What can be known of the workers, apart from the handle that waits for their end.
    pub(crate) fn workers(&self) -> Workers {
        self.workers.clone()
    }

    /// Waits until every worker has ended.
    pub fn join(self) {
        // A worker's panic is caught; one of the supervisor has been reported by its thread.
        let _ = self.supervisor.join();
    }
}

/// Tells a server to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    phase: watch::Sender<Phase>,
    notice: Duration,
    grace: Duration,
    health: Option<Health>,
}

impl Stop {
    /// Stops, letting requests finish for at most [`ServerLimits::shutdown`].
    ///
    /// Returns at once; [`ServerHandle::join`] waits for the end.
    pub fn gracefully(&self) {
        self.within(self.grace);
    }

    /// As [`Stop::gracefully`], with another time to finish in. A shorter one overrules an earlier call, but for
    /// blocking work ([`tokio::task::spawn_blocking`]) that is already waited for when the last connection has ended.
    pub fn within(&self, grace: Duration) {
        if let Some(health) = &self.health {
            health.stop();
        }
        let (notice, latest) = (Clock::system().after(self.notice), Clock::system().after(grace));
        self.phase.send_modify(|phase| {
            *phase = match *phase {
                Phase::Stopping { notice, deadline } => {
                    Phase::Stopping { notice, deadline: deadline.min(latest) }
                }
                Phase::Serving => Phase::Stopping { notice, deadline: latest },
            };
        });
    }
}
