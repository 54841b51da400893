use super::FromRequest;
use crate::base::Error;
use crate::web::body::Body;
use crate::web::operation::{Content, Operation};
use crate::web::request::Request;
use bytes::Bytes;

impl FromRequest for Request {
    async fn from_request(request: Request) -> Result<Self, Error> {
        Ok(request)
    }
}

impl FromRequest for Body {
    async fn from_request(request: Request) -> Result<Self, Error> {
        Ok(request.into_body())
    }

    fn describe(operation: &mut Operation) {
        operation.optional_body(Content::bytes());
    }
}

/// The whole body.
impl FromRequest for Bytes {
    async fn from_request(request: Request) -> Result<Self, Error> {
        request.into_body().collect().await
    }

    fn describe(operation: &mut Operation) {
        operation.optional_body(Content::bytes()).problems();
    }
}

/// The whole body as text, which must be UTF-8.
impl FromRequest for String {
    async fn from_request(request: Request) -> Result<Self, Error> {
        let body = request.into_body().collect().await?;
        Self::from_utf8(body.into()).map_err(|_| Error::bad_request("The body is not UTF-8."))
    }

    fn describe(operation: &mut Operation) {
        operation.optional_body(Content::text("text/plain")).problems();
    }
}
