use super::keys::{Caller, Keyring};
use crate::ai::AiOptions;
use crate::ai::extract::limits_of;
use crate::ai::limiter::{CallerLimit, tightest};
use crate::base::{Error, random_id};
use crate::web::middleware::{Middleware, Next};
use crate::web::operation::{Operation, Security};
use crate::web::{IntoResponse, Parameter, Principal, Request, RequestParts, Response};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: [&str; 3] =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

/// Stands before every route of the API: finds out who asks, counts, and marks the answers.
pub(super) struct Gate {
    pub(super) keys: Keyring,
    /// Whoever reaches the server may ask, with no key of ours.
    pub(super) open: bool,
}

impl Gate {
    /// Finds out who asks, counts the request, and tells what is to stand on its answer.
    fn look_at(&self, request: &mut Request) -> (Marks, Result<(), Error>) {
        let id = random_id().ok().and_then(|id| HeaderValue::try_from(format!("req_{id}")).ok());
        let mut marks = Marks { id, limits: Vec::new(), caller: None };
        let caller = match self.admit(request) {
            Ok(caller) => caller,
            Err(error) => return (marks, Err(error)),
        };
        if let Some(caller) = &caller {
            request.extensions_mut().insert(Principal::new(caller.name.clone()));
            request.extensions_mut().insert(caller.clone());
        }
        let options = request.route().and_then(|route| route.extensions.get::<AiOptions>());
        if let Some(options) = options {
            marks.limits = limits_of(request, &options.limiters);
        }
        let Some(caller) = caller else { return (marks, Ok(())) };
        let counted = caller.count().map_err(|wait| {
            let message = "Too many requests were made with this API key.";
            Error::too_many_requests(message).with_retry_after(wait)
        });
        marks.limits.extend(caller.limit.clone());
        marks.caller = Some(caller);
        (marks, counted)
    }

    /// Whose request it is, if it is that of a key.
    fn admit(&self, request: &RequestParts) -> Result<Option<Arc<Caller>>, Error> {
        if self.keys.is_empty() {
            let known = request.extensions().get::<Principal>().is_some();
            let local = request.remote_addr().is_none_or(|address| address.ip().is_loopback());
            return match self.open || known || local {
                true => Ok(None),
                false => Err(Error::unauthorized(
                    "No API key is configured here, so that only this machine is answered.",
                )),
            };
        }
        match bearer(request) {
            Some(secret) => match self.keys.find(secret) {
                Some(caller) => Ok(Some(caller.clone())),
                None => Err(Error::unauthorized("Incorrect API key provided.")),
            },
            None => Err(Error::unauthorized(
                "You didn't provide an API key. Send it as `Authorization: Bearer KEY`.",
            )),
        }
    }
}

/// The token of a request (RFC 6750 §2.1).
fn bearer(request: &RequestParts) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    // Of two that differ nobody can tell which one counts.
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl Middleware for Gate {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        let (mut marks, admitted) = self.look_at(&mut request);
        match admitted {
            Ok(()) => {
                let mut response = next.run(request).await;
                marks.write(&mut response);
                response
            }
            Err(error) => {
                // A catcher writes the answer anew, and what is put on it now would be lost.
                request.on_response(move |response| marks.write(response));
                error.into_response()
            }
        }
    }

    fn describe(&self, operation: &mut Operation) {
        operation.touches_response();
        let id = "Names the request, for whoever looks for it in a log.";
        operation.response_header(Parameter::header("x-request-id").of::<String>().description(id));
        if !self.keys.is_empty() {
            operation.security(Security::bearer());
        }
    }
}

/// What stands on every answer: its id, and what is left of limits.
struct Marks {
    id: Option<HeaderValue>,
    limits: Vec<CallerLimit>,
    caller: Option<Arc<Caller>>,
}

impl Marks {
    /// Writes the headers that OpenAI documents ("Rate limits in headers").
    fn write(&mut self, response: &mut Response) {
        let headers = response.headers_mut();
        // That of `RequestIds`, if there is such middleware, is the same in the log.
        if let Some(id) = self.id.take() {
            headers.entry(REQUEST_ID).or_insert(id);
        }
        let mut write = |names: [&'static str; 3], limit: u64, remaining: u64, reset: Duration| {
            let values = [limit.to_string(), remaining.to_string(), go_duration(reset)];
            for (name, value) in names.into_iter().zip(values) {
                // Digits and letters are always header values.
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
        };
        if let Some(requests) = self.caller.as_ref().and_then(|caller| caller.requests.as_ref()) {
            let bucket = &requests.bucket;
            write(REQUESTS, requests.limit, bucket.available(), bucket.until_full());
        }
        if let Some(left) = tightest(&self.limits) {
            write(TOKENS, left.capacity(), left.available(), left.until_full());
        }
    }
}

/// A duration as Go writes it, which is how OpenAI tells resets: `12ms`, `1.5s`, `6m0s`, `1h0m0s`.
fn go_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let fraction = match rest {
        0 => String::new(),
        rest => format!(".{rest:03}").trim_end_matches('0').to_owned(),
    };
    let seconds = format!("{}{fraction}s", seconds % 60);
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (millis, expected) in [
            (0, "0ms"),
            (12, "12ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (360_000, "6m0s"),
            (3_600_020, "1h0m0.02s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_token_is_one_and_behind_its_scheme() {
        let token = |values: &[&'static str]| {
            let mut request = http::Request::new(());
            for value in values {
                request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&Request::from(request)).map(str::to_owned)
        };
        assert_eq!(token(&["Bearer sk-1"]).as_deref(), Some("sk-1"));
        assert_eq!(token(&["bearer  sk-1 "]).as_deref(), Some("sk-1"));
        for none in [&["Basic x"][..], &["Bearer "], &["sk-1"], &[], &["Bearer a", "Bearer b"]] {
            assert_eq!(token(none), None);
        }
    }
}
