use super::{Middleware, Next};
use crate::web::extract::FromRequestParts;
use crate::web::operation::Operation;
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

/// What can stand where middleware is expected: a [`Middleware`], or an async function.
///
/// The function takes extractors that read the head, then the [`Request`] and [`Next`], and
/// returns a response; an extractor that fails is answered in its place.
///
/// ```
/// use ember::prelude::*;
///
/// async fn only_json(headers: HeaderMap, request: Request, next: Next) -> ember::Result<Response> {
///     match headers.get("accept") {
///         Some(accept) if accept == "application/json" => Ok(next.run(request).await),
///         _ => Err(Error::new(ErrorKind::NotAcceptable, "Only JSON is spoken here.")),
///     }
/// }
///
/// #[get("/")]
/// async fn index() -> Json<&'static str> {
///     Json("spoken")
/// }
///
/// let app = ember::app!().middleware(only_json);
/// # app.build().unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no middleware",
    note = "middleware is a type that implements `Middleware`, or an async function of extractors, a `Request` and `Next` that returns a response"
)]
pub trait IntoMiddleware<Arguments> {
    /// What it becomes.
    type Middleware: Middleware;

    /// Makes it middleware.
    fn into_middleware(self) -> Self::Middleware;
}

/// Marks what is middleware already.
#[derive(Debug)]
pub enum ViaMiddleware {}

#[diagnostic::do_not_recommend]
impl<M: Middleware> IntoMiddleware<ViaMiddleware> for M {
    type Middleware = M;

    fn into_middleware(self) -> M {
        self
    }
}

/// An async function as middleware.
pub struct FnMiddleware<F, Arguments> {
    function: F,
    arguments: PhantomData<fn(Arguments)>,
}

impl<F, Arguments> fmt::Debug for FnMiddleware<F, Arguments> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnMiddleware")
    }
}

macro_rules! functions {
    ($($extractor:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<F, Fut, $($extractor,)*> IntoMiddleware<($($extractor,)* Request, Next)> for F
        where
            F: Fn($($extractor,)* Request, Next) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoResponse> + Send + 'static,
            $($extractor: FromRequestParts + Send + 'static,)*
        {
            type Middleware = FnMiddleware<F, ($($extractor,)* Request, Next)>;

            fn into_middleware(self) -> Self::Middleware {
                FnMiddleware { function: self, arguments: PhantomData }
            }
        }

        impl<F, Fut, $($extractor,)*> Middleware for FnMiddleware<F, ($($extractor,)* Request, Next)>
        where
            F: Fn($($extractor,)* Request, Next) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoResponse> + Send + 'static,
            $($extractor: FromRequestParts + Send + 'static,)*
        {
            #[allow(non_snake_case, unused_mut, reason = "the arguments are named after their types")]
            async fn handle(&self, mut request: Request, next: Next) -> Response {
                $(
                    let $extractor = match $extractor::from_request_parts(request.parts_mut()).await {
                        Ok(value) => value,
                        Err(error) => return error.into_response(),
                    };
                )*
                (self.function)($($extractor,)* request, next).await.into_response()
            }

            fn describe(&self, operation: &mut Operation) {
                $($extractor::describe(operation);)*
                let _ = operation;
            }
        }
    };
}

functions!();
functions!(T1);
functions!(T1 T2);
functions!(T1 T2 T3);
functions!(T1 T2 T3 T4);
functions!(T1 T2 T3 T4 T5);
functions!(T1 T2 T3 T4 T5 T6);
