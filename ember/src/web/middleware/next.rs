use super::Middleware;
use crate::web::operation::Operation;
use crate::web::request::Request;
use crate::web::response::Response;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// The rest of the way to the handler.
///
/// It is owned, so that it can be kept, sent to a task, or handed to a tower service.
pub struct Next {
    end: Arc<dyn Terminus>,
    /// How many middleware have been passed.
    passed: usize,
}

impl Next {
    pub(crate) fn new(end: Arc<dyn Terminus>) -> Self {
        Self { end, passed: 0 }
    }

    /// Lets the next middleware answer, or the handler where there is none.
    pub async fn run(self, request: Request) -> Response {
        match self.end.middleware().get(self.passed) {
            Some(middleware) => {
                let next = Self { end: self.end.clone(), passed: self.passed + 1 };
                let response = middleware.0.handle(request, next).await;
                // Those around this middleware are to see what a catcher makes of its error.
                match self.end.catches(&response) {
                    true => self.end.catch(response).await,
                    false => response,
                }
            }
            None => self.end.answer(request).await,
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("passed", &self.passed).finish_non_exhaustive()
    }
}

/// The way of a request: the middleware on it, and what answers when none is left.
pub(crate) trait Terminus: Send + Sync {
    fn middleware(&self) -> &[BoxMiddleware];
    fn answer(&self, request: Request) -> ResponseFuture<'_>;
    /// Tells whether a response is an error that a catcher may answer.
    fn catches(&self, response: &Response) -> bool;
    fn catch(&self, response: Response) -> ResponseFuture<'_>;
}

/// A middleware whose type is forgotten: an application's stand in one list.
#[derive(Clone)]
pub struct BoxMiddleware(Arc<dyn BoxedHandle>);

impl BoxMiddleware {
    /// Forgets the type.
    pub fn new(middleware: impl Middleware) -> Self {
        Self(Arc::new(middleware))
    }

    pub(crate) fn describe(&self, operation: &mut Operation) {
        self.0.describe(operation);
    }
}

impl fmt::Debug for BoxMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Middleware")
    }
}

/// The boxed twin of [`Middleware`].
trait BoxedHandle: Send + Sync {
    fn handle(&self, request: Request, next: Next) -> ResponseFuture<'_>;
    fn describe(&self, operation: &mut Operation);
}

impl<M: Middleware> BoxedHandle for M {
    fn handle(&self, request: Request, next: Next) -> ResponseFuture<'_> {
        Box::pin(Middleware::handle(self, request, next))
    }

    fn describe(&self, operation: &mut Operation) {
        Middleware::describe(self, operation);
    }
}
