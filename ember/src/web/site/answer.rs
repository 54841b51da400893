use crate::base::Error;
use crate::web::body::Body;
use crate::web::handler::HandlerFuture;
use crate::web::panics::poll_caught;
use crate::web::response::{ErrorSpan, IntoResponse as _, Response, ResponseError};
use crate::web::state::AppState;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// An answer on its way. Whatever a handler does, it ends in a response: an error becomes a
/// problem document, a panic a 500.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Answer {
    pub(super) work: Work,
    pub(super) is_head: bool,
    pub(super) route: Option<u32>,
    pub(super) state: Arc<AppState>,
}

pub(super) enum Work {
    Done(Response),
    /// The short way: the handler and nothing around it.
    Handler(HandlerFuture),
    Layered(Pin<Box<dyn Future<Output = Response> + Send>>),
    Over,
}

impl Future for Answer {
    type Output = Response;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut response = match &mut self.work {
            Work::Handler(future) => {
                match ready!(poll_caught("the handler", future.as_mut(), context, Err)) {
                    Ok(response) => response,
                    Err(error) => error.into_response(),
                }
            }
            Work::Layered(future) => {
                let otherwise = Error::into_response;
                ready!(poll_caught("an answer", future.as_mut(), context, otherwise))
            }
            work => match mem::replace(work, Work::Over) {
                Work::Done(response) => response,
                _ => Error::internal("an answer was polled after it was given").into_response(),
            },
        };
        self.work = Work::Over;
        if let Some(error) = response.extensions().get::<ResponseError>() {
            let span = response.extensions().get::<ErrorSpan>();
            let _within = span.map(|ErrorSpan(span)| span.enter());
            self.report(error);
        }
        if self.is_head {
            response = without_body(response);
        }
        Poll::Ready(response)
    }
}

impl Answer {
    /// Tells the log what the client is not told.
    fn report(&self, error: &ResponseError) {
        if error.status().is_server_error() {
            let route = self.route.and_then(|index| self.state.routes.get(index as usize));
            let route = route.map_or("none", |route| route.path.as_str());
            tracing::error!(status = error.status().as_u16(), route, error = %**error, "a request failed");
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("route", &self.route).finish_non_exhaustive()
    }
}

/// The answer to HEAD: what GET would answer, without the bytes but with their number.
///
/// Where a status never has a body, a number would be wrong (RFC 9110 §8.6).
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let has_none = head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(length) = body.size_hint().exact().filter(|_| !has_none) {
        head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, Body::empty())
}
