use super::{Gemini, PLAIN};
use crate::llm::adapter::{EmbeddingAdapter, Encoded};
use crate::llm::embed::Embeddings;
use crate::llm::error::{Error, ErrorKind};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `POST {base}/models/{model}:batchEmbedContents`; at most 100 texts in a request.
impl EmbeddingAdapter for Gemini {
    fn batch_limit(&self) -> usize {
        100
    }

    fn encode_texts(
        &self,
        texts: &[&str],
        model: &str,
        dimensions: Option<u32>,
    ) -> Result<Encoded, Error> {
        let model = match model.contains('/') {
            true => model.to_owned(),
            false => format!("models/{model}"),
        };
        let requests = texts.iter().map(|text| {
            let mut request = json!({"model": model, "content": {"parts": [{"text": text}]}});
            if let Some(dimensions) = dimensions {
                request["outputDimensionality"] = dimensions.into();
            }
            request
        });
        let body = Map::from_iter([("requests".to_owned(), requests.collect::<Value>())]);
        let path = format!("/{}:batchEmbedContents", utf8_percent_encode(&model, PLAIN));
        Encoded::json(path, &body, Vec::new())
    }

    fn decode_vectors(&self, body: &[u8]) -> Result<Embeddings, Error> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| {
            Error::new(ErrorKind::Decode, "the answer is not what embeddings are")
                .with_source(error)
        })?;
        Ok(Embeddings::new(answer.embeddings.into_iter().map(|item| item.values).collect()))
    }
}

#[derive(Deserialize)]
struct Answer {
    embeddings: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    values: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_out_and_vectors_come_back() {
        let encoded = Gemini::new().encode_texts(&["a"], "m", Some(2)).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(encoded.path, "/models/m:batchEmbedContents");
        assert_eq!(
            body,
            json!({"requests": [{
                "model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2,
            }]})
        );
        let answer = br#"{"embeddings": [{"values": [0.5, 1]}]}"#;
        assert_eq!(Gemini::new().decode_vectors(answer).unwrap().vectors, [[0.5, 1.0]]);
        assert!(Gemini::new().decode_vectors(b"{}").is_err());
    }
}
