use super::Middleware;
use crate::web::request::Request;
use crate::web::response::Response;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// The rest of the way to the handler.
pub struct Next<'a> {
    rest: &'a [BoxMiddleware],
    terminus: &'a dyn Terminus,
}

impl<'a> Next<'a> {
    pub(crate) fn new(rest: &'a [BoxMiddleware], terminus: &'a dyn Terminus) -> Self {
        Self { rest, terminus }
    }

    /// Lets the next middleware answer, or the handler where there is none.
    pub fn run(self, request: Request) -> impl Future<Output = Response> + Send + 'a {
        match self.rest {
            [next, rest @ ..] => next.0.handle(request, Next { rest, terminus: self.terminus }),
            [] => self.terminus.answer(request),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("middleware", &self.rest.len()).finish()
    }
}

/// What answers when no middleware is left.
pub(crate) trait Terminus: Sync {
    fn answer(&self, request: Request) -> ResponseFuture<'_>;
}

/// A middleware whose type is forgotten: an application's stand in one list.
#[derive(Clone)]
pub(crate) struct BoxMiddleware(Arc<dyn BoxedHandle>);

impl BoxMiddleware {
    pub(crate) fn new(middleware: impl Middleware) -> Self {
        Self(Arc::new(middleware))
    }
}

impl fmt::Debug for BoxMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Middleware")
    }
}

/// The boxed twin of [`Middleware`].
trait BoxedHandle: Send + Sync {
    fn handle<'a>(&'a self, request: Request, next: Next<'a>) -> ResponseFuture<'a>;
}

impl<M: Middleware> BoxedHandle for M {
    fn handle<'a>(&'a self, request: Request, next: Next<'a>) -> ResponseFuture<'a> {
        Box::pin(Middleware::handle(self, request, next))
    }
}
