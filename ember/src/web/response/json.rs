use super::into_response::typed;
use super::{IntoResponse, Response};
use crate::base::Error;
use crate::web::operation::{Content, Operation};
use http::HeaderValue;
use serde::Serialize;

/// A value as JSON: in an argument it is read from the body, in a response it is written.
///
/// Reading needs the media type `application/json` (or one that ends in `+json`), else the
/// answer is 415; text that is no JSON is answered with 400; JSON of the wrong shape with
/// 422 and a `pointer` to the place.
///
/// ```
/// use ember::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct New { title: String }
///
/// #[derive(Serialize)]
/// struct Task { id: u64, title: String }
///
/// #[post("/tasks")]
/// async fn create(Json(new): Json<New>) -> Json<Task> {
///     Json(Task { id: 1, title: new.title })
/// }
/// ```
#[doc(alias = "JSONResponse")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => typed(bytes, const { HeaderValue::from_static("application/json") }),
            Err(error) => Error::from(error).into_response(),
        }
    }

    fn describe(operation: &mut Operation) {
        operation.answers(Content::json::<T>());
    }
}
