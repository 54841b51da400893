use super::{IntoResponse, Response};
use crate::web::operation::{Operation, Outcome, Status};
use http::StatusCode;
use http::header::LOCATION;

/// Sends the client to another address.
///
/// ```
/// use ember::prelude::*;
///
/// #[get("/old")]
/// async fn old() -> Redirect {
///     Redirect::permanent("/new")
/// }
/// ```
#[doc(alias = "RedirectResponse")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    to: String,
}

impl Redirect {
    /// 303: look there with GET, as after a form was accepted.
    pub fn to(address: impl Into<String>) -> Self {
        Self::with_status(StatusCode::SEE_OTHER, address)
    }

    /// 307: for now, repeat the request there.
    pub fn temporary(address: impl Into<String>) -> Self {
        Self::with_status(StatusCode::TEMPORARY_REDIRECT, address)
    }

    /// 308: from now on, send the request there.
    pub fn permanent(address: impl Into<String>) -> Self {
        Self::with_status(StatusCode::PERMANENT_REDIRECT, address)
    }

    /// 302: what most clients treat like 303.
    pub fn found(address: impl Into<String>) -> Self {
        Self::with_status(StatusCode::FOUND, address)
    }

    /// 301: what most clients treat like 308, but for the method.
    pub fn moved(address: impl Into<String>) -> Self {
        Self::with_status(StatusCode::MOVED_PERMANENTLY, address)
    }

    fn with_status(status: StatusCode, address: impl Into<String>) -> Self {
        Self { status, to: address.into() }
    }
}

/// An address that is no header value, because of a line break in it, becomes a 500.
impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        (self.status, [(LOCATION, self.to)]).into_response()
    }

    fn describe(operation: &mut Operation) {
        let elsewhere = "The answer is at the address in the header `location`.";
        operation.outcome(Outcome::new(Status::Redirection).description(elsewhere));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status() {
        let status = |redirect: Redirect| redirect.into_response().status().as_u16();
        assert_eq!(status(Redirect::to("/a")), 303);
        assert_eq!(status(Redirect::temporary("/a")), 307);
        assert_eq!(status(Redirect::permanent("/a")), 308);
        assert_eq!(status(Redirect::found("/a")), 302);
        assert_eq!(status(Redirect::moved("/a")), 301);
        assert_eq!(status(Redirect::to("/a\r\nset-cookie: x")), 500);
    }
}
