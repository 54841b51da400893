use super::rate_headers::tell_limit;
use super::{Middleware, Next};
use crate::base::error::BoxError;
use crate::base::tokens::{Estimator, TokenCounter};
use crate::base::{Error, Finding};
use crate::store::{BoxStore, BucketError, GlobalTokenBucket, TokenHold};
use crate::web::body::Body;
use crate::web::buffered::BufferedBody;
use crate::web::limits::RouteLimits;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounds the tokens that requests bring, by a bucket that others may draw from as well: what
/// [`RateLimit::tokens`](super::RateLimit::tokens) makes.
///
/// ```
/// use ember::prelude::*;
/// use ember::RateLimit;
/// use ember::store::GlobalTokenBucket;
///
/// let bucket = GlobalTokenBucket::per_minute("everybody", 100_000);
/// let app = Ember::new().middleware(RateLimit::tokens(bucket).estimate_from_body());
/// # app.build().unwrap();
/// ```
///
/// Each request takes a token, or as many as its body has by estimate. On a route that asks a model,
/// what the model is expected to use is set aside from the same bucket before it is asked, and what
/// it has used is settled in place of the estimate, when the answer has been sent or given up. On any
/// other route the estimate stands. The bucket is kept in the store of the application, if it has one that
/// processes share: see [`GlobalTokenBucket`]. Where the bucket has not so much left the answer is status 429 with
/// `Retry-After`; every answer has `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`.
pub struct TokenRateLimit {
    bucket: GlobalTokenBucket,
    estimates: bool,
    counter: Option<Arc<dyn TokenCounter>>,
}

impl TokenRateLimit {
    pub(super) fn new(bucket: GlobalTokenBucket) -> Self {
        Self { bucket, estimates: false, counter: None }
    }

    /// Reads the body before the handler does, and takes as many tokens as it has by estimate.
    ///
    /// A body stays in memory up to [`RouteLimits::in_memory_threshold`] and goes to a temporary file
    /// beyond it; the handler reads it as if nobody had. Only texts are estimated, which is JSON, forms and
    /// `text/*`: anything else takes one token. No request takes more than the bucket holds.
    #[must_use]
    pub fn estimate_from_body(mut self) -> Self {
        self.estimates = true;
        self
    }

    /// Counts the tokens of bodies that stay in memory by this, and not by the
    /// [`Estimate`](crate::base::tokens::Estimate).
    #[must_use]
    pub fn token_counter(mut self, counter: impl TokenCounter) -> Self {
        self.counter = Some(Arc::new(counter));
        self
    }

    /// The tokens of a request, and the request as it was.
    async fn measure(&self, request: Request) -> Result<(u64, Request), Error> {
        if !self.estimates || !is_text(&request) {
            return Ok((1, request));
        }
        let threshold = RouteLimits::of(&request).in_memory_threshold;
        let threshold = threshold.unwrap_or(RouteLimits::DEFAULT_THRESHOLD);
        let (parts, body) = request.into_parts();
        let allowance = body.allowance();
        let read = Arc::new(Mutex::new(Reading::default()));
        let body = Body::new(Read { body, reading: read.clone() });
        let body = BufferedBody::read(body, threshold).await?;
        let (tokens, body) = match &self.counter {
            Some(counter) if body.is_in_memory() => {
                let bytes = body.into_bytes().await?;
                (counter.count(None, &String::from_utf8_lossy(&bytes)), bytes.into())
            }
            _ => {
                let tokens = locked(&read).estimator.tokens();
                (tokens, body.into_body().await?)
            }
        };
        // Whoever unpacks the body is bound by its limit as well.
        let body = match allowance {
            Some(allowance) => body.limit(allowance),
            None => body,
        };
        Ok((tokens.max(1), Request::from_parts(parts, body)))
    }
}

impl Middleware for TokenRateLimit {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let (tokens, mut request) = match self.measure(request).await {
            Ok(measured) => measured,
            Err(error) => return error.into_response(),
        };
        // No request may be refused for ever.
        let held = self.bucket.reserve(tokens.min(self.bucket.capacity())).await;
        let mut response = match held {
            Ok(hold) => {
                request.extensions_mut().insert(RequestTokens::new(hold));
                next.run(request).await
            }
            Err(BucketError::Empty { wait }) => {
                let message = "The budget of tokens is used up for now.";
                Error::too_many_requests(message).with_retry_after(wait).into_response()
            }
            Err(BucketError::Away(error)) => return error.into_response(),
        };
        let (limit, left) = (self.bucket.capacity(), self.bucket.available());
        tell_limit(response.headers_mut(), limit, left, self.bucket.until_full());
        response
    }

    fn keep_in(&self, store: &BoxStore, _: &mut Vec<String>) {
        self.bucket.keep_in(store);
    }

    fn check(&self, findings: &mut Vec<Finding>) {
        if self.bucket.capacity() == 0 || self.bucket.period().is_zero() {
            findings.push(Finding::new(format!(
                "`RateLimit::tokens` allows no requests at all: the bucket `{}` must hold more than no tokens, \
                 and its period be longer than nothing",
                self.bucket.name()
            )));
        }
    }
}

impl fmt::Debug for TokenRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRateLimit")
            .field("bucket", &self.bucket)
            .field("estimates", &self.estimates)
            .finish_non_exhaustive()
    }
}

/// Tells whether the body is one whose tokens can be estimated; one of no type may be.
fn is_text(request: &RequestParts) -> bool {
    let Some(content_type) = request.header(CONTENT_TYPE) else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence == "application/json"
        || essence == "application/x-www-form-urlencoded"
}

/// The tokens that a request has set aside, in its extensions, for whoever knows what it uses.
#[derive(Debug, Clone)]
pub(crate) struct RequestTokens(Arc<Mutex<Account>>);

#[derive(Debug)]
struct Account {
    hold: TokenHold,
    /// What calls of models have used, once there was one.
    used: Option<u64>,
}

impl RequestTokens {
    fn new(mut hold: TokenHold) -> Self {
        // The estimate stands where nobody knows better.
        hold.used(hold.reserved());
        Self(Arc::new(Mutex::new(Account { hold, used: None })))
    }

    /// Sets aside what a call is expected to use, beside what those before it have used. From now on
    /// the request costs what its calls do.
    ///
    /// # Errors
    /// As [`GlobalTokenBucket::reserve`].
    pub(crate) async fn call(&self, expected: u64) -> Result<CallTokens, BucketError> {
        let (bucket, more) = {
            let mut account = locked(&self.0);
            let used = account.used.unwrap_or(0);
            let most = account.hold.capacity();
            // Even if there is not so much: nothing is asked then, and nothing used.
            account.used = Some(used);
            account.hold.used(used);
            let all = used.saturating_add(expected).min(most);
            (account.hold.bucket().clone(), all.saturating_sub(account.hold.reserved()))
        };
        if more > 0 {
            let held = bucket.reserve(more).await?;
            locked(&self.0).hold.absorb(held);
        }
        Ok(CallTokens { account: self.0.clone(), used: 0 })
    }
}

/// The tokens of one call within a request.
#[derive(Debug)]
pub(crate) struct CallTokens {
    account: Arc<Mutex<Account>>,
    used: u64,
}

impl CallTokens {
    /// So many tokens were used so far. The last word counts.
    pub(crate) fn used(&mut self, tokens: u64) {
        let mut account = locked(&self.account);
        let others = account.used.unwrap_or(0).saturating_sub(self.used);
        let all = others.saturating_add(tokens);
        account.used = Some(all);
        account.hold.used(all);
        self.used = tokens;
    }
}

/// A body whose tokens are estimated while it is read.
struct Read {
    body: Body,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Default)]
struct Reading {
    estimator: Estimator,
    /// The beginning of a character whose end has not arrived: at most three bytes.
    rest: Vec<u8>,
}

impl Reading {
    fn push(&mut self, bytes: &[u8]) {
        let mut joined = std::mem::take(&mut self.rest);
        joined.extend_from_slice(bytes);
        let mut chunks = joined.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.estimator.push(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_cut(invalid) {
                self.rest = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.estimator.push("\u{fffd}");
            }
        }
    }
}

/// Tells whether bytes that are no character may become one.
fn is_cut(bytes: &[u8]) -> bool {
    let error = std::str::from_utf8(bytes).err();
    !bytes.is_empty() && error.is_some_and(|error| error.error_len().is_none())
}

impl http_body::Body for Read {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(std::pin::Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            locked(&self.reading).push(data);
        }
        std::task::Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use crate::base::tokens::estimate_tokens;

    #[test]
    fn a_body_is_estimated_as_the_text_it_is_however_it_arrives() {
        let text = "Grüße aus 東京 — {\"a\": [1, 2, 3]} \u{1f389}";
        for size in 1..9 {
            let mut reading = Reading::default();
            text.as_bytes().chunks(size).for_each(|piece| reading.push(piece));
            assert_eq!(reading.estimator.tokens(), estimate_tokens(text), "in pieces of {size}");
        }
        let mut reading = Reading::default();
        reading.push(b"\xff\xfe\xc3");
        reading.push(b"(");
        assert!(reading.estimator.tokens() > 0 && reading.rest.is_empty());
    }

    #[tokio::test]
    async fn calls_of_a_request_settle_in_place_of_its_estimate() {
        let hands = ManualClock::new();
        let bucket = GlobalTokenBucket::with_clock("b", 1_000, secs(60), hands.clock());
        let kept = RequestTokens::new(bucket.reserve(100).await.unwrap());
        drop(kept);
        assert_eq!(bucket.available(), 900, "nobody knew better");
        let tokens = RequestTokens::new(bucket.reserve(100).await.unwrap());
        let mut first = tokens.call(300).await.unwrap();
        assert_eq!(bucket.available(), 600);
        first.used(50);
        let mut second = tokens.call(300).await.unwrap();
        assert_eq!(bucket.available(), 550);
        second.used(20);
        second.used(10);
        first.used(60);
        assert!(tokens.call(900).await.is_err(), "there is not so much");
        drop((tokens, first));
        assert_eq!(bucket.available(), 550, "the second is still under way");
        drop(second);
        assert_eq!(bucket.available(), 830);
    }
}
