//! A served application, from its first component to its last hook.

use super::ready::Ready;
use crate::base::{Clock, Error, Result};
use crate::web::HookEvent;
use crate::web::server::{self, Server, ServerHandle, ThreadRuntime, Workers};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// An application that is being served, by threads of its own, with the type of its address.
///
/// Dropping the handle lets it run on.
#[derive(Debug)]
pub struct Running<A = SocketAddr> {
    address: A,
    stop: Stop,
    workers: Workers,
    thread: JoinHandle<()>,
}

impl<A> Running<A> {
    /// The address that is listened on.
    pub fn address(&self) -> A
    where
        A: Clone,
    {
        self.address.clone()
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

    /// What tells the application to stop, apart from the handle that waits for its end.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The same without its address.
    pub(super) fn anywhere(self) -> Running<()> {
        let Self { stop, workers, thread, .. } = self;
        Running { address: (), stop, workers, thread }
    }

    /// Waits until every worker has ended, and the components are taken down.
    ///
    /// A worker that is blocked beyond the deadline is not waited for.
    pub fn join(self) {
        // What happens in that thread is caught and logged; a panic past that was reported by it.
        let _ = self.thread.join();
    }
}

/// Tells a served application to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    /// When the last request must have been answered.
    deadline: watch::Sender<Option<Instant>>,
    grace: Duration,
    /// What stops the server at once, where no hook is to run before.
    server: Arc<OnceLock<server::Stop>>,
}

impl Stop {
    fn new(grace: Duration) -> Self {
        Self { deadline: watch::Sender::new(None), grace, server: Arc::default() }
    }

    /// Runs the hooks before the stop, takes no more connections, and lets requests finish for at
    /// most [`ServerLimits::shutdown`](crate::web::server::ServerLimits::shutdown).
    ///
    /// Returns at once; [`Running::join`] waits for the end.
    pub fn gracefully(&self) {
        self.within(self.grace);
    }

    /// As [`Stop::gracefully`], with another time to finish in. A shorter one overrules an earlier call.
    pub fn within(&self, grace: Duration) {
        let deadline = Clock::system().after(grace);
        self.deadline.send_modify(|earlier| {
            *earlier = Some(earlier.map_or(deadline, |earlier| earlier.min(deadline)));
        });
        if let Some(server) = self.server.get() {
            server.within(grace);
        }
    }
}

/// Begins to listen.
type Open = Box<dyn FnOnce(Server) -> Result<ServerHandle<()>> + Send>;

impl Ready {
    /// Starts a thread that does everything in its order, and returns when connections are taken.
    ///
    /// The thread's runtime stays awake, so that what components have left running on it, such
    /// as the tasks of a pool of connections, goes on.
    pub(super) fn launch<A: Clone + Send + Sync + 'static>(
        self,
        open: impl FnOnce(Server) -> Result<ServerHandle<A>> + Send + 'static,
    ) -> Result<Running<A>> {
        let place = Arc::new(OnceLock::new());
        let told = place.clone();
        let Running { stop, workers, thread, .. } = self.launch_by(Box::new(move |server| {
            let (address, server) = open(server)?.apart();
            let _ = told.set(address);
            Ok(server)
        }))?;
        let address = place.get().cloned();
        let address = address.ok_or_else(|| Error::internal("a server has no address"))?;
        Ok(Running { address, stop, workers, thread })
    }

    fn launch_by(self, open: Open) -> Result<Running<()>> {
        let stop = Stop::new(self.settings.limits.shutdown);
        let (told, heard) = mpsc::sync_channel(1);
        let runtime = ThreadRuntime::new()?;
        let deadline = stop.deadline.subscribe();
        let life = self.live(open, stop.clone(), told);
        let thread = std::thread::Builder::new()
            .name("ember-main".to_owned())
            .spawn(move || runtime.run(life, || *deadline.borrow()).unwrap_or(()))?;
        match heard.recv() {
            Ok(outcome) => outcome.map(|workers| Running { address: (), stop, workers, thread }),
            Err(_) => Err(Error::internal("the thread of the application has ended")),
        }
    }

    /// The whole life, in the order of design: components, hooks, server, hooks, components.
    async fn live(self, open: Open, stop: Stop, told: mpsc::SyncSender<Result<Workers>>) {
        let tell = |outcome| {
            // Whoever started the application waits for this.
            let _ = told.send(outcome);
        };
        let ready = match self.prepare().await {
            Ok(ready) => ready,
            Err(error) => return tell(Err(error)),
        };
        let server = match open(ready.server()) {
            Ok(server) => server,
            Err(error) => {
                ready.take_down().await;
                return tell(Err(error));
            }
        };
        if !ready.lifecycle.has(HookEvent::BeforeServerStop) {
            let _ = stop.server.set(server.stop());
        }
        match ready.run_hooks(HookEvent::AfterServerStart).await {
            Ok(()) => {
                tell(Ok(server.workers()));
                ready.lend(Handle::try_current().ok());
                until_ended(&ready, server, &stop).await;
                ready.finish().await;
                ready.lend(None);
            }
            Err(error) => {
                stop.within(Duration::ZERO);
                until_ended(&ready, server, &stop).await;
                ready.finish().await;
                tell(Err(error));
            }
        }
    }
}

/// How long after the deadline the workers may take to say their last words and end.
const LATE: Duration = Duration::from_secs(1);

/// Serves until the application is told to stop, and then until the last worker has ended.
async fn until_ended(ready: &Ready, server: ServerHandle<()>, stop: &Stop) {
    let mut deadline = stop.deadline.subscribe();
    // The sender is in `stop`, so this never ends by an error.
    let _ = deadline.wait_for(Option::is_some).await;
    let hooks = ready.lifecycle.run_all(HookEvent::BeforeServerStop, ready.components());
    tokio::select! {
        () = hooks => {}
        // A hook has no longer than the requests.
        () = passed(deadline.clone()) => tracing::error!("a hook before the stop was cut off"),
    }
    let stop_server = server.stop();
    let ended = tokio::task::spawn_blocking(move || server.join());
    let late = async {
        passed(deadline.clone()).await;
        tokio::time::sleep(LATE).await;
    };
    let mut deadline = deadline.clone();
    tokio::pin!(ended, late);
    loop {
        if let Some(deadline) = *deadline.borrow_and_update() {
            stop_server.within(deadline.saturating_duration_since(Instant::now()));
        }
        tokio::select! {
            _ = &mut ended => break,
            // Nothing can end a handler that blocks its thread.
            () = &mut late => {
                tracing::error!("a worker has not ended in time, and is left behind");
                break;
            }
            _ = deadline.changed() => {}
        }
    }
}

/// Waits until the deadline has passed, also one that is set earlier meanwhile.
async fn passed(mut deadline: watch::Receiver<Option<Instant>>) {
    loop {
        let until = deadline.borrow_and_update().unwrap_or_else(Instant::now);
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => return,
            _ = deadline.changed() => {}
        }
    }
}
