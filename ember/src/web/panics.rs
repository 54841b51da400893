//! Panics of handlers, middleware and bodies, which end one answer and nothing else.

use crate::base::Error;
use pin_project_lite::pin_project;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs something; a panic in it becomes an error that names `who` panicked.
///
/// Whoever calls this must not touch again what has panicked, so that no broken state is seen.
#[inline]
pub(super) fn caught<T>(who: &str, run: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| error_of(who, &*panic))
}

#[cold]
fn error_of(who: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("{who} panicked: {}", text.unwrap_or("no message")))
}

/// Polls a future; a panic in it becomes what `otherwise` makes of the error. The future must not be
/// polled after that.
#[inline]
pub(super) fn poll_caught<F: Future + ?Sized>(
    who: &str,
    future: Pin<&mut F>,
    context: &mut Context<'_>,
    otherwise: impl FnOnce(Error) -> F::Output,
) -> Poll<F::Output> {
    // Written from within: what `catch_unwind` returns is copied, and responses are large.
    let mut poll = Poll::Pending;
    if let Err(error) = caught(who, || poll = future.poll(context)) {
        poll = Poll::Ready(otherwise(error));
    }
    poll
}

pin_project! {
    /// A future in which a panic becomes an outcome, and leaves the worker alive.
    pub(super) struct Guard<F: Future> {
        #[pin]
        future: F,
        who: &'static str,
        otherwise: fn(Error) -> F::Output,
    }
}

impl<F: Future> Guard<F> {
    /// Guards `who`, of whom the error tells that `otherwise` makes an outcome of.
    pub(super) fn new(who: &'static str, future: F, otherwise: fn(Error) -> F::Output) -> Self {
        Self { future, who, otherwise }
    }
}

impl<F: Future> Future for Guard<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        poll_caught(this.who, this.future, context, *this.otherwise)
    }
}
