//! Anthropic's messages.
//!
//! `POST {base}/v1/messages`, version `2023-06-01`, as Anthropic's API reference describes it.
//! Reading is tolerant of events, blocks and members that are not known yet; blocks that have no
//! word in our vocabulary, such as those of tools that run at Anthropic, are kept as they came.

mod wire;
mod stream;
mod response;
mod thinking;
mod request;

pub use stream::MessageDecoder;

use super::{Adapter, CallIds, Encoded, Failure, wait_hint};
use crate::base::Secret;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::SystemTime;

/// The version of the interface that requests are written for.
const VERSION: &str = "2023-06-01";

/// Translates for Anthropic's messages.
#[derive(Debug, Clone)]
pub struct Anthropic {
    name: String,
}

impl Anthropic {
    /// Anthropic itself.
    pub fn new() -> Self {
        Self::named("anthropic")
    }

    /// A compatible server of another name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Default for Anthropic {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for Anthropic {
    type Decoder = MessageDecoder;

    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, request: &ChatRequest, model: &str, stream: bool) -> Result<Encoded, Error> {
        let (body, dropped) = request::encode(&self.name, request, model, stream);
        Encoded::json("/v1/messages", &body, dropped)
    }

    fn authorize(&self, key: &Secret) -> Result<HeaderMap, Error> {
        let mut value = HeaderValue::try_from(key.expose()).map_err(|_| {
            Error::new(ErrorKind::Config, "the API key holds characters that no key has")
        })?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), value)]))
    }

    fn headers(&self) -> HeaderMap {
        let version = HeaderName::from_static("anthropic-version");
        HeaderMap::from_iter([(version, HeaderValue::from_static(VERSION))])
    }

    fn decode(&self, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
        response::decode(&self.name, body, ids)
    }

    fn decoder(&self, ids: CallIds) -> MessageDecoder {
        MessageDecoder::new(&self.name, ids)
    }

    fn failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
        let error = Failure::read(body).into_error(&self.name, Some(status));
        match wait_hint(headers, error.message(), SystemTime::now()) {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}
