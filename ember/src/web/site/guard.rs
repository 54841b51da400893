use crate::base::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future in which a panic becomes an error, and leaves the worker alive.
pub(super) struct Guard<F>(pub(super) F);

impl<F: Future + Unpin> Future for Guard<F> {
    type Output = Result<F::Output, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        poll_caught(Pin::new(&mut self.0), context)
    }
}

/// Polls a future; a panic in it becomes an error.
///
/// The future is never polled again after a panic, so that no broken state is seen.
pub(super) fn poll_caught<F: Future + ?Sized>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<Result<F::Output, Error>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Poll::Ready(Err(Error::internal(format!(
                "the handler panicked: {}",
                text.unwrap_or("no message")
            ))))
        }
    }
}
