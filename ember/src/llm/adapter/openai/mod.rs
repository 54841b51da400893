//! OpenAI's chat completions, and whatever speaks them.
//!
//! `POST {base}/chat/completions`, as OpenAI's API reference describes it. Servers that are
//! compatible differ in many small ways; reading is tolerant of all of them, writing sticks to
//! what the reference documents.

mod vendors;
mod embeddings;
mod reasoning;
mod request;
mod response;
mod stream;

pub use stream::ChunkDecoder;
pub use vendors::{Quirks, VENDORS, Vendor};

use super::{Adapter, CallIds, Encoded, Failure, wait_hint};
use crate::base::Secret;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use std::time::SystemTime;

/// Translates for OpenAI's chat completions.
#[derive(Debug, Clone)]
pub struct OpenAi {
    name: String,
    quirks: Quirks,
}

impl OpenAi {
    /// OpenAI itself.
    pub fn new() -> Self {
        Self::named("openai")
    }

    /// A compatible server of another name; if it is one of [`VENDORS`], its ways are known.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let quirks = Vendor::find(&name).map_or(Quirks::NONE, |vendor| vendor.quirks);
        Self { name, quirks }
    }
}

impl Default for OpenAi {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for OpenAi {
    type Decoder = ChunkDecoder;

    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, request: &ChatRequest, model: &str, stream: bool) -> Result<Encoded, Error> {
        let (body, dropped) = request::encode(&self.name, request, model, stream, &self.quirks)
            .map_err(|error| {
                Error::new(ErrorKind::InvalidRequest, "the request cannot be written")
                    .with_source(error)
            })?;
        Ok(Encoded::new("/chat/completions", body, dropped))
    }

    fn authorize(&self, key: &Secret) -> Result<HeaderMap, Error> {
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", key.expose())).map_err(|_| {
                Error::new(ErrorKind::Config, "the API key holds characters that no key has")
            })?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }

    fn decode(&self, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
        response::decode(&self.name, body, ids)
    }

    fn decoder(&self, ids: CallIds) -> ChunkDecoder {
        ChunkDecoder::new(&self.name, ids)
    }

    fn failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
        let error = Failure::read(body).into_error(&self.name, Some(status));
        match wait_hint(headers, error.message(), SystemTime::now()) {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}
