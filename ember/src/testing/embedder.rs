use crate::llm::{Embedder, Embeddings, Error};

/// An embedder without a model or a network, the same on every machine: texts that share words and parts of words are
/// near each other.
///
/// A vector has 384 dimensions. Each word, and each run of three letters within a word, adds to
/// one of them by its hash, up or down; a word counts as much as all its runs together, so that `reset` and
/// `resetting` are near each other without being one. The fifty small words that most English
/// questions have count a fifth. It knows no meanings: `car` and `automobile` are as far from each
/// other as any two words. So a test gets nearness that it can reason about, and a
/// threshold for it says nothing about one for a real model.
///
/// ```
/// use ember::llm::Embedder;
/// use ember::testing::NgramEmbedder;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let texts = ["How do I reset it?", "how to reset it", "Why is the sky blue?"];
/// let vectors = NgramEmbedder::new().embed(&texts).await?.vectors;
/// let near = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f32>();
/// assert!(near(0, 1) > 0.7 && near(0, 2) < 0.4);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct NgramEmbedder;

/// As many as the small models that people run themselves have.
const DIMENSIONS: usize = 384;

/// What the small words of English questions count.
const SMALL: f32 = 0.2;

const SMALL_WORDS: &str = "a an the this that is are was were be been do does did can could would should will have has \
    had i you we it me my your to of in on at for from with by and or as how what when where which who why there";

impl NgramEmbedder {
    /// The embedder.
    pub fn new() -> Self {
        Self
    }

    fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; DIMENSIONS];
        let lower = text.to_lowercase();
        for word in
            lower.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty())
        {
            let small = SMALL_WORDS.split_whitespace().any(|small| small == word);
            let weight = if small { SMALL } else { 1.0 };
            add(&mut vector, word.chars(), weight);
            let padded: Vec<char> = format!("^{word}$").chars().collect();
            let runs = padded.windows(3);
            // The squares of the parts add up to that of the word.
            let part = weight / (runs.len().max(1) as f32).sqrt();
            runs.for_each(|run| add(&mut vector, run.iter().copied(), part));
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

/// Adds a feature to the dimension of its hash (FNV-1a, mixed), up or down by one bit of it.
fn add(vector: &mut [f32], feature: impl Iterator<Item = char>, weight: f32) {
    let hash = feature.fold(0xcbf2_9ce4_8422_2325_u64, |hash, char| {
        (hash ^ u64::from(char)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sign = if mixed >> 63 == 0 { 1.0 } else { -1.0 };
    vector[((mixed >> 20) % DIMENSIONS as u64) as usize] += sign * weight;
}

impl Embedder for NgramEmbedder {
    fn name(&self) -> &str {
        "ngram"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, Error> {
        Ok(Embeddings::new(texts.iter().map(|text| Self::vector(text.as_ref())).collect()))
    }
}
