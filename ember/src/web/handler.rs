use super::extract::{FromRequest, FromRequestParts};
use super::operation::Operation;
use super::request::Request;
use super::response::{IntoResponse, Response};
use crate::base::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a handler does with a request, on its way.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// A handler as the macros make it: a plain function.
#[derive(Debug, Clone, Copy)]
pub enum HandlerFn {
    /// It takes something of the request.
    OfRequest(fn(Request) -> HandlerFuture),
    /// It takes nothing, so that where nothing else stands around it no request is put together.
    OfNothing(fn() -> HandlerFuture),
}

/// An async function whose arguments are extractors and whose result is a response.
///
/// Routes that are put together by hand take one; `Arguments` is inferred. The macros need
/// no such trait, because they see the arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    note = "a handler is an async function; all arguments but the last implement `FromRequestParts`, the last `FromRequest`, and the result `IntoResponse`"
)]
pub trait Handler<Arguments>: Clone + Send + Sync + 'static {
    /// Answers a request.
    fn call(self, request: Request) -> HandlerFuture;

    /// Tells what the handler needs and answers.
    fn describe(operation: &mut Operation);
}

impl<F, Fut, R> Handler<((),)> for F
where
    F: FnOnce() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: IntoResponse,
{
    fn call(self, _: Request) -> HandlerFuture {
        Box::pin(async move { Ok(self().await.into_response()) })
    }

    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }
}

macro_rules! handlers {
    ($($head:ident)*; $last:ident) => {
        impl<F, Fut, R, M, $($head,)* $last> Handler<(M, $($head,)* $last,)> for F
        where
            F: FnOnce($($head,)* $last) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoResponse,
            $($head: FromRequestParts + Send + 'static,)*
            $last: FromRequest<M> + Send + 'static,
        {
            #[allow(non_snake_case, unused_mut, reason = "the arguments are named after their types")]
            fn call(self, request: Request) -> HandlerFuture {
                Box::pin(async move {
                    let (mut parts, body) = request.into_parts();
                    $(let $head = $head::from_request_parts(&mut parts).await?;)*
                    let $last = $last::from_request(Request::from_parts(parts, body)).await?;
                    Ok(self($($head,)* $last).await.into_response())
                })
            }

            fn describe(operation: &mut Operation) {
                $($head::describe(operation);)*
                $last::describe(operation);
                R::describe(operation);
            }
        }
    };
}

handlers!(; T1);
handlers!(T1; T2);
handlers!(T1 T2; T3);
handlers!(T1 T2 T3; T4);
handlers!(T1 T2 T3 T4; T5);
handlers!(T1 T2 T3 T4 T5; T6);
handlers!(T1 T2 T3 T4 T5 T6; T7);
handlers!(T1 T2 T3 T4 T5 T6 T7; T8);

/// A handler whose type is forgotten, so that a table can hold many.
#[derive(Clone)]
pub(crate) enum Endpoint {
    /// One that a macro made.
    Plain(HandlerFn),
    /// One that was given as a value.
    Shared(Arc<dyn Fn(Request) -> HandlerFuture + Send + Sync>),
}

impl Endpoint {
    pub(crate) fn of<A, H: Handler<A>>(handler: H) -> Self {
        Self::Shared(Arc::new(move |request| handler.clone().call(request)))
    }

    pub(crate) fn call(&self, request: Request) -> HandlerFuture {
        match self {
            Self::Plain(HandlerFn::OfRequest(function)) => function(request),
            Self::Plain(HandlerFn::OfNothing(function)) => function(),
            Self::Shared(function) => function(request),
        }
    }

    /// The handler, if it takes nothing of a request.
    pub(crate) fn takes_nothing(&self) -> Option<fn() -> HandlerFuture> {
        match self {
            Self::Plain(HandlerFn::OfNothing(function)) => Some(*function),
            Self::Plain(HandlerFn::OfRequest(_)) | Self::Shared(_) => None,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint")
    }
}
