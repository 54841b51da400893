use super::body::Body;
use super::request::{Request, RequestParts};
use super::response::{IntoResponse, Response};
use crate::base::error::BoxError;
use crate::base::{Clock, Error, ErrorKind};
use bytes::Bytes;
use http::Version;
use http::header::{CONNECTION, HeaderValue};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

/// The bounds of a route: what it reads, how long it takes, how much of a body stays in memory.
///
/// A bound that is not set is that of whoever stands around the route: its blueprint, then the
/// application.
///
/// ```
/// use ember::base::clock::secs;
/// use ember::web::RouteLimits;
///
/// let uploads = RouteLimits::new().max_body_size(100 << 20).timeout(secs(60));
/// let avatars = RouteLimits::new().max_body_size(1 << 20).within(uploads);
/// assert_eq!((avatars.max_body_size, avatars.timeout), (Some(1 << 20), Some(secs(60))));
/// ```
///
/// # Time
///
/// The time of a route begins when the request has passed the middleware, and ends with the head
/// of the response: a stream may go on for longer. It is for the hooks before the handler and for
/// the handler; [`Timeout`](super::middleware::Timeout) is for what stands within a middleware as
/// well. When it is over the handler is dropped, and the answer says whose fault it was. If the
/// handler was waiting for the body, the client was too slow: 408 (RFC 9110 §15.5.9), and the
/// connection is closed. Otherwise the server was: 503 (RFC 9110 §15.6.4). It is not 504, which
/// is for a gateway whose upstream is late.
/// Catchers see that answer and hooks after the handler, as they see any other; a catcher, and
/// the hooks together, have the same time once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteLimits {
    /// The size of a request body, in bytes; beyond it the answer is 413.
    pub max_body_size: Option<u64>,
    /// How long the route may take until its response begins; beyond it the answer is 408 or 503.
    pub timeout: Option<Duration>,
    /// How many bytes of a [`BufferedBody`](super::BufferedBody) stay in memory; a larger one goes
    /// to a temporary file.
    pub in_memory_threshold: Option<u64>,
}

impl RouteLimits {
    /// How many bytes of a body stay in memory where nothing else is said: 256 KiB.
    pub const DEFAULT_THRESHOLD: u64 = 256 << 10;

    /// Limits of which none is set.
    pub const fn new() -> Self {
        Self { max_body_size: None, timeout: None, in_memory_threshold: None }
    }

    /// Sets the size of a request body, in bytes.
    #[must_use]
    pub const fn max_body_size(mut self, bytes: u64) -> Self {
        self.max_body_size = Some(bytes);
        self
    }

    /// Sets how long the route may take until its response begins.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how many bytes of a body stay in memory.
    #[must_use]
    pub const fn in_memory_threshold(mut self, bytes: u64) -> Self {
        self.in_memory_threshold = Some(bytes);
        self
    }

    /// Takes each bound that is not set from the limits around these.
    #[must_use]
    pub fn within(self, outer: Self) -> Self {
        Self {
            max_body_size: self.max_body_size.or(outer.max_body_size),
            timeout: self.timeout.or(outer.timeout),
            in_memory_threshold: self.in_memory_threshold.or(outer.in_memory_threshold),
        }
    }

    /// Returns the limits of the route that a request has reached.
    pub fn of(parts: &RequestParts) -> Self {
        let limits = parts.route().and_then(|route| route.extensions.get::<Self>());
        limits.copied().unwrap_or_default()
    }

    /// Answers a request by `run`, within the size and the time.
    pub async fn enforce<F>(
        &self,
        request: Request,
        clock: &Clock,
        run: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let request = match self.max_body_size {
            Some(bytes) => request.map_body(|body| body.limit(bytes)),
            None => request,
        };
        let Some(timeout) = self.timeout else {
            return run(request).await;
        };
        let version = request.version();
        let waiting = Arc::new(AtomicBool::new(false));
        let watched = waiting.clone();
        let request = request.map_body(|body| Body::new(Watched { body, waiting: watched }));
        tokio::select! {
            biased;
            response = run(request) => response,
            // Asked while the handler is still there: a body that is dropped is waited for no longer.
            waiting = async { clock.sleep(timeout).await; waiting.load(Relaxed) } => too_late(waiting, version),
        }
    }

    /// Does a part of the route's work that reads no body, in the time of the route.
    ///
    /// # Errors
    /// Status 503 when the time is over.
    pub(crate) async fn in_time<F: Future>(
        &self,
        clock: &Clock,
        work: F,
    ) -> Result<F::Output, Error> {
        let Some(timeout) = self.timeout else { return Ok(work.await) };
        tokio::select! {
            biased;
            outcome = work => Ok(outcome),
            () = clock.sleep(timeout) => Err(late()),
        }
    }

    /// What is left of the limits when some of the time has passed.
    pub(crate) fn less(mut self, passed: Duration) -> Self {
        self.timeout = self.timeout.map(|timeout| timeout.saturating_sub(passed));
        self
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Unavailable, "The answer was not ready in time.")
}

fn too_late(waiting_for_body: bool, version: Version) -> Response {
    if !waiting_for_body {
        return late().into_response();
    }
    let kind = ErrorKind::RequestTimeout;
    let mut response = Error::new(kind, "The request body did not arrive in time.").into_response();
    if version <= Version::HTTP_11 {
        // What is left of the body would have to be read before the next request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that tells whether somebody waits for it.
struct Watched {
    body: Body,
    waiting: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let poll = Pin::new(&mut self.body).poll_frame(context);
        self.waiting.store(poll.is_pending(), Relaxed);
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Whoever gives a body up waits for it no longer.
        self.waiting.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use futures_util::stream;

    fn request(body: Body) -> Request {
        http::Request::post("/").body(body).unwrap().into()
    }

    /// The status of a handler that is still at work when its time is over.
    async fn late<F>(body: Body, run: impl FnOnce(Request) -> F) -> Response
    where
        F: Future<Output = Response>,
    {
        let hands = ManualClock::new();
        let limits = RouteLimits::new().timeout(secs(5));
        let clock = hands.clock();
        let answer = limits.enforce(request(body), &clock, run);
        let time = async {
            while hands.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
            hands.advance(secs(5));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            response = answer => response,
            () = time => unreachable!(),
        }
    }

    #[tokio::test]
    async fn a_handler_that_is_late_is_503() {
        let response = late(Body::from("x"), |request| async {
            request.into_body().collect().await.unwrap();
            std::future::pending().await
        });
        assert_eq!(response.await.status(), 503);
    }

    #[tokio::test]
    async fn a_body_that_is_late_is_408() {
        let slow = Body::stream(stream::pending::<Result<Bytes, BoxError>>());
        let response = late(slow, |request| async {
            request.into_body().collect().await.unwrap();
            unreachable!()
        });
        let response = response.await;
        assert_eq!(response.status(), 408);
        assert_eq!(response.headers()["connection"], "close");
    }

    #[tokio::test]
    async fn what_is_in_time_and_small_passes() {
        let limits = RouteLimits::new().timeout(secs(5)).max_body_size(2);
        let run = |request: Request| async {
            request
                .into_body()
                .collect()
                .await
                .map_or_else(Error::into_response, |bytes| bytes.into_response())
        };
        let clock = Clock::system();
        assert_eq!(limits.enforce(request("ab".into()), &clock, run).await.status(), 200);
        assert_eq!(limits.enforce(request("abc".into()), &clock, run).await.status(), 413);
    }
}
