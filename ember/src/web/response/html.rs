use super::into_response::typed;
use super::{IntoResponse, Response};
use crate::web::body::Body;
use crate::web::operation::{Content, Operation};
use http::HeaderValue;

/// A page: any body, sent as `text/html; charset=utf-8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        typed(self.0, const { HeaderValue::from_static("text/html; charset=utf-8") })
    }

    fn describe(operation: &mut Operation) {
        operation.answers(Content::text("text/html"));
    }
}
