//! A request, and what its answer has to be.

use bytes::Bytes;
use memchr::memmem;
use std::sync::Arc;

/// Tells whether the body of an answer is right.
pub(crate) type IsRight = dyn Fn(&[u8]) -> bool + Send + Sync;

/// A request, and what tells whether its answer is right.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(super) request: Bytes,
    pub(super) is_right: Arc<IsRight>,
    pub(super) statuses: &'static [u16],
    /// What an answer in chunks has once it says something.
    pub(super) begins_with: Option<&'static [u8]>,
}

impl Exchange {
    /// A GET request.
    pub(crate) fn get(
        path: &str,
        is_right: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: bench\r\n\r\n"
        );
        Self::of(request, is_right)
    }

    /// A POST request of JSON.
    pub(crate) fn post(
        path: &str,
        body: &str,
        is_right: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self::of(request, is_right)
    }

    fn of(request: String, is_right: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let (request, is_right) = (request.into(), Arc::new(is_right));
        Self { request, is_right, statuses: &[200], begins_with: None }
    }

    /// Takes answers with these statuses, instead of 200 alone.
    pub(crate) fn statuses(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    /// Sends a key (RFC 6750 §2.1).
    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sends a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let head = format!("\r\n{name}: {value}\r\n");
        let end = memmem::find(&self.request, b"\r\n").unwrap_or(0);
        let (first, rest) = (&self.request[..end], &self.request[end + 2..]);
        self.request = [first, head.as_bytes(), rest].concat().into();
        self
    }

    /// Tells whether the time until an answer says something is taken.
    pub(crate) fn has_beginning(&self) -> bool {
        self.begins_with.is_some()
    }

    /// Takes the time until an answer in chunks has these bytes.
    pub(crate) fn begins_with(mut self, bytes: &'static [u8]) -> Self {
        self.begins_with = Some(bytes);
        self
    }
}
