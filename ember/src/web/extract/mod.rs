//! What a handler may take as an argument.
//!
//! Two traits carry it all. [`FromRequestParts`] takes from the head of a request, as often
//! as wanted; [`FromRequest`] may also consume the body, so only the last argument can use
//! it. A marker lets the last argument be of either kind, and the compiler say which rule an
//! argument breaks.

mod parts;
mod component;
mod extension;
mod principal;
mod path_de;
mod path;
mod query;
mod media_type;
mod form;
mod json;
mod request;
#[cfg(feature = "garde")]
mod valid;

pub use extension::Extension;
pub use form::Form;
pub(crate) use json::check_json;
pub(crate) use media_type::wrong_media_type;
pub(crate) use path::parameter;
pub use path::{Path, PathParameter};
pub use query::Query;
#[cfg(feature = "garde")]
pub use valid::{Ruled, Valid};

use super::operation::Operation;
use super::request::{Request, RequestParts};
use crate::base::Error;
use std::future::Future;

/// A value that is taken from the head of a request.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::RequestParts;
///
/// struct Tenant(String);
///
/// impl FromRequestParts for Tenant {
///     async fn from_request_parts(parts: &mut RequestParts) -> ember::Result<Self> {
///         match parts.header(http::header::HOST) {
///             Some(host) => Ok(Self(host.to_owned())),
///             None => Err(Error::bad_request("The request names no host.")),
///         }
///     }
/// }
///
/// #[get("/whoami")]
/// async fn whoami(tenant: Tenant) -> String {
///     tenant.0
/// }
/// # use ember::http;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from the head of a request",
    label = "this cannot be taken here",
    note = "hooks, catchers and middleware see the head alone; what reads the body (`Json<…>`, `Form<…>`, `String`) is the last argument of a handler",
    note = "`Query<T>` and `Path<T>` can be taken where `T` implements `serde::Deserialize`, which `#[derive(Deserialize)]` does, and `Component<T>` always"
)]
pub trait FromRequestParts: Sized {
    /// Takes the value.
    ///
    /// # Errors
    /// An error that is answered in place of the handler.
    fn from_request_parts(
        parts: &mut RequestParts,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Adds to the description of a route what this needs and reads.
    fn describe(operation: &mut Operation) {
        let _ = operation;
    }
}

/// A value that is taken from a whole request, and may consume the body.
///
/// Implement it with the default marker; a type that needs the head only implements
/// [`FromRequestParts`], which includes this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no extractor",
    label = "this cannot be taken from a request",
    note = "an argument is named like a parameter of the path, or its type is an extractor such as `Json<…>`, `Query<…>` or `Component<…>`",
    note = "`Json<T>`, `Query<T>`, `Form<T>` and `Path<T>` are extractors where `T` implements `serde::Deserialize`, which `#[derive(Deserialize)]` does"
)]
pub trait FromRequest<Marker = ViaRequest>: Sized {
    /// Takes the value.
    ///
    /// # Errors
    /// An error that is answered in place of the handler.
    fn from_request(request: Request) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Adds to the description of a route what this needs and reads.
    fn describe(operation: &mut Operation) {
        let _ = operation;
    }
}

/// Marks an extractor that may consume the body.
#[derive(Debug)]
pub enum ViaRequest {}

/// Marks an extractor that only reads the head.
#[derive(Debug)]
pub enum ViaParts {}

#[diagnostic::do_not_recommend]
impl<T: FromRequestParts> FromRequest<ViaParts> for T {
    async fn from_request(request: Request) -> Result<Self, Error> {
        let (mut parts, _) = request.into_parts();
        T::from_request_parts(&mut parts).await
    }

    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

/// Holds for extractors that may stand before the last argument.
///
/// Together with [`FromRequest`] it tells "no extractor" from "reads the body too early".
#[diagnostic::on_unimplemented(
    message = "`{Self}` reads the body of the request, so it must be the last argument",
    label = "move this argument to the end"
)]
pub trait BeforeLast<Marker>: Sized {
    /// Takes the value.
    ///
    /// # Errors
    /// An error that is answered in place of the handler.
    fn take(parts: &mut RequestParts) -> impl Future<Output = Result<Self, Error>> + Send;
}

#[diagnostic::do_not_recommend]
impl<T: FromRequestParts> BeforeLast<ViaParts> for T {
    fn take(parts: &mut RequestParts) -> impl Future<Output = Result<Self, Error>> + Send {
        T::from_request_parts(parts)
    }
}

/// The outcome of an extractor, for a handler that wants to see the error itself.
impl<T: FromRequestParts> FromRequestParts for Result<T, Error> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(T::from_request_parts(parts).await)
    }

    fn describe(operation: &mut Operation) {
        operation.of_any_path(T::describe);
    }
}
