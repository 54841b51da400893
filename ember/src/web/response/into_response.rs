use super::Response;
use crate::base::Error;
use crate::web::body::Body;
use crate::web::operation::{Content, Operation, Outcome, Status};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, StatusCode};
use std::borrow::Cow;
use std::convert::Infallible;

/// A value that a handler may return.
///
/// ```
/// use ember::prelude::*;
///
/// struct Csv(String);
///
/// impl IntoResponse for Csv {
///     fn into_response(self) -> Response {
///         ([("content-type", "text/csv")], self.0).into_response()
///     }
/// }
///
/// #[get("/report")]
/// async fn report() -> (StatusCode, Csv) {
///     (StatusCode::CREATED, Csv("a,b".into()))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no response",
    label = "a handler cannot return this",
    note = "return text, `Json<…>`, a status, a tuple of status, headers and body, or `ember::Result` of one of these"
)]
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;

    /// Adds to the description of a route what it answers.
    fn describe(operation: &mut Operation)
    where
        Self: Sized,
    {
        let _ = operation;
    }
}

/// A part of a response that stands before the body in a tuple: a header, several, or extensions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand before the body of a response",
    note = "before the body stand a status (first), arrays of `(name, value)` headers, a `HeaderMap` or `Extensions`"
)]
pub trait IntoResponseParts {
    /// Puts the part into a response.
    ///
    /// # Errors
    /// When a header has an invalid name or value, which becomes a 500.
    fn put_into(self, response: &mut Response) -> Result<(), Error>;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Body::empty().into_response()
    }

    fn describe(operation: &mut Operation) {
        operation.outcome(Outcome::new(Status::OK));
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        let mut response = ().into_response();
        *response.status_mut() = self;
        response
    }

    fn describe(operation: &mut Operation) {
        operation.outcome(Outcome::new(Status::Success));
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

/// A body with a media type.
///
/// The type is best a constant, as a text would be checked with every response.
pub(super) fn typed(body: impl Into<Body>, media_type: HeaderValue) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

macro_rules! bodies {
    ($media_type:literal, $content:expr; $($body:ty),*) => {$(
        impl IntoResponse for $body {
            fn into_response(self) -> Response {
                typed(self, const { HeaderValue::from_static($media_type) })
            }

            fn describe(operation: &mut Operation) {
                operation.answers($content);
            }
        }
    )*};
}

bodies!("text/plain; charset=utf-8", Content::text("text/plain"); String, &'static str);
bodies!("application/octet-stream", Content::bytes(); Bytes, BytesMut, Vec<u8>, Box<[u8]>, &'static [u8]);

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Response {
        match self {
            Self::Borrowed(text) => text.into_response(),
            Self::Owned(text) => text.into_response(),
        }
    }

    fn describe(operation: &mut Operation) {
        String::describe(operation);
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }

    fn describe(operation: &mut Operation) {
        T::describe(operation);
        operation.failures(E::describe);
    }
}

impl IntoResponseParts for HeaderMap {
    fn put_into(self, response: &mut Response) -> Result<(), Error> {
        response.headers_mut().extend(self);
        Ok(())
    }
}

impl IntoResponseParts for Extensions {
    fn put_into(self, response: &mut Response) -> Result<(), Error> {
        response.extensions_mut().extend(self);
        Ok(())
    }
}

/// Headers by name; one that the body has set itself is replaced, and a name that is listed twice
/// is sent twice.
impl<K, V, const N: usize> IntoResponseParts for [(K, V); N]
where
    K: TryInto<HeaderName, Error: Into<http::Error>>,
    V: TryInto<HeaderValue, Error: Into<http::Error>>,
{
    fn put_into(self, response: &mut Response) -> Result<(), Error> {
        let mut listed = HeaderMap::with_capacity(N);
        for (name, value) in self {
            let name = name.try_into().map_err(Into::into)?;
            let value = value.try_into().map_err(Into::into)?;
            listed.append(name, value);
        }
        // A map replaces what was there under its names, and keeps its own repetitions.
        response.headers_mut().extend(listed);
        Ok(())
    }
}

impl IntoResponse for HeaderMap {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }

    fn describe(operation: &mut Operation) {
        <()>::describe(operation);
    }
}

impl<K, V, const N: usize> IntoResponse for [(K, V); N]
where
    Self: IntoResponseParts,
{
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }

    fn describe(operation: &mut Operation) {
        <()>::describe(operation);
    }
}

macro_rules! tuples {
    ($($part:ident),*) => {
        impl<$($part: IntoResponseParts,)* R: IntoResponse> IntoResponse for ($($part,)* R,) {
            #[allow(non_snake_case, reason = "the parts are named after their types")]
            fn into_response(self) -> Response {
                let ($($part,)* body,) = self;
                #[allow(unused_mut, reason = "a tuple of the body alone changes nothing")]
                let mut response = body.into_response();
                $(
                    if let Err(error) = $part.put_into(&mut response) {
                        return error.into_response();
                    }
                )*
                response
            }

            fn describe(operation: &mut Operation) {
                R::describe(operation);
            }
        }

        impl<$($part: IntoResponseParts,)* R: IntoResponse> IntoResponse for (StatusCode, $($part,)* R) {
            #[allow(non_snake_case, reason = "the parts are named after their types")]
            fn into_response(self) -> Response {
                let (status, $($part,)* body) = self;
                let mut response = ($($part,)* body,).into_response();
                // A part that could not be put in has made it a 500.
                if response.extensions().get::<super::ResponseError>().is_none() {
                    *response.status_mut() = status;
                }
                response
            }

            fn describe(operation: &mut Operation) {
                operation.with_open_status(R::describe);
            }
        }
    };
}

tuples!();
tuples!(T1);
tuples!(T1, T2);
tuples!(T1, T2, T3);
tuples!(T1, T2, T3, T4);

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::LOCATION;

    #[test]
    fn text_has_a_media_type_and_a_status_may_lead() {
        let response =
            (StatusCode::CREATED, [(LOCATION, "/7")], [("x-a", "b")], "made").into_response();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["location"], "/7");
        assert_eq!(response.headers()["x-a"], "b");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    }

    #[test]
    fn headers_before_the_body_replace_those_of_the_body() {
        let response = ([("content-type", "text/csv")], "a,b").into_response();
        assert_eq!(response.headers()["content-type"], "text/csv");
    }

    #[test]
    fn an_invalid_header_is_an_error_and_not_lost() {
        let response = (StatusCode::OK, [("x y", "1")], "text").into_response();
        assert_eq!(response.status(), 500);
    }

    #[test]
    fn an_error_keeps_its_status_unless_another_is_chosen() {
        let refused: Result<&str, Error> = Err(Error::not_found("gone"));
        assert_eq!(refused.into_response().status(), 404);
    }
}
