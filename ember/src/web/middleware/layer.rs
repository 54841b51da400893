use super::{Middleware, Next};
use crate::base::error::BoxError;
use crate::base::{Error, ErrorKind};
use crate::web::body::Body;
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use bytes::Bytes;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// A layer of tower as middleware.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::TowerLayer;
/// use tower_layer::Identity;
///
/// let app = Ember::new().layer(Identity::new());
/// // The same, with a say in what becomes of the layer's errors:
/// let quiet = TowerLayer::new(Identity::new())
///     .on_error(|error| Error::unavailable("Too much at once.").with_source(error));
/// let app = app.middleware(quiet);
/// # app.build().unwrap();
/// ```
///
/// The layer wraps a [`Bridge`] once; each request gets a clone of the layered service, which is
/// asked by `poll_ready` before it is called. Requests are `http::Request<Body>`, and what the
/// application knows about one travels in its extensions: a layer that makes a request of its own
/// must take them along. The route has been chosen before the layer sees the request, so that a
/// layer which changes the target changes what the handler sees, and not which handler sees it.
///
/// Handlers do not fail, so an error is the layer's own: a time that is up, a queue that is
/// full. It is answered with status 503 unless it is an [`Error`] or [`TowerLayer::on_error`]
/// says otherwise.
#[derive(Clone)]
pub struct TowerLayer<S> {
    service: S,
    on_error: fn(BoxError) -> Error,
}

impl<S> TowerLayer<S> {
    /// Wraps the rest of the way into a layer.
    pub fn new<L: Layer<Bridge, Service = S>>(layer: L) -> Self {
        let service = layer.layer(Bridge);
        Self { service, on_error: unavailable }
    }

    /// Says how an error of the layer is answered.
    #[must_use]
    pub fn on_error(mut self, answer: fn(BoxError) -> Error) -> Self {
        self.on_error = answer;
        self
    }
}

fn unavailable(error: BoxError) -> Error {
    let kind = ErrorKind::Unavailable;
    Error::from_boxed_or(Error::new(kind, kind.sentence()), error)
}

impl<S, B> Middleware for TowerLayer<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        request.extensions_mut().insert(Way(next));
        let mut service = self.service.clone();
        let ready = poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into);
        let outcome = match ready {
            Ok(()) => service.call(request.into_http()).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(response) => response.map(Body::new),
            Err(error) => (self.on_error)(error).into_response(),
        }
    }
}

impl<S> fmt::Debug for TowerLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TowerLayer")
    }
}

/// How a request goes on, while a layer has it.
#[derive(Clone)]
struct Way(Next);

/// What a layer wraps: the service that leads on to the next middleware or the handler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Bridge;

impl<B> Service<http::Request<B>> for Bridge
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let way = request.extensions_mut().remove::<Way>();
        let request = Request::from(request.map(Body::new));
        Box::pin(async move {
            Ok(match way {
                Some(Way(next)) => next.run(request).await,
                None => {
                    Error::internal("a layer has lost the extensions of a request").into_response()
                }
            })
        })
    }
}
