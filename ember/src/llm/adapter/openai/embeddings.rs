use super::OpenAi;
use crate::llm::adapter::{EmbeddingAdapter, Encoded};
use crate::llm::embed::Embeddings;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::usage::Usage;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, json};

/// `POST {base}/embeddings`; at most 2,048 texts in a request, where the vendor takes no fewer.
impl EmbeddingAdapter for OpenAi {
    fn batch_limit(&self) -> usize {
        self.quirks.batch
    }

    fn encode_texts(
        &self,
        texts: &[&str],
        model: &str,
        dimensions: Option<u32>,
    ) -> Result<Encoded, Error> {
        let mut body = Map::new();
        body.insert("model".into(), model.into());
        body.insert("input".into(), json!(texts));
        if let Some(dimensions) = dimensions {
            body.insert(self.quirks.dimensions.into(), dimensions.into());
        }
        Encoded::json("/embeddings", &body, Vec::new())
    }

    fn decode_vectors(&self, body: &[u8]) -> Result<Embeddings, Error> {
        let unreadable = |message: &'static str| Error::new(ErrorKind::Decode, message);
        let mut answer: Answer = serde_json::from_slice(body).map_err(|error| {
            unreadable("the answer is not what embeddings are").with_source(error)
        })?;
        answer.data.sort_by_key(|item| item.index.unwrap_or(0));
        let vectors = answer.data.into_iter().map(|item| item.embedding.vector());
        let vectors: Option<_> = vectors.collect();
        let mut embeddings =
            Embeddings::new(vectors.ok_or_else(|| unreadable("a vector is not base64"))?);
        let tokens = answer.usage.and_then(|usage| usage.prompt_tokens);
        embeddings.usage = tokens.map(|tokens| Usage::new(tokens, 0));
        Ok(embeddings)
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<u64>,
    embedding: Vector,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
}

/// Numbers, or their bytes (32-bit floats, the least significant byte first) in base64.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Bytes(String),
}

impl Vector {
    fn vector(self) -> Option<Vec<f32>> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Bytes(text) => {
                let bytes = BASE64_STANDARD.decode(text).ok()?;
                let (chunks, rest) = bytes.as_chunks::<4>();
                rest.is_empty()
                    .then(|| chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn texts_go_out_and_vectors_come_back_in_order() {
        let encoded = OpenAi::new().encode_texts(&["a", "b"], "m", Some(2)).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(encoded.path, "/embeddings");
        assert_eq!(body, json!({"model": "m", "input": ["a", "b"], "dimensions": 2}));
        let mistral = OpenAi::named("mistral");
        let encoded = mistral.encode_texts(&["a"], "m", Some(2)).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!((&body["output_dimension"], mistral.batch_limit()), (&json!(2), 256));
        let answer = json!({
            "data": [{"index": 1, "embedding": "AACAPwAAAEA="}, {"index": 0, "embedding": [0.5, 0.25]}],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        });
        let read = |answer: Value| OpenAi::new().decode_vectors(answer.to_string().as_bytes());
        let embeddings = read(answer).unwrap();
        assert_eq!(embeddings.vectors, [[0.5, 0.25], [1.0, 2.0]]);
        assert_eq!(embeddings.usage.unwrap().total(), 7);
        assert!(read(json!({"data": [{"embedding": "AAA="}]})).is_err());
        assert!(read(json!({"error": "x"})).is_err());
    }
}
