use super::Middleware;
use crate::base::Finding;
use crate::store::BoxStore;
use crate::web::operation::Operation;
use crate::web::panics::Guard;
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// The rest of the way to the handler.
///
/// It is owned, so that it can be kept, sent to a task, or handed to a tower service; a copy of
/// it goes the same way once more.
#[derive(Clone)]
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
    ///
    /// A panic on the way has become a response with status 500 when it comes back here.
    pub async fn run(self, request: Request) -> Response {
        match self.end.middleware().get(self.passed) {
            Some(middleware) => {
                let next = Self { end: self.end.clone(), passed: self.passed + 1 };
                let work = middleware.0.handle(request, next);
                let response = Guard::new("a middleware", work, IntoResponse::into_response).await;
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
    /// Answers when all middleware is passed. No panic comes out of it, and catchers have had their turn.
    fn answer(&self, request: Request) -> ResponseFuture<'_>;
    /// Tells whether a response is an error that a catcher may answer.
    fn catches(&self, response: &Response) -> bool;
    /// Lets a catcher answer in place of an error of a middleware. No panic comes out of it.
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

    /// Says what is wrong with the middleware's settings.
    pub(crate) fn check(&self, findings: &mut Vec<Finding>) {
        self.0.check(findings);
    }

    /// Tells the middleware in which store the application keeps what its processes share.
    pub(crate) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.0.keep_in(store, notes);
    }
}

impl fmt::Debug for BoxMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Middleware")
    }
}

/// The boxed twin of [`Middleware`].
trait BoxedHandle: Send + Sync {
    fn check(&self, findings: &mut Vec<Finding>);
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>);
    fn handle(&self, request: Request, next: Next) -> ResponseFuture<'_>;
    fn describe(&self, operation: &mut Operation);
}

impl<M: Middleware> BoxedHandle for M {
    fn check(&self, findings: &mut Vec<Finding>) {
        Middleware::check(self, findings);
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        Middleware::keep_in(self, store, notes);
    }

    fn handle(&self, request: Request, next: Next) -> ResponseFuture<'_> {
        Box::pin(Middleware::handle(self, request, next))
    }

    fn describe(&self, operation: &mut Operation) {
        Middleware::describe(self, operation);
    }
}
