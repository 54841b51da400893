//! One HTTP exchange.
//!
//! reqwest stands behind this file and [`origin`](super::origin), and is named nowhere else.

use super::error::{Error, ErrorKind};
use super::origin::Outgoing;
use super::provider::Timeouts;
use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt as _;
use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Sends requests, and keeps connections for the next ones.
///
/// Each thread has a pool of its own: Ember's workers each run a runtime, and a connection
/// whose other half lives in another worker would stall with it.
pub(crate) struct Transport {
    pools: Mutex<HashMap<ThreadId, reqwest::Client>>,
    /// A pool that no thread has taken yet.
    spare: Mutex<Option<reqwest::Client>>,
    timeouts: Timeouts,
}

/// The largest number of pools; threads come and go, and their pools with them.
const MAX_POOLS: usize = 256;

/// How much of an answer that tells of a failure is read, in bytes.
const FAILURE_LIMIT: usize = 64 << 10;

/// How long the rest of such an answer may take.
const FAILURE_WAIT: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes, whole or streamed.
pub(crate) const ANSWER_LIMIT: usize = 64 << 20;

impl Transport {
    pub(crate) fn new(timeouts: Timeouts) -> Result<Self, Error> {
        // What keeps a client from being made shows here and not with the first request.
        let spare = Mutex::new(Some(connect(timeouts.connect)?));
        Ok(Self { pools: Mutex::default(), spare, timeouts })
    }

    /// Sends a request whose answer arrives whole, and reads it.
    pub(crate) async fn exchange(&self, request: Outgoing) -> Result<Response<Bytes>, Error> {
        within(self.timeouts.total, "an answer", async {
            let (head, body) = self.send(request).await?.into_parts();
            let body = match head.status.is_success() {
                true => read_all(body).await?,
                false => read_some(body, FAILURE_LIMIT).await?,
            };
            Ok(Response::from_parts(head, body))
        })
        .await
    }

    /// Sends a request whose answer is streamed. The future is ready when its headers are there.
    pub(crate) async fn open(&self, request: Outgoing) -> Result<Response<WireBody>, Error> {
        let limit = self.timeouts.headers.min(self.timeouts.total);
        let response = within(limit, "the beginning of an answer", self.send(request)).await?;
        Ok(response.map(WireBody))
    }

    async fn send(&self, request: Outgoing) -> Result<Response<reqwest::Body>, Error> {
        let mut response = self
            .client()?
            .execute(request.0)
            .await
            .map_err(|error| failed(error, "the request failed"))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut response = Response::new(response.into());
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }

    /// The pool of this thread.
    fn client(&self) -> Result<reqwest::Client, Error> {
        let thread = thread::current().id();
        if let Some(client) = locked(&self.pools).get(&thread) {
            return Ok(client.clone());
        }
        let spare = locked(&self.spare).take();
        // Making one takes its time, in which no other thread should wait.
        let client = match spare {
            Some(client) => client,
            None => connect(self.timeouts.connect)?,
        };
        let mut pools = locked(&self.pools);
        if pools.len() >= MAX_POOLS {
            pools.clear();
        }
        pools.insert(thread, client.clone());
        Ok(client)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(limit: Duration) -> Result<reqwest::Client, Error> {
    // An application that has chosen a provider of cryptography keeps it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(limit)
        // A key must not follow a redirect to another host, and no provider redirects.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Config, "no HTTP client can be made").with_source(error)
        })
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// The body of an answer as it arrives. Dropping it closes the connection.
pub(crate) struct WireBody(reqwest::Body);

impl WireBody {
    /// Polls for the next bytes; `None` at the end.
    pub(crate) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let frame = match http_body::Body::poll_frame(Pin::new(&mut self.0), context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(frame)) => frame,
            };
            match frame {
                Err(error) => return Poll::Ready(Some(Err(cut(error)))),
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    // Trailers are no data.
                    Err(_) => continue,
                },
            }
        }
    }

    /// Reads the rest of an answer that tells of a failure, as far as it is of interest.
    pub(crate) async fn collect_failure(self, deadline: Option<Instant>) -> Result<Bytes, Error> {
        let limit = remaining(deadline).min(FAILURE_WAIT);
        within(limit, "the rest of an answer", read_some(self.0, FAILURE_LIMIT)).await
    }

    /// Reads and forgets the little that follows on a complete answer.
    pub(crate) async fn drain(self, limit: Duration) {
        // If more than that comes, or nothing, the connection is not worth the wait.
        let _ = timeout(limit, read_some(self.0, FAILURE_LIMIT)).await;
    }

    /// Reads the rest of an answer that was expected as a stream and came whole.
    pub(crate) async fn collect(
        self,
        deadline: Option<Instant>,
        total: Duration,
    ) -> Result<Bytes, Error> {
        match timeout(remaining(deadline), read_all(self.0)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(total, "the end of the answer")),
        }
    }
}

/// What is left until the whole exchange must be over.
fn remaining(deadline: Option<Instant>) -> Duration {
    let now = Instant::now();
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now))
}

/// Reads a body, which must not be larger than any answer is.
async fn read_all(body: reqwest::Body) -> Result<Bytes, Error> {
    let bytes = read_some(body, ANSWER_LIMIT + 1).await?;
    match bytes.len() > ANSWER_LIMIT {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

/// Reads so many bytes of a body; the rest is left.
async fn read_some(mut body: reqwest::Body, limit: usize) -> Result<Bytes, Error> {
    let mut whole = Bytes::new();
    while whole.len() < limit
        && let Some(frame) = body.frame().await
    {
        let Ok(mut data) = frame.map_err(cut)?.into_data() else { continue };
        data.truncate(limit - whole.len());
        // Mostly it comes in one piece, which is not copied.
        whole = match whole.is_empty() {
            true => data,
            false => joined(whole, &data),
        };
    }
    Ok(whole)
}

/// Bytes with others behind them. Those in front are copied once, and not with each of many pieces.
fn joined(front: Bytes, behind: &[u8]) -> Bytes {
    let mut both = BytesMut::from(front);
    both.extend_from_slice(behind);
    both.freeze()
}

async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(late(limit, what)),
    }
}

/// An answer is larger than any should be.
pub(crate) fn too_large() -> Error {
    Error::new(ErrorKind::Decode, format!("the answer is larger than {ANSWER_LIMIT} bytes"))
}

/// A time limit of ours was reached.
pub(crate) fn late(limit: Duration, what: &str) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("{what} did not come within {} seconds", limit.as_secs_f64()),
    )
}

fn failed(error: reqwest::Error, what: &'static str) -> Error {
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Transport };
    // The address may hold a key in its query.
    let error = error.without_url();
    let mut message = what.to_owned();
    let mut cause = error.source();
    while let Some(present) = cause {
        cause = present.source();
        if cause.is_none() {
            // What lies at the bottom is what a log is read for: a connection refused, a name unknown.
            message = format!("{what}: {present}");
        }
    }
    Error::new(kind, message).with_source(error)
}

/// The connection broke in the middle of an answer.
fn cut(error: reqwest::Error) -> Error {
    Error::new(ErrorKind::Truncated, "the connection broke before the answer was complete")
        .with_source(error.without_url())
}
