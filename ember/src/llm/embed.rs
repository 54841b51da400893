use super::error::Error;
use super::error::ErrorKind;
use super::usage::Usage;
use crate::base::tokens::estimate_tokens;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Turns texts into vectors whose nearness is that of their meaning.
///
/// ```
/// use ember::llm::{Embedder, FakeEmbedder};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let embedder = FakeEmbedder::new(64);
/// let embeddings = embedder.embed(&["a red boat", "a red ship", "seven"]).await?;
/// let [boat, ship, seven] = &embeddings.vectors[..] else { unreachable!() };
/// let near = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
/// assert!(near(boat, ship) > near(boat, seven));
/// # Ok(()) }
/// ```
pub trait Embedder: Send + Sync + 'static {
    /// What it is called in errors.
    fn name(&self) -> &str;

    /// Embeds texts; there is a vector for each, in their order. More texts than one request
    /// holds are sent in several.
    ///
    /// # Errors
    /// Whatever keeps it from a vector for each text.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the service.
    fn embed<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> impl Future<Output = Result<Embeddings, Error>> + Send;

    /// As [`Embedder::embed`], with vectors of so many dimensions, where the model leaves the choice.
    ///
    /// Unless it is implemented, it embeds as ever and sees whether that is what was asked for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when vectors cannot have so many dimensions; otherwise as
    /// [`Embedder::embed`].
    fn embed_sized<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        dimensions: u32,
    ) -> impl Future<Output = Result<Embeddings, Error>> + Send {
        async move {
            let embeddings = self.embed(texts).await?;
            let length = embeddings.vectors.first().map_or(dimensions as usize, Vec::len);
            if length == dimensions as usize {
                return Ok(embeddings);
            }
            let message = format!("vectors have {length} dimensions here, and no other number");
            let estimate = || {
                let tokens = texts.iter().map(|text| estimate_tokens(text.as_ref())).sum();
                Usage { estimated: true, ..Usage::new(tokens, 0) }
            };
            let used = embeddings.usage.unwrap_or_else(estimate);
            Err(Error::new(ErrorKind::InvalidRequest, message).with_usage(used))
        }
    }
}

/// An embedder whose type is forgotten, as an application keeps it among its components.
///
/// Cloning is cheap; clones are the same embedder.
#[derive(Clone)]
pub struct BoxEmbedder(Arc<dyn Erased>);

impl BoxEmbedder {
    /// Forgets the type of an embedder.
    pub fn new(embedder: impl Embedder) -> Self {
        Self(Arc::new(embedder))
    }
}

impl Embedder for BoxEmbedder {
    fn name(&self) -> &str {
        self.0.boxed_name()
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, Error> {
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        self.0.boxed_embed(&texts, None).await
    }

    async fn embed_sized<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        dimensions: u32,
    ) -> Result<Embeddings, Error> {
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        self.0.boxed_embed(&texts, Some(dimensions)).await
    }
}

impl fmt::Debug for BoxEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedder").field(&Embedder::name(self)).finish()
    }
}

/// The boxed twin of [`Embedder`].
trait Erased: Send + Sync {
    fn boxed_name(&self) -> &str;
    fn boxed_embed<'a>(&'a self, texts: &'a [&'a str], dimensions: Option<u32>) -> Embedding<'a>;
}

type Embedding<'a> = Pin<Box<dyn Future<Output = Result<Embeddings, Error>> + Send + 'a>>;

impl<E: Embedder> Erased for E {
    fn boxed_name(&self) -> &str {
        Embedder::name(self)
    }

    fn boxed_embed<'a>(&'a self, texts: &'a [&'a str], dimensions: Option<u32>) -> Embedding<'a> {
        match dimensions {
            Some(dimensions) => Box::pin(self.embed_sized(texts, dimensions)),
            None => Box::pin(Embedder::embed(self, texts)),
        }
    }
}

/// Vectors of texts.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// A vector for each text.
    pub vectors: Vec<Vec<f32>>,
    /// What it used; `None` where the provider did not say.
    pub usage: Option<Usage>,
}

impl Embeddings {
    /// Vectors, and nothing known of what they used.
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self { vectors, usage: None }
    }

    /// Tells whether there are so many vectors, all of one length.
    pub(crate) fn check(&self, texts: usize) -> Result<(), Error> {
        let length = self.vectors.first().map_or(0, Vec::len);
        let even = self.vectors.iter().all(|vector| vector.len() == length && length > 0);
        if self.vectors.len() == texts && even {
            return Ok(());
        }
        let message = format!("{} usable vectors came for {texts} texts", self.vectors.len());
        Err(Error::new(ErrorKind::Decode, message))
    }

    /// Adds the vectors of the next texts.
    #[cfg(feature = "transport")]
    pub(crate) fn extend(&mut self, next: Self) {
        self.vectors.extend(next.vectors);
        if let Some(usage) = next.usage {
            *self.usage.get_or_insert_default() += usage;
        }
    }
}

/// An embedder without a network: texts that share words are near each other.
#[derive(Debug, Clone)]
pub struct FakeEmbedder {
    dimensions: usize,
}

impl FakeEmbedder {
    /// An embedder whose vectors have so many dimensions, at least one.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions: dimensions.max(1) }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; self.dimensions];
        for word in text.to_lowercase().split(|char: char| !char.is_alphanumeric()) {
            // FNV-1a: the same on every machine and in every run.
            let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            if !word.is_empty() {
                vector[(hash % self.dimensions as u64) as usize] += 1.0;
            }
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        } else {
            vector[0] = 1.0;
        }
        vector
    }
}

impl Embedder for FakeEmbedder {
    fn name(&self) -> &str {
        "fake"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, Error> {
        Ok(Embeddings::new(texts.iter().map(|text| self.vector(text.as_ref())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_number_of_dimensions_that_nobody_can_choose_is_refused() {
        let embedder = BoxEmbedder::new(FakeEmbedder::new(8));
        assert_eq!(embedder.name(), "fake");
        let sized = embedder.embed_sized(&["a"], 8).await.unwrap();
        assert_eq!(sized, embedder.embed(&["a"]).await.unwrap());
        let refused = embedder.embed_sized(&["a"], 9).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
        assert!(refused.message().contains("8 dimensions"), "{refused}");
        assert!(
            refused.usage().is_some_and(|used| used.total_input() > 0),
            "it was done all the same"
        );
    }

    #[test]
    fn vectors_must_be_as_many_as_texts_and_of_one_length() {
        let check = |vectors: &[&[f32]], texts| {
            Embeddings::new(vectors.iter().map(|vector| vector.to_vec()).collect()).check(texts)
        };
        assert!(check(&[&[1.0], &[2.0]], 2).is_ok() && check(&[], 0).is_ok());
        assert!(check(&[&[1.0]], 2).is_err());
        assert!(check(&[&[1.0], &[1.0, 2.0]], 2).is_err());
        assert!(check(&[&[]], 1).is_err());
    }
}
