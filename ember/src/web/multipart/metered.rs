use crate::base::Error;
use crate::web::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

/// How many bytes may still be read before something must have been found in them.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Budget {
    pub(super) fn unlimited() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Relaxed);
    }
}

/// A body that is handed over piece by piece.
///
/// A parser that reads as long as there is something would keep a whole upload in memory. So
/// after each piece this says once that there is nothing yet, and that there is again.
pub(super) struct Metered {
    body: Body,
    budget: Budget,
    pausing: bool,
}

impl Metered {
    pub(super) fn new(body: Body, budget: Budget) -> Self {
        Self { body, budget, pausing: false }
    }
}

impl Stream for Metered {
    type Item = Result<Bytes, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        if std::mem::take(&mut self.pausing) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.budget.0.load(Relaxed);
        if left == 0 {
            let message = "A part of the form has headers that are too large.";
            return Poll::Ready(Some(Err(Error::payload_too_large(message))));
        }
        loop {
            let frame = ready!(http_body::Body::poll_frame(Pin::new(&mut self.body), context));
            match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::from_boxed(error)))),
                // Trailers are no data.
                Some(Ok(Err(_))) => {}
                Some(Ok(Ok(data))) => {
                    self.pausing = true;
                    if left != u64::MAX {
                        self.budget.set(left.saturating_sub(data.len() as u64));
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}
