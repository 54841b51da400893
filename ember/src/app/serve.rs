//! Listening, until somebody says stop.

use super::ember::Ember;
use super::ready::Ready;
use super::running::Running;
use crate::base::{Env, Error, Result};
use crate::web::server::{Server, ServerLimits};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing_subscriber::filter::LevelFilter;

impl Ember {
    /// Sets the address to listen on; otherwise `EMBER_HOST`, or 127.0.0.1.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.settings.host = Some(host.into());
        self
    }

    /// Sets the port to listen on; otherwise `EMBER_PORT`, or 8000. With 0 the system chooses.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = Some(port);
        self
    }

    /// Sets the number of workers; otherwise `EMBER_WORKERS`, or one for each processor.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = Some(workers);
        self
    }

    /// Sets the bounds of the server.
    #[must_use]
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Serves on a listener that is bound already, and returns at once.
    ///
    /// # Errors
    /// When the application cannot start, a component or a hook fails, or the listener cannot be used.
    pub fn serve(self, listener: TcpListener) -> Result<Running> {
        self.build()?.serve(listener)
    }
}

impl Ready {
    /// Binds the address of the settings, prints what is served there, and serves until SIGINT or SIGTERM.
    ///
    /// At the first signal requests may finish within [`ServerLimits::shutdown`]; a second one ends
    /// them at once. It has runtimes of its own, so it is called from a `fn main` without
    /// `#[tokio::main]`.
    ///
    /// # Errors
    /// When the address is taken or not allowed, a component or a hook fails, or a runtime runs already.
    pub fn run(self) -> Result {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::bad_request(
                "`run` starts runtimes of its own: call it from `fn main()` without `#[tokio::main]`",
            ));
        }
        log_to_terminal();
        let address = self.settings.address()?;
        let banner = self.clone();
        let running = self.launch(move |server| {
            server.bind(address).map_err(|error| {
                let message =
                    format!("{address} cannot be listened on; EMBER_PORT can name another port");
                Error::bad_request(message).with_source(error)
            })
        })?;
        print!("{}", banner.banner(running.address()));
        until_told(running)
    }

    /// Serves on a listener that is bound already, and returns when connections are taken.
    ///
    /// # Errors
    /// When a component or a hook fails, or the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> Result<Running> {
        self.clone().launch(move |server| Ok(server.serve(listener)?))
    }

    pub(super) fn server(&self) -> Server {
        let server = Server::new(self.site.clone()).limits(self.settings.limits.clone());
        match self.settings.workers {
            Some(workers) => server.workers(workers),
            None => server,
        }
    }

    /// What is printed at the start.
    fn banner(&self, address: SocketAddr) -> String {
        let name = self.scope.modules().next().unwrap_or("an application");
        let provider = self
            .model
            .as_ref()
            .map(|model| format!("\nprovider: {}", model.note))
            .unwrap_or_default();
        let routes = self.route_table().replace('\n', "\n  ");
        format!("Ember serves {name} on http://{address}{provider}\n  {}\n", routes.trim_end())
    }
}

/// Prints the log to the terminal, unless the program has set up logging itself.
fn log_to_terminal() {
    let level = Env::process().parse("EMBER_LOG", LevelFilter::INFO);
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false);
    let _ = log.try_init();
}

/// Waits for a signal, and then for the end.
fn until_told(running: Running) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        signals.next().await;
        tracing::info!("stopping: requests may finish");
        let stop = running.stop();
        stop.gracefully();
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || {
            running.join();
            let _ = ended.send(());
        });
        tokio::select! {
            _ = end => {}
            () = signals.next() => stop.within(Duration::ZERO),
        }
        Ok(())
    })
}

/// What tells a server to stop.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
