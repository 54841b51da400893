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
use std::fmt;

/// An embedder that is reached over HTTP, through the adapter for its interface.
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
        for batch in texts.chunks(self.adapter.batch_limit()) {
            let batch = self.batch(batch, dimensions).await;
            all.extend(batch.map_err(|error| error.with_provider(self.adapter.name()))?);
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
