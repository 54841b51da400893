//! Pure translation between our vocabulary and a provider's interface.
//!
//! An [`Adapter`] opens no connection, knows no key and keeps no state between calls: bytes in,
//! values out, so that every fact about a provider is tested without one. Each provider has a
//! folder with `request`, `response` and `stream`. What is alike everywhere stands in here:
//! what a status means, and where a provider says how long to wait.

mod failure;
mod call_ids;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
#[cfg_attr(
    not(feature = "openai"),
    allow(dead_code, unused_imports, reason = "the other providers need parts of it")
)]
mod json;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod garbage;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod ending;
#[cfg(any(feature = "openai", feature = "anthropic"))]
mod repeat;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod turns;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod strict_tools;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod body;
#[cfg(feature = "anthropic")]
pub mod anthropic;
#[cfg(feature = "gemini")]
pub mod gemini;
#[cfg(feature = "openai")]
pub mod openai;
#[cfg(feature = "openai")]
pub mod responses;

use super::chat::{ChatRequest, ChatResponse, Dropped};
use super::embed::Embeddings;
use super::error::Error;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
use super::error::ErrorKind;
use super::stream::ChatEvent;
use crate::base::Secret;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
use body::{Body, Lent};
pub use call_ids::CallIds;
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
use ending::{cut, last};
pub(crate) use failure::has_no_such_model;
pub use failure::{Failure, wait_hint};
#[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
use garbage::Garbage;
#[cfg(any(feature = "anthropic", feature = "gemini"))]
use garbage::unreadable;
use http::HeaderMap;
#[cfg(any(feature = "openai", feature = "anthropic"))]
use repeat::{Piece, Repeat, Tell};
use std::collections::VecDeque;

/// Translates for one provider.
pub trait Adapter: Send + Sync + 'static {
    /// Reads a streamed answer.
    type Decoder: EventDecoder;

    /// What the provider is called in errors and settings.
    fn name(&self) -> &str;

    /// Writes a request. `stream` asks for an answer that arrives bit by bit.
    ///
    /// # Errors
    /// When the request cannot be sent to this provider at all.
    fn encode(&self, request: &ChatRequest, model: &str, stream: bool) -> Result<Encoded, Error>;

    /// The headers that carry the key.
    ///
    /// # Errors
    /// When the key cannot stand in a header.
    fn authorize(&self, key: &Secret) -> Result<HeaderMap, Error>;

    /// The headers that every request has beside those of the key.
    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    /// Reads an answer that has arrived whole. Calls without an id are given one by `ids`.
    ///
    /// # Errors
    /// When it is not what the provider documents, or holds an error.
    fn decode(&self, body: &[u8], ids: CallIds) -> Result<ChatResponse, Error>;

    /// A decoder for one streamed answer. Calls without an id are given one by `ids`.
    fn decoder(&self, ids: CallIds) -> Self::Decoder;

    /// Reads an answer whose status tells of a failure.
    fn failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error;
}

/// Translates texts for a provider that embeds them.
pub trait EmbeddingAdapter: Adapter {
    /// How many texts one request holds.
    fn batch_limit(&self) -> usize;

    /// Writes a request for the vectors of texts, of so many dimensions where the model leaves the
    /// choice.
    ///
    /// # Errors
    /// When the request cannot be sent to this provider at all.
    fn encode_texts(
        &self,
        texts: &[&str],
        model: &str,
        dimensions: Option<u32>,
    ) -> Result<Encoded, Error>;

    /// Reads the vectors, in the order of their texts.
    ///
    /// # Errors
    /// When the answer is not what the provider documents.
    fn decode_vectors(&self, body: &[u8]) -> Result<Embeddings, Error>;
}

/// A request as it goes over the wire.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Encoded {
    /// What is appended to the base address, with a slash in front.
    pub path: String,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// What could not be said.
    pub dropped: Vec<Dropped>,
}

impl Encoded {
    /// A request to a path.
    pub fn new(path: impl Into<String>, body: Vec<u8>, dropped: Vec<Dropped>) -> Self {
        Self { path: path.into(), body, dropped }
    }

    /// A request to a path, with a body that is written here.
    #[cfg(any(feature = "openai", feature = "anthropic", feature = "gemini"))]
    fn json(
        path: impl Into<String>,
        body: &impl serde::Serialize,
        dropped: Vec<Dropped>,
    ) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "the request cannot be written")
                .with_source(error)
        })?;
        Ok(Self::new(path, body, dropped))
    }
}

/// Reads one streamed answer, event by event.
///
/// It emits exactly one [`ChatEvent::Finish`], or returns an error; after either it is not
/// called again.
pub trait EventDecoder: Send + Unpin + 'static {
    /// Reads the data of one event.
    ///
    /// # Errors
    /// When the provider reports one, or its events make no sense any more.
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error>;

    /// Tells whether the answer is complete but for formalities, so that there is little to wait for.
    fn is_complete(&self) -> bool;

    /// Reads what was left when the bytes ended: data of an event that lacks its last blank line.
    ///
    /// # Errors
    /// When the answer is not complete.
    fn end(&mut self, rest: Option<&str>, out: &mut VecDeque<ChatEvent>) -> Result<(), Error>;
}
