use super::into_response::typed;
use super::{IntoResponse, Response};
use crate::base::{Error, ErrorKind, Problem};
use crate::web::operation::Operation;
use http::HeaderValue;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use std::ops::Deref;
use std::sync::Arc;

/// The error behind a response, for middleware, catchers and the log.
///
/// The client never sees it: it travels in the extensions of the response.
#[derive(Debug, Clone)]
pub struct ResponseError(Arc<Error>);

/// Where in the log the error behind a response belongs, left in its extensions by whoever has a span for the request.
#[derive(Debug, Clone)]
pub(crate) struct ErrorSpan(pub(crate) tracing::Span);

impl Deref for ResponseError {
    type Target = Error;

    fn deref(&self) -> &Error {
        &self.0
    }
}

/// The public half of the error as a problem document, with `Retry-After` where it is known.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = typed(body, const { HeaderValue::from_static(Problem::MEDIA_TYPE) });
        *response.status_mut() = self.status();
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.kind() == ErrorKind::Unauthorized {
            // RFC 9110 §15.5.2 wants a challenge with every 401.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(ResponseError(Arc::new(self)));
        response
    }

    fn describe(operation: &mut Operation) {
        operation.problems();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn is_a_problem_document() {
        let error = Error::unavailable("Later.").with_retry_after(Duration::from_millis(1200));
        let response = error.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.extensions().get::<ResponseError>().unwrap().message(), "Later.");
        let body = response.into_body().collect().await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["detail"], "Later.");
    }
}
