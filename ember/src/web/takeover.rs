use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What a connection does when it has left HTTP.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a handler leaves what its connection is to do after the response, for the server to run.
///
/// It is run in the task of the connection, so that whatever holds for connections holds for it:
/// it counts, it is told when the server drains, and it is cut at the deadline.
#[derive(Clone)]
pub(crate) struct Takeover(Arc<Shared>);

struct Shared {
    work: Mutex<Option<Work>>,
    closing: watch::Sender<bool>,
}

impl Takeover {
    pub(crate) fn put(&self, work: Work) {
        *self.0.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
    }

    pub(crate) fn take(&self) -> Option<Work> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks the work to come to an end.
    pub(crate) fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Turns true when the work is to come to an end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }
}

impl Default for Takeover {
    fn default() -> Self {
        Self(Arc::new(Shared { work: Mutex::new(None), closing: watch::Sender::new(false) }))
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Takeover")
    }
}
