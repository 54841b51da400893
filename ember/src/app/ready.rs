use super::lifecycle::Lifecycle;
use crate::ai::Model;
use crate::base::error::BoxError;
use crate::base::{Result, Scope};
use crate::llm::{Sessions, ToolRegistry};
use crate::store::BoxStore;
use crate::web::openapi::ApiInfo;
use crate::web::{Answer, Body, Components, HookEvent, Response, Site, Urls};
use bytes::Bytes;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
#[cfg(feature = "server")]
use tokio::runtime::Handle;

/// How long the end of an application waits for what goes on after requests: once for turns of conversations, and
/// once for limits and locks.
const SETTLING: Duration = Duration::from_secs(2);

/// An application that has passed its start-up check.
///
/// It is a `tower::Service`, so it can stand in an application of another framework,
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
    pub(super) lifecycle: Arc<Lifecycle>,
    /// What an operator should know, and keeps nothing from starting.
    pub(super) notes: Vec<String>,
    pub(super) info: ApiInfo,
    #[cfg(feature = "server")]
    pub(super) settings: super::settings::Settings,
}

impl Ready {
    /// Answers a request without a socket.
    pub fn answer(&self, request: http::Request<Body>) -> Answer {
        self.site.answer(request, None)
    }

    /// Does without a server what a server does at its start: makes the components of
    /// `#[component]` functions, connects the caches, and runs the hooks of the start.
    ///
    /// Whoever calls the application as a `tower::Service` awaits this first; a server and
    /// [`TestClient::start`](crate::testing::TestClient::start) do so themselves.
    ///
    /// # Errors
    /// The first component or hook that fails, by name and place; what was made is taken down again.
    pub async fn start(self) -> Result<Self> {
        let ready = self.prepare().await?;
        match ready.run_hooks(HookEvent::AfterServerStart).await {
            Ok(()) => Ok(ready),
            Err(error) => {
                ready.finish().await;
                Err(error)
            }
        }
    }

    /// Does without a server what a server does at its end: runs the hooks of the stop, closes the caches,
    /// and takes the components down in the opposite order of their making. What fails is logged.
    pub async fn stop(&self) {
        self.lifecycle.run_all(HookEvent::BeforeServerStop, self.components()).await;
        self.finish().await;
    }

    /// Makes the components, connects the caches, and runs the hooks before anybody listens.
    pub(super) async fn prepare(mut self) -> Result<Self> {
        for note in self.notes() {
            tracing::warn!("{note}");
        }
        if self.lifecycle.makes_components() {
            let components = self.lifecycle.make(self.components().clone()).await?;
            self.site = Arc::new(self.site.with_components(components));
        }
        self.site.caches().start().await;
        let store = self.components().get::<BoxStore>().filter(|store| !store.is_memory());
        if let Some(store) = store.cloned() {
            // Nobody waits for it: while it is away, what needs it says so to whoever asks.
            tokio::spawn(async move {
                if let Err(error) = store.check().await {
                    let store = store.name();
                    tracing::warn!(store, %error, "the store cannot be used: what needs it is status 503 until it can");
                }
            });
        }
        match self.run_hooks(HookEvent::BeforeServerStart).await {
            Ok(()) => Ok(self),
            Err(error) => {
                self.take_down().await;
                Err(error)
            }
        }
    }

    /// Runs what goes on after requests on this runtime, as it outlives the worker of a request.
    #[cfg(feature = "server")]
    pub(super) fn lend(&self, home: Option<Handle>) {
        if let Some(sessions) = self.components().get::<Sessions>() {
            sessions.background().set_home(home.clone());
        }
        if let Some(store) = self.components().get::<BoxStore>() {
            store.background().set_home(home);
        }
    }

    pub(super) async fn run_hooks(&self, event: HookEvent) -> Result {
        self.lifecycle.run(event, self.components()).await
    }

    /// Runs the last hooks, and takes the components down.
    pub(super) async fn finish(&self) {
        if let Some(sessions) = self.components().get::<Sessions>()
            && !sessions.background().idle(SETTLING).await
        {
            tracing::warn!("not all turns whose readers had gone were stored before the stop");
        }
        if let Some(store) = self.components().get::<BoxStore>()
            && !store.background().idle(SETTLING).await
        {
            tracing::warn!(
                "not all limits and locks were settled before the stop: what was not used may stay taken, and what was used beyond it is perhaps not counted"
            );
        }
        self.lifecycle.run_all(HookEvent::AfterServerStop, self.components()).await;
        self.take_down().await;
    }

    /// Closes the caches, and takes the components down.
    pub(super) async fn take_down(&self) {
        self.site.caches().stop().await;
        self.lifecycle.take_down(self.components()).await;
    }

    pub(super) fn components(&self) -> &Components {
        &self.site.state().components
    }

    /// Makes the addresses of routes from their names.
    pub fn urls(&self) -> Urls {
        Urls::new(self.site.state().clone())
    }

    /// The application's routes, components and middleware.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// The provider that the application asks, with its model, as the banner tells it; `None` if it asks none.
    pub fn provider(&self) -> Option<&str> {
        self.model.as_ref().map(|model| model.note.as_str())
    }

    /// What an operator should know, and keeps nothing from starting: variables that make no sense and are passed
    /// over, limits that each process counts apart, and accounts of money that a store may forget before their time.
    /// The log is told when the application starts, and the command `check` prints it.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
