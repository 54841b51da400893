//! OpenAI's responses.
//!
//! `POST {base}/responses`, as OpenAI's API reference describes it. The conversation stays here:
//! nothing is stored at OpenAI unless the request says so (`extra` with `store`), and what the
//! model has thought travels with the conversation in encrypted form.

mod wire;
mod stream;
mod response;
mod request;

pub use stream::ResponseDecoder;

use super::{Adapter, CallIds, Encoded, Failure, wait_hint};
use crate::base::Secret;
use crate::llm::adapter::openai::OpenAi;
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use http::HeaderMap;
use std::time::SystemTime;

/// Translates for OpenAI's responses.
#[derive(Debug, Clone)]
pub struct OpenAiResponses {
    name: String,
}

impl OpenAiResponses {
    /// OpenAI itself.
    pub fn new() -> Self {
        Self::named("openai-responses")
    }

    /// A compatible server of another name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Default for OpenAiResponses {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for OpenAiResponses {
    type Decoder = ResponseDecoder;

    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, request: &ChatRequest, model: &str, stream: bool) -> Result<Encoded, Error> {
        let (body, dropped) = request::encode(&self.name, request, model, stream);
        Encoded::json("/responses", &body, dropped)
    }

    fn authorize(&self, key: &Secret) -> Result<HeaderMap, Error> {
        OpenAi::new().authorize(key)
    }

    fn decode(&self, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error> {
        response::decode(&self.name, body, ids)
    }

    fn decoder(&self, ids: CallIds) -> ResponseDecoder {
        ResponseDecoder::new(&self.name, ids)
    }

    fn failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
        let error = Failure::read(body).into_error(&self.name, Some(status));
        match wait_hint(headers, error.message(), SystemTime::now()) {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}
