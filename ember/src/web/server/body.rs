//! The two bodies at the edge: what comes from a socket, and what goes to it.

use super::activity::InFlight;
use crate::base::error::BoxError;
use crate::base::{Error, ErrorKind};
use crate::web::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The body of a request as hyper reads it, bounded in how long it may pause.
struct Patient {
    incoming: Incoming,
    patience: Duration,
    /// Set while nothing arrives.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

/// Takes over a body from hyper.
pub(super) fn from_hyper(incoming: Incoming, patience: Duration) -> Body {
    if http_body::Body::is_end_stream(&incoming) {
        return Body::empty();
    }
    Body::new(Patient { incoming, patience, timer: None, waiting: false })
}

impl http_body::Body for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(error).into())));
        }
        let patience = self.patience;
        let waiting = std::mem::replace(&mut self.waiting, true);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !waiting {
            timer.as_mut().reset(Instant::now() + patience);
        }
        match timer.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let kind = ErrorKind::RequestTimeout;
                Poll::Ready(Some(Err(
                    Error::new(kind, "The request body did not arrive in time.").into()
                )))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A body that ends before it is complete, or breaks the rules of its framing.
fn broken(error: hyper::Error) -> Error {
    Error::bad_request("The request body is incomplete or malformed.").with_source(error)
}

pin_project! {
    /// The body of a response; the request counts as under way until it is dropped.
    pub(super) struct Outgoing {
        #[pin]
        body: Body,
        in_flight: Option<InFlight>,
    }
}

impl Outgoing {
    pub(super) fn new(body: Body, in_flight: Option<InFlight>) -> Self {
        Self { body, in_flight }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
