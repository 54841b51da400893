use super::client_address::TrustedProxies;
use super::rate_headers::tell_limit;
use super::token_rate_limit::TokenRateLimit;
use super::{Middleware, Next};
use crate::base::{Clock, Error, Finding};
use crate::store::{
    BoundedMap, BoxStore, Bucket, Draw, GlobalTokenBucket, OnStoreFailure, SharedBucket,
    TokenBucket, key_part,
};
use crate::web::principal::Principal;
use crate::web::request::{Request, RequestParts};
use crate::web::response::{IntoResponse, Response};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Bounds how many requests somebody may make.
///
/// Each client has a [`TokenBucket`]: it may use the whole number at once, and regains it evenly
/// over the period. Beyond it the answer is status 429 with `Retry-After`.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::RateLimit;
///
/// let app = Ember::new()
///     .middleware(RateLimit::per_minute(100).trusted_proxies(["10.0.0.0/8"]))
///     .middleware(RateLimit::per_second(500).global());
/// # app.build().unwrap();
/// ```
///
/// Every answer says where the client stands, by `RateLimit-Limit`, `RateLimit-Remaining` and
/// `RateLimit-Reset` (seconds until all is regained), the fields of
/// draft-ietf-httpapi-ratelimit-headers-06. Of several limits the tightest is told.
///
/// A client is an address, unless another method says otherwise: an IPv4 address, or the /64
/// network of an IPv6 address, because a client has all of that. Those without one, as over a Unix
/// socket whose proxy is not trusted, share a bucket. The clients that were seen last are remembered, 10,000 of them unless
/// [`RateLimit::max_clients`] says otherwise; who is forgotten starts anew.
///
/// # Several processes
/// A limit with a [`name`](Self::name) is kept in the store of the application, if it has one that
/// processes share, or in [one of its own](Self::store): then it holds for the sum of all
/// processes that have a limit of that name, and so do restarts. Each request asks the store once, in one
/// step. A limit without a name counts in each process. Every process brings its own number and period
/// along, which should be the same in all. No client is forgotten there before it has
/// regained everything, as far as the store keeps what it was given.
#[doc(alias = "RateLimitMiddleware")]
pub struct RateLimit {
    limit: u64,
    period: Duration,
    by: By,
    proxies: TrustedProxies,
    clock: Clock,
    clients: Mutex<BoundedMap<Arc<TokenBucket>>>,
    name: Option<String>,
    store: OnceLock<BoxStore>,
    on_store_failure: OnStoreFailure,
}

type Key = dyn Fn(&RequestParts) -> Option<String> + Send + Sync;

/// What tells one client from another.
enum By {
    Address,
    Principal,
    Key(Box<Key>),
    Nothing,
}

const MAX_CLIENTS: usize = 10_000;

impl RateLimit {
    /// Lets a client make so many requests in a period.
    pub fn new(requests: u64, period: Duration) -> Self {
        Self {
            limit: requests,
            period,
            by: By::Address,
            proxies: TrustedProxies::default(),
            clock: Clock::system(),
            clients: Mutex::new(BoundedMap::new(MAX_CLIENTS)),
            name: None,
            store: OnceLock::new(),
            on_store_failure: OnStoreFailure::default(),
        }
    }

    /// Lets a client make so many requests a second.
    pub fn per_second(requests: u64) -> Self {
        Self::new(requests, Duration::from_secs(1))
    }

    /// Lets a client make so many requests a minute.
    pub fn per_minute(requests: u64) -> Self {
        Self::new(requests, Duration::from_secs(60))
    }

    /// Lets a client make so many requests an hour.
    pub fn per_hour(requests: u64) -> Self {
        Self::new(requests, Duration::from_secs(3600))
    }

    /// Bounds tokens, and not requests: those that all requests together bring and models use.
    pub fn tokens(bucket: GlobalTokenBucket) -> TokenRateLimit {
        TokenRateLimit::new(bucket)
    }

    /// Believes these proxies when they say whom they speak for.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl Into<TrustedProxies>) -> Self {
        self.proxies = proxies.into();
        self
    }

    /// Counts by [`Principal`], and by address where nobody is authenticated.
    ///
    /// The middleware that authenticates stands outside of this one.
    #[must_use]
    pub fn by_principal(mut self) -> Self {
        self.by = By::Principal;
        self
    }

    /// Counts by a key of the program's own, and by address where it is `None`.
    #[must_use]
    pub fn by(
        mut self,
        key: impl Fn(&RequestParts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.by = By::Key(Box::new(key));
        self
    }

    /// Counts all requests together.
    #[must_use]
    pub fn global(mut self) -> Self {
        self.by = By::Nothing;
        self
    }

    /// Names the limit: all of its name in one store are one.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keeps the limit in this store, whatever that of the application is. It needs a
    /// [`name`](Self::name) then.
    #[must_use]
    pub fn store(mut self, store: impl Into<BoxStore>) -> Self {
        self.store = OnceLock::from(store.into());
        self
    }

    /// Says what becomes of requests while the store cannot be asked: they are
    /// [denied](OnStoreFailure::Deny) unless it is said.
    #[must_use]
    pub fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.on_store_failure = policy;
        self
    }

    /// Sets how many clients are remembered, where the limit is in no store.
    #[must_use]
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.clients = Mutex::new(BoundedMap::new(clients));
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn key(&self, request: &RequestParts) -> String {
        let own = match &self.by {
            By::Nothing => return String::new(),
            By::Address => None,
            By::Principal => request.extensions().get().map(|Principal { id, .. }| id.clone()),
            By::Key(key) => key(request),
        };
        self.proxies.named(own, request)
    }

    /// Takes a request from the client's bucket.
    fn admit(&self, key: &str) -> (Arc<TokenBucket>, Result<(), Duration>) {
        let now = self.clock.now();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = clients.get(key, now).cloned().unwrap_or_else(|| Arc::new(self.bucket()));
        let outcome = bucket.try_consume(1);
        // A full bucket is as good as none.
        let full = now.checked_add(bucket.until_full()).unwrap_or(now + self.period);
        clients.insert(key, bucket.clone(), full, now);
        (bucket, outcome)
    }

    /// Where the requests of a client are counted, if that is in a store.
    fn shared(&self, key: &str) -> Option<SharedBucket> {
        let (store, name) = (self.store.get()?, self.name.as_ref()?);
        let key = format!("rate:{name}:{}", key_part(key));
        let bucket = Bucket::refilling(self.limit, self.period);
        Some(SharedBucket::new(store, key, bucket, self.on_store_failure))
    }

    /// Answers by what the store says.
    async fn handle_shared(&self, shared: &SharedBucket, request: Request, next: Next) -> Response {
        let drawn = match shared.draw(Draw::Take(1)).await {
            Ok(Some(drawn)) => drawn,
            Ok(None) => return next.run(request).await,
            Err(error) => return error.into_response(),
        };
        let mut response = match drawn.taken {
            true => next.run(request).await,
            false => too_many(drawn.wait_for(shared.bucket(), 1)),
        };
        let left = u64::try_from(drawn.left).unwrap_or(0);
        tell_limit(response.headers_mut(), self.limit, left, drawn.until_full(shared.bucket()));
        response
    }

    fn bucket(&self) -> TokenBucket {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a limit beyond 2^53 requests needs no exact unit"
        )]
        let capacity = self.limit as f64;
        TokenBucket::new(capacity, capacity / self.period.as_secs_f64()).clock(self.clock.clone())
    }
}

fn too_many(wait: Duration) -> Response {
    let error = Error::too_many_requests("Too many requests; please wait.");
    error.with_retry_after(wait).into_response()
}

impl Middleware for RateLimit {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let key = self.key(&request);
        if let Some(shared) = self.shared(&key) {
            return self.handle_shared(&shared, request, next).await;
        }
        let (bucket, outcome) = self.admit(&key);
        let mut response = match outcome {
            Ok(()) => next.run(request).await,
            Err(wait) => too_many(wait),
        };
        tell_limit(response.headers_mut(), self.limit, bucket.available(), bucket.until_full());
        response
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        match self.name {
            Some(ref name) => {
                let store = self.store.get_or_init(|| store.clone());
                let numbers = format!("{} in {:?}", self.limit, self.period);
                store.declare(format!("the `RateLimit` `{name}`"), numbers);
            }
            None => notes.push(format!(
                "a `RateLimit` of {} requests in {:?} has no name, and counts in each process apart; \
                 `.name(…)` lets them share it",
                self.limit, self.period
            )),
        }
    }

    fn check(&self, findings: &mut Vec<Finding>) {
        if self.limit == 0 || self.period.is_zero() {
            let text = "`RateLimit` allows no requests at all: its number and its period must be more than zero";
            findings.push(Finding::new(text));
        }
        if self.store.get().is_some() && self.name.is_none() {
            let text = "`RateLimit` has a store, and no name by which other processes would know it there; add `.name(…)`";
            findings.push(Finding::new(text));
        }
        for text in self.proxies.malformed() {
            findings.push(Finding::new(format!(
                "`RateLimit` cannot trust the proxies `{text}`: that is neither an address nor a network such as `10.0.0.0/8`"
            )));
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("RateLimit")
            .field("limit", &self.limit)
            .field("period", &self.period)
            .field("proxies", &self.proxies)
            .field("clients", &clients)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};

    #[test]
    fn clients_are_bounded_and_forgotten_when_their_bucket_is_full() {
        let hands = ManualClock::new();
        let limit = RateLimit::per_minute(2).max_clients(3).clock(hands.clock());
        for client in 0..50 {
            assert!(limit.admit(&client.to_string()).1.is_ok());
        }
        let clients = || limit.clients.lock().unwrap().len();
        assert_eq!(clients(), 3);
        hands.advance(secs(30));
        assert!(limit.admit("late").1.is_ok());
        assert_eq!(clients(), 1, "a full bucket is not kept");
        assert!(limit.admit("late").1.is_ok());
        assert_eq!(limit.admit("late").1, Err(secs(30)));
    }
}
