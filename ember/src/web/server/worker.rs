use super::Phase;
use super::activity::{Activity, Overdue, Protocol};
use super::body::Patience;
use super::connection::{Common, Peer, Protocols};
use super::farewell::Farewell;
use super::limits::ServerLimits;
use super::listen::{Accepted, Acceptor, Listener};
use super::runtime::ThreadRuntime;
#[cfg(feature = "tls")]
use super::socket::AnySocket;
use super::ticks::Ticks;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::web::site::Site;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinHandle, yield_now};
use tokio::time::sleep_until;

/// One thread's share of the server.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) site: Arc<Site>,
    pub(super) limits: ServerLimits,
    /// Kept while the server serves, so that a worker can be replaced.
    pub(super) listener: Mutex<Option<Listener>>,
    pub(super) phase: watch::Receiver<Phase>,
    /// What is left of [`ServerLimits::max_connections`].
    pub(super) room: Arc<Semaphore>,
    /// Wakes the reaper once a [tick](Ticks), which [a thread rings](super::bell).
    pub(super) tick: Arc<Notify>,
    /// Makes a worker fail, in tests.
    pub(super) fault: Arc<Notify>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl Worker {
    /// Serves until the server is told to stop.
    ///
    /// # Errors
    /// When the worker has no runtime, or no listener.
    pub(super) fn serve(&self) -> io::Result<()> {
        let work = async {
            let listener = self.listener().as_ref().map(Listener::try_clone).transpose()?;
            if let Some(listener) = listener {
                Connections::new(self).accept(listener.acceptor()?).await;
            }
            Ok(())
        };
        // Work that blocks has as long as the requests that began it.
        ThreadRuntime::new()?.run(work, || self.deadline()).unwrap_or(Ok(()))
    }

    /// Until when requests may finish, once the server was told to stop.
    fn deadline(&self) -> Option<Instant> {
        match *self.phase.borrow() {
            Phase::Stopping { deadline, .. } => Some(deadline),
            Phase::Serving => None,
        }
    }

    /// Tells whether the server was told to stop.
    pub(super) fn is_over(&self) -> bool {
        self.deadline().is_some()
    }

    fn listener(&self) -> std::sync::MutexGuard<'_, Option<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long event streams may take to send their last word, when the time to finish is over.
const LAST_WORD: Duration = Duration::from_millis(250);

/// The open connections of a worker.
struct Connections<'a> {
    worker: &'a Worker,
    common: Arc<Common>,
    protocols: Protocols,
    ticks: Ticks,
    phase: watch::Receiver<Phase>,
    /// What is left of [`ServerLimits::max_connections_per_worker`].
    places: Arc<Semaphore>,
    /// Those that have ended are forgotten by the reaper, or sooner, where they are as many as may live.
    open: Vec<(Arc<Activity>, AbortHandle)>,
}

/// What a connection takes up until it ends: a place at its worker, but while the server stops, and one in the process.
struct Place {
    _here: Option<OwnedSemaphorePermit>,
    _room: OwnedSemaphorePermit,
}

impl<'a> Connections<'a> {
    fn new(worker: &'a Worker) -> Self {
        let limits = &worker.limits;
        let most = limits.max_connections_per_worker.clamp(1, Semaphore::MAX_PERMITS);
        let common = Common {
            // A count of its own, so that requests of different workers do not touch the same memory.
            site: Arc::new(worker.site.own_copy()),
            patience: Patience::of(limits),
            max_requests: limits.max_requests_per_connection,
            stopping: AtomicBool::new(false),
            farewell: Farewell::default(),
        };
        Self {
            worker,
            common: Arc::new(common),
            protocols: Protocols::new(limits),
            ticks: Ticks::new(limits),
            phase: worker.phase.clone(),
            places: Arc::new(Semaphore::new(most)),
            open: Vec::new(),
        }
    }

    /// Accepts until the server stops, and then sees the open connections to their end.
    async fn accept(mut self, acceptor: Acceptor) {
        let mut here = None;
        let mut waiting: Option<Accepted> = None;
        let mut notice_over = None;
        while notice_over.is_none_or(|end| Instant::now() < end) {
            here = here.or_else(|| self.places.clone().try_acquire_owned().ok());
            tokio::select! {
                Ok(place) = self.places.clone().acquire_owned(), if here.is_none() => {
                    here = Some(place);
                }
                accepted = acceptor.accept(), if waiting.is_none() && here.is_some() => {
                    match accepted {
                        Ok(accepted) => match self.worker.room.clone().try_acquire_owned() {
                            Ok(room) => self.open(accepted, Place { _here: here.take(), _room: room }),
                            Err(_) => waiting = Some(accepted),
                        },
                        Err(error) => {
                            tracing::warn!(%error, "a connection could not be accepted");
                            // Out of file descriptors, most likely: others must close before it goes on.
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
                Ok(room) = self.worker.room.clone().acquire_owned(), if waiting.is_some() => {
                    if let Some(accepted) = waiting.take() {
                        self.open(accepted, Place { _here: here.take(), _room: room });
                    }
                }
                () = self.worker.tick.notified() => self.reap(),
                Ok(()) = self.phase.changed() => {
                    let phase = *self.phase.borrow_and_update();
                    if let Phase::Stopping { notice, deadline } = phase {
                        notice_over = Some(notice.min(deadline));
                        self.give_notice();
                    }
                }
                () = sleep_until(notice_over.unwrap_or_else(Instant::now).into()),
                    if notice_over.is_some() => {}
                () = self.worker.fault.notified() => fail(),
            }
        }
        // What the kernel has accepted already is served as well. It is asked anew, since whatever
        // kept this thread busy may have lasted longer than the notice.
        yield_now().await;
        if let Some(accepted) = waiting {
            self.open_last(accepted);
        }
        while let Some(Ok(accepted)) = now(acceptor.accept()).await {
            self.open_last(accepted);
        }
        drop(acceptor);
        self.worker.listener().take();
        self.drain().await;
    }

    fn open(&mut self, accepted: Accepted, place: Place) {
        let activity = Activity::new(self.ticks.clone());
        let mut peer = Peer {
            common: self.common.clone(),
            remote: None,
            #[cfg(unix)]
            local: None,
            activity: activity.clone(),
        };
        accepted.introduce(&mut peer);
        let protocols = self.protocols.clone();
        let task: JoinHandle<()> = match accepted {
            #[cfg(feature = "tls")]
            Accepted::Tcp(socket, _) if self.worker.tls.is_some() => {
                let tls = self.worker.tls.clone();
                let limit = self.worker.limits.tls_handshake;
                tokio::spawn(async move {
                    let _place = place;
                    peer.activity.speaks(Protocol::Handshake);
                    if let Some(tls) = tls
                        && let Some(socket) = tls.accept(socket, &peer.activity, limit).await
                    {
                        // The first request is awaited from now on.
                        peer.activity.speaks(Protocol::Http1);
                        protocols.serve(AnySocket::Tls(Box::new(socket)), peer).await;
                    }
                })
            }
            accepted => {
                let socket = accepted.into_socket();
                tokio::spawn(async move {
                    let _place = place;
                    protocols.serve(socket, peer).await;
                })
            }
        };
        if self.open.len() >= self.worker.limits.max_connections_per_worker.saturating_mul(2) {
            self.open.retain(|(_, task)| !task.is_finished());
        }
        self.open.push((activity, task.abort_handle()));
    }

    /// Opens a connection while the server stops, if there is room for it.
    fn open_last(&mut self, accepted: Accepted) {
        if let Ok(room) = self.worker.room.clone().try_acquire_owned() {
            self.open(accepted, Place { _here: None, _room: room });
        }
    }

    /// Forgets connections that have ended, and ends those that have used up their time.
    fn reap(&mut self) {
        self.ticks.advance();
        self.open.retain(|(activity, task)| {
            match activity.overdue(&self.worker.limits) {
                None => {}
                Some(Overdue::Close) => activity.close(),
                Some(Overdue::Cut) => task.abort(),
            }
            !task.is_finished()
        });
    }

    /// From now on each answer is the last of its connection. HTTP/2 tells its clients at once.
    fn give_notice(&self) {
        self.common.stopping.store(true, Relaxed);
        for (activity, _) in self.open.iter().filter(|(open, _)| open.is(Protocol::Http2)) {
            activity.close();
        }
    }

    /// Lets requests finish. At the deadline event streams are ended, and the rest is cut.
    async fn drain(mut self) {
        self.common.stopping.store(true, Relaxed);
        // So that each connection knows of what has already arrived, and takes it first.
        yield_now().await;
        for (activity, _) in &self.open {
            activity.close();
        }
        while !self.open.is_empty() {
            let deadline = match *self.phase.borrow_and_update() {
                Phase::Stopping { deadline, .. } => deadline,
                Phase::Serving => Instant::now(),
            };
            tokio::select! {
                () = sleep_until(deadline.into()) => break,
                () = self.worker.tick.notified() => self.reap(),
                Ok(()) = self.phase.changed() => {}
            }
        }
        self.cut().await;
    }

    async fn cut(mut self) {
        self.common.farewell.say();
        self.open.retain(|(activity, task)| {
            if !activity.streams_events() {
                task.abort();
            }
            activity.streams_events()
        });
        let end = Instant::now() + LAST_WORD;
        while !self.open.is_empty() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.open.retain(|(_, task)| !task.is_finished());
        }
        for (_, task) in self.open.drain(..) {
            task.abort();
        }
        // Aborted tasks drop their sockets when the runtime next runs them.
        yield_now().await;
    }
}

#[expect(clippy::panic, reason = "tests of the supervisor need a worker that fails")]
fn fail() {
    panic!("a worker was told to fail");
}

/// Polls a future once.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}
