use super::protocol::Wire;
use crate::base::Error;
use crate::store::failure::{away, not_done};
use crate::store::home::Home;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long nobody tries to connect after a failure to do so: at first, and at last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The connections to a server: each carries one command at a time.
#[derive(Debug)]
pub(super) struct Pool {
    inner: Arc<Inner>,
    home: Home,
}

#[derive(Debug)]
struct Inner {
    host: String,
    port: u16,
    timeout: Duration,
    idle: Mutex<Idle>,
    places: Semaphore,
}

#[derive(Debug, Default)]
struct Idle {
    wires: Vec<Wire>,
    back_off: Option<(Instant, Duration)>,
}

/// Whether something may be done twice, because nobody knows whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It comes to the same.
    Safe,
    /// The second time would tell of the first.
    Never,
}

/// Why there is no outcome.
#[derive(Debug)]
enum Failure {
    /// Nothing was sent.
    NotBegun(io::Error),
    /// Nobody knows what was done.
    Begun(io::Error),
}

/// What is done with a connection.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

impl Pool {
    pub(super) fn new(host: String, port: u16, size: usize, timeout: Duration) -> Self {
        let (idle, places) = (Mutex::default(), Semaphore::new(size.max(1)));
        Self { inner: Arc::new(Inner { host, port, timeout, idle, places }), home: Home::default() }
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close(&self) {
        self.inner.idle().wires.clear();
    }

    /// Does something with a connection: with one that is there, or with a new one.
    ///
    /// All of it has a time limit. What has begun is ended even if nobody waits for it any more, so
    /// that no answer is left on a connection for the next command.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        repeat: Repeat,
        work: impl for<'a> Fn(&'a mut Wire) -> Work<'a, T> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        let timeout = inner.timeout;
        let bounded = async move {
            let outcome = tokio::time::timeout(timeout, inner.run(repeat, work)).await;
            if outcome.is_err() {
                inner.pause();
            }
            outcome
        };
        match self.home.run(bounded).await? {
            Ok(outcome) => outcome.map_err(|failure| match failure {
                Failure::NotBegun(error) => not_done(error),
                Failure::Begun(error) => away(error),
            }),
            Err(_) => Err(away(format!("Memcached did not answer within {timeout:?}"))),
        }
    }
}

impl Inner {
    async fn run<T>(
        &self,
        repeat: Repeat,
        work: impl for<'a> Fn(&'a mut Wire) -> Work<'a, T>,
    ) -> Result<T, Failure> {
        self.refuse_while_away().map_err(Failure::NotBegun)?;
        // The semaphore is never closed.
        let place = self.places.acquire().await.map_err(io::Error::other);
        let _place = place.map_err(Failure::NotBegun)?;
        let idle = self.take();
        let (mut wire, was_idle) = match idle {
            Some(wire) => (wire, true),
            None => (self.connect().await.map_err(Failure::NotBegun)?, false),
        };
        let mut outcome = work(&mut wire).await;
        if was_idle && outcome.as_ref().is_err_and(is_closed) {
            // It was closed at this moment, as by a server that is restarted: so are the others.
            self.idle().wires.clear();
            if repeat == Repeat::Safe {
                wire = self.connect().await.map_err(Failure::Begun)?;
                outcome = work(&mut wire).await;
            }
        }
        if outcome.is_ok() {
            let mut idle = self.idle();
            idle.back_off = None;
            idle.wires.push(wire);
        }
        outcome.map_err(Failure::Begun)
    }

    /// A connection that nobody uses, unless it was closed in the meantime.
    fn take(&self) -> Option<Wire> {
        let mut idle = self.idle();
        while let Some(wire) = idle.wires.pop() {
            if wire.is_quiet() {
                return Some(wire);
            }
        }
        None
    }

    async fn connect(&self) -> io::Result<Wire> {
        let connected = Wire::connect(&self.host, self.port).await;
        if connected.is_err() {
            self.pause();
        }
        connected
    }

    /// Whoever comes while the server is away is told at once.
    fn refuse_while_away(&self) -> io::Result<()> {
        if self.idle().back_off.is_some_and(|(until, _)| Instant::now() < until) {
            let message = "Memcached was not there a moment ago";
            return Err(io::Error::new(io::ErrorKind::NotConnected, message));
        }
        Ok(())
    }

    /// Lets nobody try for a while: longer each time, until something has been answered. Those who
    /// fail together make one pause.
    fn pause(&self) {
        let mut idle = self.idle();
        let pause = match idle.back_off {
            Some((until, _)) if Instant::now() < until => return,
            Some((_, last)) => (last * 2).min(BACK_OFF.1),
            None => BACK_OFF.0,
        };
        idle.wires.clear();
        idle.back_off = Some((Instant::now() + pause, pause));
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::failure::is_not_done;

    #[tokio::test]
    async fn what_was_not_sent_has_not_happened() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pool = Pool::new("127.0.0.1".to_owned(), port, 1, Duration::from_secs(20));
        let cut_off = || {
            let closed = io::Error::from(io::ErrorKind::ConnectionReset);
            pool.run(Repeat::Never, move |_| {
                let closed = io::Error::from(closed.kind());
                Box::pin(async move { Err::<(), _>(closed) })
            })
        };
        assert!(!is_not_done(&cut_off().await.unwrap_err()), "nobody knows");
        drop(listener);
        assert!(is_not_done(&cut_off().await.unwrap_err()), "no connection");
        assert!(is_not_done(&cut_off().await.unwrap_err()), "not even tried");
    }
}
