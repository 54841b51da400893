use crate::base::Error;
use crate::web::body::Body;
use crate::web::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// An answer that is kept: its bytes are shared, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl CachedResponse {
    /// An answer of these parts.
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into() }
    }

    /// Takes the bytes of a response whose length is known, and gives them back beside it.
    pub(super) async fn of(response: Response) -> Result<(Self, Response), Response> {
        let (head, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => {
                let kept = Self::new(head.status, head.headers.clone(), body.clone());
                Ok((kept, Response::from_parts(head, body.into())))
            }
            Err(error) => Err(Error::internal(format!("a body broke: {error}")).into_response()),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The bytes.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> u64 {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        (self.body.len() + headers.sum::<usize>()) as u64
    }

    /// Returns the answer as it is sent again.
    pub fn to_response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// As [`CachedResponse::to_response`], with the room of another header map instead of a new one.
    pub(super) fn to_response_in(&self, mut room: HeaderMap) -> Response {
        room.clear();
        let values = self.headers.iter();
        values.for_each(|(name, value)| {
            room.append(name.clone(), value.clone());
        });
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = room;
        response
    }
}
