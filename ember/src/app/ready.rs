use super::model::Model;
use crate::base::Scope;
use crate::base::error::BoxError;
use crate::llm::ToolRegistry;
use crate::web::openapi::ApiInfo;
use crate::web::{Answer, Body, Response, Site};
use bytes::Bytes;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An application that has passed its start-up check.
///
/// It is a [`tower_service::Service`], so it can stand in an application of another framework,
/// and be called without a socket.
///
/// ```
/// use ember::prelude::*;
/// use tower_service::Service as _;
///
/// #[get("/hello")]
/// async fn hello() -> &'static str {
///     "Hello"
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut ready = ember::app!().build().unwrap();
/// let request = http::Request::get("/hello").body(String::new()).unwrap();
/// let response = ready.call(request).await.unwrap();
/// assert_eq!(response.status(), 200);
/// # }
/// # use ember::http;
/// ```
#[derive(Clone)]
pub struct Ready {
    pub(super) site: Arc<Site>,
    pub(super) tools: ToolRegistry,
    pub(super) model: Option<Model>,
    pub(super) scope: Scope,
    pub(super) info: ApiInfo,
    #[cfg(feature = "server")]
    pub(super) settings: super::settings::Settings,
}

impl Ready {
    /// Answers a request without a socket.
    pub fn answer(&self, request: http::Request<Body>) -> Answer {
        self.site.answer(request, None)
    }

    /// The application's routes, components and middleware.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// The provider that the application asks, with its model, as the banner tells it; `None` if it asks none.
    pub fn provider(&self) -> Option<&str> {
        self.model.as_ref().map(|model| model.note.as_str())
    }

    /// The tools of the application: all that are annotated within its scope.
    pub fn tools(&self) -> &ToolRegistry {
        &self.tools
    }
}

impl<B> tower_service::Service<http::Request<B>> for Ready
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Infallibly;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Infallibly {
        Infallibly(self.answer(request.map(Body::new)))
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// An [`Answer`] as tower wants it.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Infallibly(Answer);

impl Future for Infallibly {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context).map(Ok)
    }
}
