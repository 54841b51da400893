use super::request_id::RequestId;
use super::{Middleware, Next};
use crate::base::error::BoxError;
use crate::base::{Clock, ErrorKind};
use crate::web::body::Body;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{ErrorSpan, Response, ResponseError};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// Writes each request to the log, in a span that all it logs itself is within, and the cause of a failure as well.
///
/// The span is named `request` and has the fields `method`, `path`, `route` (the pattern of the
/// route), `remote` and `request_id` (see [`RequestIds`](super::RequestIds)). At the end of the
/// response an event of level `info` follows, with `status`, `bytes` of the body, `duration_ms`,
/// and `end`:
///
/// - `complete`: everything was sent, or, for a body of known length, handed over;
/// - `left`: the client left, or the server stopped, before the end of the body, or before there
///   was an answer at all, which counts as status 499;
/// - `failed`: the body broke.
///
/// So an event stream is logged when it ends, with the time that it took. Query strings are not
/// logged, because they hold secrets; [`AccessLog::with_query`] is for applications whose do not.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::{AccessLog, RequestIds};
///
/// let app = Ember::new().middleware(RequestIds::new()).middleware(AccessLog::new());
/// # app.build().unwrap();
/// ```
#[doc(alias = "LoggingMiddleware")]
#[doc(alias = "Trace")]
#[derive(Debug, Clone, Default)]
pub struct AccessLog {
    clock: Clock,
    with_query: bool,
}

impl AccessLog {
    /// A log of paths without their query.
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs the query string as part of the path.
    #[must_use]
    pub fn with_query(mut self) -> Self {
        self.with_query = true;
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn span(&self, request: &RequestParts) -> Span {
        let path = match request.uri().path_and_query() {
            Some(path) if self.with_query => path.as_str(),
            _ => request.path(),
        };
        let span = tracing::info_span!(
            "request",
            method = %request.method(),
            path,
            route = request.route().map(|route| route.path.as_str()),
            remote = request.remote_addr().map(|address| tracing::field::display(address.ip())),
            request_id = Empty,
        );
        if let Some(id) = request.extensions().get::<RequestId>() {
            span.record("request_id", id.as_str());
        }
        span
    }
}

impl Middleware for AccessLog {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let span = self.span(&request);
        let is_head = *request.method() == Method::HEAD;
        let mut entry = Entry {
            span: span.clone(),
            begun: self.clock.now(),
            clock: self.clock.clone(),
            status: ErrorKind::ClientClosed.status(),
            bytes: 0,
            written: false,
        };
        let mut response = next.run(request).instrument(span.clone()).await;
        if response.extensions().get::<ResponseError>().is_some() {
            response.extensions_mut().insert(ErrorSpan(span));
        }
        entry.status = response.status();
        // The body of an answer to HEAD is not sent, and one without bytes not polled.
        if is_head || response.body().is_end_stream() {
            entry.write("complete");
            return response;
        }
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        response.map(|body| {
            Body::new(Logged { length: length.or(body.size_hint().exact()), body, entry })
        })
    }
}

/// What is written at the end of a response.
struct Entry {
    span: Span,
    clock: Clock,
    begun: Instant,
    status: StatusCode,
    bytes: u64,
    written: bool,
}

impl Entry {
    fn write(&mut self, end: &'static str) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let duration_ms = self.clock.now().duration_since(self.begun).as_secs_f64() * 1e3;
        let (status, bytes) = (self.status.as_u16(), self.bytes);
        let _within = self.span.enter();
        tracing::info!(status, bytes, duration_ms, end, "answered");
    }
}

/// A body that is dropped before its end was not wanted any more.
impl Drop for Entry {
    fn drop(&mut self) {
        self.write("left");
    }
}

/// A body whose end is logged.
struct Logged {
    body: Body,
    /// The server does not ask for more than the announced length.
    length: Option<u64>,
    entry: Entry,
}

impl http_body::Body for Logged {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, length, entry } = &mut *self;
        let polled = entry.span.in_scope(|| Pin::new(body).poll_frame(context));
        let frame = ready!(polled);
        match &frame {
            None => entry.write("complete"),
            Some(Err(_)) => entry.write("failed"),
            Some(Ok(frame)) => {
                entry.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if length.is_some_and(|length| entry.bytes >= length) {
                    entry.write("complete");
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
