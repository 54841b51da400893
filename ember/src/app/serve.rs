//! Listening, until somebody says stop.

use super::ember::Ember;
use super::log::log_to_terminal;
use super::ready::Ready;
use super::running::Running;
use super::settings::Place;
use crate::base::{Env, Error, Result};
use crate::store::BoxStore;
#[cfg(feature = "tls")]
use crate::web::server::Tls;
#[cfg(unix)]
use crate::web::server::UnixSocket;
use crate::web::server::{Server, ServerLimits};
use std::io::{ErrorKind, Write as _};
use std::net::TcpListener;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

impl Ember {
    /// Sets the address to listen on; otherwise `EMBER_HOST`, or 127.0.0.1.
    ///
    /// `unix:` and a path, here or in the variable, is a Unix socket.
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

    /// Listens on a Unix socket instead of an address: a path, or a [`UnixSocket`] with permissions.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, socket: impl Into<UnixSocket>) -> Self {
        self.settings.unix = Some(socket.into());
        self
    }

    /// Encrypts connections over TCP; otherwise with the PEM files that `EMBER_TLS_CERT` and
    /// `EMBER_TLS_KEY` name, if they are set.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(tls);
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

    /// Serves on a listener that is bound already, and returns when connections are taken.
    ///
    /// # Errors
    /// When the application cannot start, a component or a hook fails, or the listener cannot be used.
    pub fn serve(self, listener: TcpListener) -> Result<Running> {
        self.build()?.serve(listener)
    }

    /// Serves on a Unix listener that is bound already, and returns when connections are taken.
    ///
    /// # Errors
    /// As [`Ember::serve`].
    #[cfg(unix)]
    pub fn serve_unix(
        self,
        listener: std::os::unix::net::UnixListener,
    ) -> Result<Running<std::os::unix::net::SocketAddr>> {
        self.build()?.serve_unix(listener)
    }
}

impl Ready {
    /// Binds the address of the settings, prints what is served there, and serves until SIGINT or SIGTERM.
    ///
    /// At the first signal requests may finish within [`ServerLimits::shutdown`]; a second one ends
    /// them at once. SIGHUP reads certificates again, and does nothing where there are none; only
    /// when the terminal that the program was started from has gone, it is as SIGTERM.
    ///
    /// It has runtimes of its own, so it is called from a `fn main` without `#[tokio::main]`.
    ///
    /// # Errors
    /// When the address is taken or not allowed, a component or a hook fails, or a runtime runs already.
    pub fn run(self) -> Result {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::bad_request(
                "`run` starts runtimes of its own: call it from `fn main()` without `#[tokio::main]`",
            ));
        }
        if let Some(env) = self.components().get::<Env>() {
            log_to_terminal(env);
        }
        let refused = |place: &dyn std::fmt::Display, hint: &str, error| {
            let message = format!("{place} cannot be listened on{hint}");
            Error::bad_request(message).with_source(error)
        };
        match self.settings.place()? {
            Place::Tcp(address) => {
                let running = self.clone().launch(move |server| {
                    server.bind(address).map_err(|error| refused(&address, hint(&error), error))
                })?;
                let scheme = if self.is_encrypted() { "https" } else { "http" };
                let place = format!("{scheme}://{}", running.address());
                self.until_told(running.anywhere(), &place)
            }
            #[cfg(unix)]
            Place::Unix(socket) => {
                let place = format!("unix:{}", socket.path().display());
                let named = place.clone();
                let running = self.clone().launch(move |server| {
                    server.bind_unix(socket).map_err(|error| refused(&named, "", error))
                })?;
                self.until_told(running.anywhere(), &place)
            }
        }
    }

    /// Serves on a listener that is bound already, and returns when connections are taken.
    ///
    /// # Errors
    /// When a component or a hook fails, or the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> Result<Running> {
        self.clone().launch(move |server| Ok(server.serve(listener)?))
    }

    /// Serves on a Unix listener that is bound already, and returns when connections are taken.
    ///
    /// # Errors
    /// As [`Ready::serve`].
    #[cfg(unix)]
    pub fn serve_unix(
        &self,
        listener: std::os::unix::net::UnixListener,
    ) -> Result<Running<std::os::unix::net::SocketAddr>> {
        self.clone().launch(move |server| Ok(server.serve_unix(listener)?))
    }

    pub(super) fn server(&self) -> Server {
        let server = Server::new(self.site.clone()).limits(self.settings.limits.clone());
        let server = match self.settings.workers {
            Some(workers) => server.workers(workers),
            None => server,
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.settings.tls {
            return server.tls(tls.clone());
        }
        server
    }

    #[cfg(feature = "tls")]
    fn is_encrypted(&self) -> bool {
        self.settings.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    fn is_encrypted(&self) -> bool {
        false
    }

    /// SIGHUP: what lies in files is read again.
    fn reload(&self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.settings.tls {
            return match tls.reload() {
                Ok(true) => tracing::info!("the certificates were read again"),
                Ok(false) => tracing::info!("SIGHUP: the certificates are in no file"),
                Err(error) => tracing::error!(%error, "the certificates stay what they were"),
            };
        }
        tracing::info!("SIGHUP: there is nothing to read again");
    }

    /// What is printed at the start.
    fn banner(&self, place: &str) -> String {
        let name = self.scope.modules().next().unwrap_or("an application");
        let provider = self
            .model
            .as_ref()
            .map(|model| format!("\nprovider: {}", model.note))
            .unwrap_or_default();
        let store = self.components().get::<BoxStore>();
        let state = store.map(|store| format!("\nstate: {}", store.name())).unwrap_or_default();
        let routes = self.route_table().replace('\n', "\n  ");
        format!("Ember serves {name} on {place}{provider}{state}\n  {}\n", routes.trim_end())
    }

    /// Says where it serves, waits for a signal, and then for the end.
    fn until_told(&self, running: Running<()>, place: &str) -> Result {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            // Whoever has read that it serves may send a signal.
            if let Err(error) = std::io::stdout().write_all(self.banner(place).as_bytes()) {
                // Nobody reads it there; requests come all the same.
                tracing::warn!(%error, "serving on {place}, which standard output does not take");
            }
            while signals.next().await == Told::Reload {
                self.reload();
            }
            tracing::info!("stopping: requests may finish");
            let stop = running.stop();
            stop.gracefully();
            let (ended, mut end) = oneshot::channel();
            std::thread::spawn(move || {
                running.join();
                let _ = ended.send(());
            });
            loop {
                tokio::select! {
                    _ = &mut end => return Ok(()),
                    told = signals.next() => if told == Told::Stop {
                        stop.within(Duration::ZERO);
                        // Open streams are ended; nothing is waited for longer than that takes.
                        let _ = timeout(Duration::from_secs(1), &mut end).await;
                        return Ok(());
                    },
                }
            }
        })
    }
}

/// What to do where an address cannot be listened on.
fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => {
            ": somebody else does; choose another port by `.port(…)` or EMBER_PORT"
        }
        ErrorKind::PermissionDenied => {
            ": ports below 1024 need rights that this program lacks; see `.port(…)` or EMBER_PORT"
        }
        ErrorKind::AddrNotAvailable => {
            ": this machine has no such address; see `.host(…)` or EMBER_HOST"
        }
        _ => "",
    }
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Stop,
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no SIGHUP"))]
    Reload,
}

/// What tells a server to stop, or to read its files again.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    /// There was a terminal when the program was started.
    terminal: bool,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self> {
        use std::io::IsTerminal as _;
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            terminal: std::io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            // A terminal that has gone cannot be opened any more; without that look, closing the
            // window of a program would leave it running where nobody sees it.
            _ = self.hangup.recv() => match self.terminal && std::fs::File::open("/dev/tty").is_err() {
                true => Told::Stop,
                false => Told::Reload,
            },
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

    async fn next(&mut self) -> Told {
        let _ = tokio::signal::ctrl_c().await;
        Told::Stop
    }
}
