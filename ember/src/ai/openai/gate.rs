use super::keys::{Caller, Keyring};
use crate::ai::AiOptions;
use crate::ai::extract::limits_of;
use crate::ai::limiter::{CallerLimit, tightest};
use crate::base::{Error, random_id};
use crate::store::{BoxStore, BucketError};
use crate::web::middleware::{Middleware, Next, bearer_token};
use crate::web::operation::{Operation, Security};
use crate::web::{IntoResponse, Parameter, Principal, Request, RequestParts, Response};
use http::header::{FORWARDED, HOST, VIA};
use http::uri::Authority;
use http::{HeaderName, HeaderValue};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
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
    async fn look_at(&self, request: &mut Request) -> (Marks, Result<(), Error>) {
        let id = random_id().ok().map(Arc::from);
        let mut marks = Marks { seen: Seen { id, ..Seen::default() }, caller: None };
        let caller = match self.admit(request) {
            Ok(caller) => caller,
            Err(error) => return (marks, Err(error)),
        };
        if let Some(caller) = &caller {
            // A key is no user, whatever it is called.
            request.extensions_mut().insert(Principal::new(["key:", &caller.name].concat()));
            request.extensions_mut().insert(caller.clone());
        }
        let options = request.route().and_then(|route| route.extensions.get::<AiOptions>());
        if let Some(options) = options {
            marks.seen.also(limits_of(request, &options.limiters));
        }
        request.extensions_mut().insert(marks.seen.clone());
        let Some(caller) = caller else { return (marks, Ok(())) };
        let counted = caller.count().await.map_err(|error| match error {
            BucketError::Empty { wait } => {
                let message = "Too many requests were made with this API key.";
                Error::too_many_requests(message).with_retry_after(wait)
            }
            BucketError::Away(error) => error,
        });
        marks.seen.also(caller.limit.clone());
        marks.caller = Some(caller);
        (marks, counted)
    }

    /// Whose request it is, if it is that of a key.
    fn admit(&self, request: &RequestParts) -> Result<Option<Arc<Caller>>, Error> {
        if self.keys.is_empty() {
            let known = request.extensions().get::<Principal>().is_some();
            return match self.open || known || is_local(request) {
                true => Ok(None),
                false => Err(Error::unauthorized(
                    "No API key is configured here, so that only this machine is answered.",
                )),
            };
        }
        let token = bearer_token(request).map_err(Error::unauthorized)?;
        match token {
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

/// Tells whether a request was made by a program on this machine, as far as a request can tell.
///
/// Without an address of a peer nobody knows where it comes from: behind a Unix socket or another
/// framework there can be a proxy. Most of those that pass on what others ask say so in a header;
/// one that does not, as nginx unless it is told to, cannot be told from a program here. And a
/// page whose name was made to lead here (DNS rebinding) names its own host, and no other.
fn is_local(request: &RequestParts) -> bool {
    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
    let is_here = request.remote_addr().is_some_and(|peer| is_loopback(peer.ip()));
    let is_passed_on = [FORWARDED, VIA, X_FORWARDED_FOR, X_REAL_IP]
        .iter()
        .any(|name| request.headers().contains_key(name));
    is_here && !is_passed_on && names_this_machine(request)
}

/// Tells whether the host that is asked for is this machine by its own name.
fn names_this_machine(request: &RequestParts) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    // HTTP/2 has it in the target.
    let of_target = request.uri().authority().cloned();
    let of_header = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        (None, _) => None,
        // Of two that differ nobody can tell which one counts.
        (Some(_), Some(_)) => return false,
    };
    let has_header = request.headers().contains_key(HOST);
    let is_local = |authority: &Authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
    };
    match (of_target, of_header) {
        (Some(target), Some(header)) => is_local(&target) && is_local(&header),
        (Some(target), None) => !has_header && is_local(&target),
        (None, header) => header.is_some_and(|header| is_local(&header)),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl Middleware for Gate {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        let (mut marks, admitted) = self.look_at(&mut request).await;
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

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.keys.keep_in(store, notes);
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
    seen: Seen,
    caller: Option<Arc<Caller>>,
}

/// What the gate has seen of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The digits of its id, which are those of its answer's as well.
    pub(super) id: Option<Arc<str>>,
    /// The limits on tokens that hold for it. Which do is only known once its model is.
    limits: Arc<Mutex<Vec<CallerLimit>>>,
}

impl Seen {
    /// These hold as well.
    pub(super) fn also(&self, limits: impl IntoIterator<Item = CallerLimit>) {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).extend(limits);
    }
}

impl Marks {
    /// Writes the headers that OpenAI documents ("Rate limits in headers").
    fn write(&mut self, response: &mut Response) {
        let headers = response.headers_mut();
        // That of `RequestIds`, if there is such middleware, is the same in the log.
        let id = self.seen.id.take();
        let id = id.and_then(|id| HeaderValue::try_from(["req_", &id].concat()).ok());
        if let Some(id) = id {
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
        let limits = self.seen.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = tightest(&limits) {
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
    use super::super::keys::{VirtualKey, VirtualKeys};
    use super::*;
    use crate::base::Env;
    use http::header::AUTHORIZATION;

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
    fn this_machine_has_names_of_its_own() {
        let is_named = |target: &str, hosts: &[&'static str]| {
            let mut request = http::Request::builder().uri(target).body(()).unwrap();
            for host in hosts {
                request.headers_mut().append(HOST, HeaderValue::from_static(host));
            }
            names_this_machine(&Request::from(request))
        };
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.9.9.9:1", "[::1]:8000"] {
            assert!(is_named("/", &[host]), "{host}");
        }
        assert!(is_named("http://localhost:8000/", &[]));
        assert!(is_named("http://localhost/", &["127.0.0.1"]));
        for hosts in [
            &["evil.example"][..],
            &["localhost.evil.example"],
            &["192.168.0.7"],
            &[""],
            &["localhost", "evil.example"],
            &["localhost@evil.example"],
            &["a b"],
            &[],
        ] {
            assert!(!is_named("/", hosts), "{hosts:?}");
        }
        assert!(!is_named("http://evil.example/", &["localhost"]));
        assert!(!is_named("http://localhost/", &["evil.example"]));
    }

    #[tokio::test]
    async fn a_key_is_no_user_of_its_name() {
        let mut findings = Vec::new();
        let keys: VirtualKeys = VirtualKey::new("ada", "sk-ada").into();
        let keys = keys.settle(&Env::of([("X", "y")]), &mut findings);
        let gate = Gate { keys, open: false };
        let mut request = http::Request::new(());
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer sk-ada"));
        let mut request = Request::from(request);
        let (_, admitted) = gate.look_at(&mut request).await;
        assert!(admitted.is_ok() && findings.is_empty());
        let principal = request.extensions().get::<Principal>().unwrap();
        assert_eq!(principal.id, "key:ada");
    }
}
