use super::progress::Piece;
use crate::base::error::BoxError;
use http_body::{Body, Frame};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The body of an event stream on its way to a socket.
pub(super) type EventBody = Pin<Box<dyn Body<Data = Piece, Error = BoxError> + Send>>;

/// Where the body of an event stream stands while hyper sends it, so that it can be taken from there
/// when the connection [leaves hyper](super::events).
#[derive(Default)]
pub(super) struct Handover {
    body: Mutex<Option<EventBody>>,
    waits: AtomicBool,
}

impl Handover {
    fn body(&self) -> MutexGuard<'_, Option<EventBody>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, body: EventBody) {
        *self.body() = Some(body);
    }

    /// Takes the body out; for whoever polls it here it is over.
    pub(super) fn take(&self) -> Option<EventBody> {
        self.waits.store(false, Relaxed);
        self.body().take()
    }

    pub(super) fn poll_frame(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BoxError>>> {
        let poll = match &mut *self.body() {
            Some(body) => body.as_mut().poll_frame(context),
            None => Poll::Ready(None),
        };
        self.waits.store(poll.is_pending(), Relaxed);
        poll
    }

    /// Tells whether there is a body, and it had nothing more when it was last asked.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").field("waits", &self.waits).finish_non_exhaustive()
    }
}
