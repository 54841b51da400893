use super::{Middleware, Next};
use crate::base::Finding;
use crate::web::body::Body;
use crate::web::request::{Request, RequestParts};
use crate::web::response::Response;
use http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode};
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_layer::Layer as _;
use tower_service::Service;

/// Lets pages of other origins use the application (the CORS protocol of the Fetch standard).
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::Cors;
///
/// let cors = Cors::new().origins(["https://app.example.com"]).credentials().max_age(secs(600));
/// let app = Ember::new().middleware(cors);
/// # app.build().unwrap();
/// ```
///
/// A preflight request, which is OPTIONS with `Origin` and `Access-Control-Request-Method`, is
/// answered here with status 204; any other OPTIONS goes on. Errors carry the headers too, so that
/// a page can read them: put this outside of all middleware that may refuse a request.
///
/// On a route or a blueprint it answers for the routes within: a preflight request reaches the
/// middleware of the route whose method it names. What leads nowhere is answered by the
/// application's.
///
/// No origin is allowed unless it is named. GET, HEAD, POST, PUT, PATCH and DELETE are allowed,
/// and every header that a page asks for, unless [`Cors::methods`] and [`Cors::headers`] say
/// otherwise. Credentials together with any origin keep the application from starting, because
/// browsers refuse that, and because it would open every user's session to every page.
#[doc(alias = "CORSMiddleware")]
#[derive(Clone)]
pub struct Cors {
    origins: Origins,
    methods: Vec<Method>,
    headers: Option<Vec<HeaderName>>,
    exposed: Vec<HeaderName>,
    credentials: bool,
    max_age: Option<Duration>,
    /// Built for the first request, when the start-up check has passed.
    service: OnceLock<tower_http::cors::Cors<Nothing>>,
}

#[derive(Clone)]
enum Origins {
    Any,
    List(Vec<String>),
    Chosen(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Cors {
    /// Allows no origin yet.
    pub fn new() -> Self {
        Self {
            origins: Origins::List(Vec::new()),
            methods: vec![
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ],
            headers: None,
            exposed: Vec::new(),
            credentials: false,
            max_age: None,
            service: OnceLock::new(),
        }
    }

    /// Allows these origins, each like `https://app.example.com` or `http://localhost:5173`.
    #[must_use]
    pub fn origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.origins = Origins::List(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Allows every origin, for what is public.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }

    /// Allows the origins for which a closure says yes.
    #[must_use]
    pub fn origins_where(mut self, allow: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.origins = Origins::Chosen(Arc::new(allow));
        self
    }

    /// Allows these methods instead of the usual ones.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Allows these request headers only, beside those that are always allowed.
    #[must_use]
    pub fn headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = Some(headers.into_iter().collect());
        self
    }

    /// Lets pages read these response headers, beside those that they may always read.
    #[must_use]
    pub fn expose(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.exposed = headers.into_iter().collect();
        self
    }

    /// Lets browsers send cookies and other credentials.
    #[must_use]
    pub fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// Sets how long browsers may remember the answer to a preflight request, in whole seconds.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    fn layer(&self) -> CorsLayer {
        let origin = match &self.origins {
            Origins::Any if !self.credentials => AllowOrigin::any(),
            // The start-up check has refused this.
            Origins::Any => AllowOrigin::list([]),
            Origins::List(origins) => AllowOrigin::list(
                origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()),
            ),
            Origins::Chosen(allow) => {
                let allow = allow.clone();
                AllowOrigin::predicate(move |origin, _| {
                    origin.to_str().is_ok_and(|origin| allow(origin))
                })
            }
        };
        let headers = match &self.headers {
            None => AllowHeaders::mirror_request(),
            Some(headers) => AllowHeaders::list(headers.iter().cloned()),
        };
        let layer = CorsLayer::new()
            .allow_origin(origin)
            .allow_methods(self.methods.clone())
            .allow_headers(headers)
            .expose_headers(self.exposed.clone())
            .allow_credentials(self.credentials);
        match self.max_age {
            Some(age) => layer.max_age(age),
            None => layer,
        }
    }

    /// Asks what is to be said about a request, by one that has the same headers and does nothing.
    async fn ask(&self, request: &RequestParts, method: Method) -> HeaderMap {
        let mut question = http::Request::new(());
        *question.method_mut() = method;
        for name in [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
            if let Some(value) = request.headers().get(&name) {
                question.headers_mut().insert(name, value.clone());
            }
        }
        let mut service = self.service.get_or_init(|| self.layer().layer(Nothing)).clone();
        match service.call(question).await {
            Ok(answer) => answer.into_parts().0.headers,
            Err(never) => match never {},
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for Cors {
    async fn handle(&self, request: Request, next: Next) -> Response {
        if is_preflight(&request) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = self.ask(&request, Method::OPTIONS).await;
            return response;
        }
        // The layer takes every OPTIONS for a preflight request, which this is not.
        let answer = self.ask(&request, Method::GET).await;
        let mut response = next.run(request).await;
        let headers = response.headers_mut();
        for (name, value) in &answer {
            if name == VARY {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
        response
    }

    fn check(&self, findings: &mut Vec<Finding>) {
        match &self.origins {
            Origins::Any if self.credentials => findings.push(Finding::new(
                "`Cors` cannot allow credentials to any origin: name the origins with `.origins([…])`",
            )),
            Origins::List(origins) if origins.is_empty() => findings.push(Finding::new(
                "`Cors` allows no origin; add `.origins([…])`, `.origins_where(…)` or `.any_origin()`",
            )),
            Origins::List(origins) => {
                findings.extend(origins.iter().filter(|origin| !is_origin(origin)).map(|origin| {
                    Finding::new(format!(
                        "`Cors` cannot allow the origin `{origin}`: an origin is written like `https://app.example.com`, in small letters and without a slash at its end"
                    ))
                }));
            }
            Origins::Any | Origins::Chosen(_) => {}
        }
    }
}

fn is_preflight(request: &RequestParts) -> bool {
    let headers = request.headers();
    *request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Tells whether a browser could send this: scheme, host, and perhaps a port.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    let scheme_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    !scheme.is_empty()
        && scheme.bytes().all(scheme_allowed)
        && !host.is_empty()
        && host.bytes().all(allowed)
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = match &self.origins {
            Origins::Any => "*".to_owned(),
            Origins::List(origins) => origins.join(" "),
            Origins::Chosen(_) => "chosen by a closure".to_owned(),
        };
        f.debug_struct("Cors")
            .field("origins", &origins)
            .field("methods", &self.methods)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Answers with nothing, so that the layer's headers are all there is.
#[derive(Debug, Clone)]
struct Nothing;

impl Service<http::Request<()>> for Nothing {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_told_from_other_addresses() {
        for origin in [
            "https://a.example",
            "http://localhost:5173",
            "http://[::1]:80",
            "capacitor://localhost",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for text in
            ["*", "null", "", "a.example", "https://", "https://a.example/", "https://A.example"]
        {
            assert!(!is_origin(text), "{text}");
        }
    }
}
