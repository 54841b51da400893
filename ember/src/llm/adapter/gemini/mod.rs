//! Gemini's `generateContent`.
//!
//! `POST {base}/models/{model}:generateContent`, or `:streamGenerateContent?alt=sse`, as Google's
//! API reference describes it. A streamed answer is a row of documents of the shape that the
//! whole one has, so both are read by the same code.

mod embeddings;
mod partial;
mod wire;
mod stream;
mod response;
mod thinking;
mod request;

pub use stream::ContentDecoder;

use super::{Adapter, CallIds, Encoded, Failure, wait_hint};
use crate::base::Secret;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::SystemTime;

/// What stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');

/// Translates for Gemini.
#[derive(Debug, Clone)]
pub struct Gemini {
    name: String,
}

impl Gemini {
    /// Gemini itself.
    pub fn new() -> Self {
        Self::named("gemini")
    }

    /// A compatible server of another name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Default for Gemini {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for Gemini {
    type Decoder = ContentDecoder;

    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, request: &ChatRequest, model: &str, stream: bool) -> Result<Encoded, Error> {
        let (body, dropped) = request::encode(&self.name, request, model);
        // `models/…` is how the list of models names them, and `tunedModels/…` another kind.
        let kind = if model.contains('/') { "" } else { "models/" };
        let method = match stream {
            true => "streamGenerateContent?alt=sse",
            false => "generateContent",
        };
        let path = format!("/{kind}{}:{method}", utf8_percent_encode(model, PLAIN));
        Encoded::json(path, &body, dropped)
    }

    fn authorize(&self, key: &Secret) -> Result<HeaderMap, Error> {
        let mut value = HeaderValue::try_from(key.expose()).map_err(|_| {
            Error::new(ErrorKind::Config, "the API key holds characters that no key has")
        })?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(HeaderName::from_static("x-goog-api-key"), value)]))
    }

    fn decode(&self, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
        response::decode(&self.name, body, ids)
    }

    fn decoder(&self, ids: CallIds) -> ContentDecoder {
        ContentDecoder::new(&self.name, ids)
    }

    fn failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
        let error = Failure::read(body).into_error(&self.name, Some(status));
        match wait_hint(headers, error.message(), SystemTime::now()) {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_stands_in_the_path() {
        let path =
            |model: &str, stream| Gemini::new().encode(&"Hi".into(), model, stream).unwrap().path;
        assert_eq!(path("gemini-2.5-flash", false), "/models/gemini-2.5-flash:generateContent");
        assert_eq!(path("models/a b", true), "/models/a%20b:streamGenerateContent?alt=sse");
        assert_eq!(path("a?key=b", false), "/models/a%3Fkey%3Db:generateContent");
    }
}
