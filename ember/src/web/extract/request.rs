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
        // Copied, as the buffer in which a few bytes arrived has kilobytes, and a text may be kept for long.
        let text = str::from_utf8(&body).map(str::to_owned);
        text.map_err(|_| Error::bad_request("The body is not UTF-8."))
    }

    fn describe(operation: &mut Operation) {
        operation.optional_body(Content::text("text/plain")).problems();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    async fn read(bytes: &[u8]) -> Result<String, Error> {
        // As a connection reads: into a buffer that has room for more.
        let mut buffer = BytesMut::with_capacity(8 << 10);
        buffer.extend_from_slice(bytes);
        let request = http::Request::new(Body::from(buffer.freeze()));
        String::from_request(request.into()).await
    }

    #[tokio::test]
    async fn a_text_keeps_no_more_than_itself() {
        let text = read("What is the time in Köln?".as_bytes()).await.unwrap();
        assert_eq!(text, "What is the time in Köln?");
        assert!(text.capacity() < 100, "{} bytes are kept", text.capacity());
        assert_eq!(read(b"\xFF").await.unwrap_err().status(), 400);
    }
}
