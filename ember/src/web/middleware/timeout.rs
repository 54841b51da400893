use super::{Middleware, Next};
use crate::base::{Clock, Error};
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;

/// Bounds the time until the head of the response is there.
///
/// When the time is up, the handler is dropped where it waits, and the answer is status 503. Not
/// 504, which is for a gateway whose upstream is late (RFC 9110 §15.6.5), nor 408, which blames
/// the client (§15.5.9). What follows the head, such as an event stream, may take as long as it
/// likes.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::Timeout;
///
/// let app = Ember::new().middleware(Timeout::new(secs(30)));
/// # app.build().unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Timeout {
    limit: Duration,
    clock: Clock,
}

impl Timeout {
    /// Lets a request take this long.
    pub fn new(limit: Duration) -> Self {
        Self { limit, clock: Clock::system() }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

impl Middleware for Timeout {
    async fn handle(&self, request: Request, next: Next) -> Response {
        let answer = pin!(next.run(request));
        let time = pin!(self.clock.sleep(self.limit));
        match select(answer, time).await {
            Either::Left((response, _)) => response,
            Either::Right(_) => {
                Error::unavailable("The request took longer than the server allows.")
                    .into_response()
            }
        }
    }
}
