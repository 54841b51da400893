use super::adapter::EmbeddingAdapter;
#[cfg(feature = "gemini")]
use super::adapter::gemini::Gemini;
#[cfg(feature = "openai")]
use super::adapter::openai::{OpenAi, Vendor};
use super::embed::{Embedder, Embeddings};
use super::error::{Error, ErrorKind};
use super::origin::Origin;
use super::provider::ProviderConfig;
use super::transport::Transport;
use super::usage::Usage;
use crate::base::tokens::estimate_tokens;
use std::fmt;

/// How many tokens the texts of one request have at most, as they are estimated. OpenAI takes 300,000
/// (API reference, "Create embeddings"); the rest is for what an estimate may be wrong by. A text that has
/// more is a request of its own.
const MAX_TOKENS: u64 = 250_000;

/// An embedder that is reached over HTTP, through the adapter for its interface.
///
/// Texts are sent in as many requests as the interface's limits on their number and their tokens ask for. If one of
/// these fails, the error tells what those before it have used ([`Error::usage`]).
pub struct HttpEmbedder<A> {
    adapter: A,
    transport: Transport,
    origin: Origin,
    model: String,
    dimensions: Option<u32>,
}

impl<A: EmbeddingAdapter> HttpEmbedder<A> {
    /// An embedder at an address. The model of the configuration is one for embeddings.
    ///
    /// # Errors
    /// When the address is none of HTTP, no model is named, or the key cannot stand in a header.
    pub fn new(adapter: A, base_url: &str, config: &ProviderConfig) -> Result<Self, Error> {
        let mut headers = adapter.headers();
        if let Some(key) = &config.api_key {
            headers.extend(adapter.authorize(key)?);
        }
        if config.model.is_empty() {
            return Err(Error::new(ErrorKind::Config, "no model for embeddings is named"));
        }
        let origin = Origin::new(config.base_url.as_deref().unwrap_or(base_url), headers)?;
        let transport = Transport::new(config.timeouts)?;
        let model = config.model.clone();
        Ok(Self { adapter, transport, origin, model, dimensions: None })
    }

    /// Sets how many dimensions vectors have, where the model leaves the choice.
    #[must_use]
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Embeds texts in as many requests as they need.
    async fn all<T: AsRef<str>>(
        &self,
        texts: &[T],
        dimensions: Option<u32>,
    ) -> Result<Embeddings, Error> {
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        let mut all = Embeddings::default();
        let mut used: Option<Usage> = None;
        for (batch, tokens) in batches(&texts, self.adapter.batch_limit()) {
            let failed = |error: Error| {
                let error = error.with_provider(self.adapter.name());
                match used {
                    Some(used) => error.with_usage(used),
                    None => error,
                }
            };
            let batch = self.batch(batch, dimensions).await.map_err(failed)?;
            let estimate = || Usage { estimated: true, ..Usage::new(tokens, 0) };
            *used.get_or_insert_default() += batch.usage.unwrap_or_else(estimate);
            all.extend(batch);
        }
        Ok(all)
    }

    async fn batch(&self, texts: &[&str], dimensions: Option<u32>) -> Result<Embeddings, Error> {
        let encoded = self.adapter.encode_texts(texts, &self.model, dimensions)?;
        let request = self.origin.post(&encoded.path, encoded.body)?;
        let (head, body) = self.transport.exchange(request).await?.into_parts();
        if !head.status.is_success() {
            return Err(self.adapter.failure(head.status.as_u16(), &head.headers, &body));
        }
        let embeddings = self.adapter.decode_vectors(&body)?;
        embeddings.check(texts.len())?;
        Ok(embeddings)
    }
}

/// Parts of texts that are not more than so many, nor have more than [`MAX_TOKENS`] tokens, as far as a
/// text does not have more by itself; with the tokens of each, as they are estimated.
fn batches<'a>(
    mut texts: &'a [&'a str],
    limit: usize,
) -> impl Iterator<Item = (&'a [&'a str], u64)> {
    std::iter::from_fn(move || {
        let (mut count, mut tokens) = (0, 0_u64);
        for text in texts.iter().take(limit.max(1)) {
            let more = tokens.saturating_add(estimate_tokens(text));
            if count > 0 && more > MAX_TOKENS {
                break;
            }
            (count, tokens) = (count + 1, more);
        }
        let (batch, rest) = texts.split_at_checked(count)?;
        texts = rest;
        (!batch.is_empty()).then_some((batch, tokens))
    })
}

impl<A: EmbeddingAdapter> Embedder for HttpEmbedder<A> {
    fn name(&self) -> &str {
        self.adapter.name()
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, Error> {
        self.all(texts, self.dimensions).await
    }

    async fn embed_sized<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        dimensions: u32,
    ) -> Result<Embeddings, Error> {
        self.all(texts, Some(dimensions)).await
    }
}

impl<A: fmt::Debug> fmt::Debug for HttpEmbedder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEmbedder")
            .field("adapter", &self.adapter)
            .field("base_url", &self.origin)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "openai")]
impl HttpEmbedder<OpenAi> {
    /// OpenAI, or a vendor by the name of the configuration, such as `ollama`.
    ///
    /// # Errors
    /// As [`HttpEmbedder::new`].
    pub fn openai(config: &ProviderConfig) -> Result<Self, Error> {
        let vendor = Vendor::find(&config.provider);
        let base_url = vendor.map_or("https://api.openai.com/v1", |vendor| vendor.base_url);
        Self::new(OpenAi::named(config.provider.clone()), base_url, config)
    }
}

#[cfg(feature = "gemini")]
impl HttpEmbedder<Gemini> {
    /// Gemini.
    ///
    /// # Errors
    /// As [`HttpEmbedder::new`].
    pub fn gemini(config: &ProviderConfig) -> Result<Self, Error> {
        let base_url = "https://generativelanguage.googleapis.com/v1beta";
        Self::new(Gemini::named(config.provider.clone()), base_url, config)
    }
}
