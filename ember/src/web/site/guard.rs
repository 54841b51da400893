use crate::base::Error;
use crate::web::panics::poll_caught;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A handler in which a panic becomes an error, and leaves the worker alive.
pub(super) struct Guard<F>(pub(super) F);

impl<T, F: Future<Output = Result<T, Error>> + Unpin> Future for Guard<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        poll_caught("the handler", Pin::new(&mut self.0), context, Err)
    }
}
