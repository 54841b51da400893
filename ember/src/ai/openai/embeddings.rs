use super::api::Api;
use super::document::{self, Node};
use super::error::{no_such_model, of_model};
use super::keys::Caller;
use super::reader::At;
use crate::ai::extract::{client_of, component};
use crate::base::Error;
use crate::llm::{BoxEmbedder, Embedder as _, ErrorKind, estimate_tokens};
use crate::web::extract::check_json;
use crate::web::{Json, Request};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;
use std::sync::Arc;

/// How many texts a request may have (OpenAI's API reference).
const TEXTS: usize = 2_048;

/// The members of a request that are read.
const READ: [&str; 4] = ["input", "model", "dimensions", "encoding_format"];

/// What a caller asks of embeddings.
#[derive(Debug)]
struct Asked {
    model: String,
    texts: Vec<String>,
    dimensions: Option<u32>,
    as_bytes: bool,
}

impl Asked {
    fn read(body: &Node<'_>) -> Result<Self, Error> {
        let root = At::root(body);
        root.object()?;
        let input = root.need("input")?;
        let texts = match input.value {
            Node::Text(text) => vec![text.to_string()],
            Node::Array(_) => {
                input.items()?.map(|text| read_text(&text)).collect::<Result<_, _>>()?
            }
            _ => return Err(input.wrong("a string or an array of strings")),
        };
        if texts.is_empty() || texts.len() > TEXTS {
            return Err(input.error("invalid_value", &format!("must hold 1 to {TEXTS} texts")));
        }
        let dimensions = root.get("dimensions");
        let dimensions = dimensions.map(|at| match u32::try_from(at.count()?) {
            Ok(count @ 1..) => Ok(count),
            _ => Err(at.error("invalid_value", "must be 1 or more")),
        });
        let as_bytes = match root.get("encoding_format") {
            None => false,
            Some(format) => match format.text()? {
                "float" => false,
                "base64" => true,
                _ => return Err(format.error("invalid_value", "must be `float` or `base64`")),
            },
        };
        let model = root.need("model")?.text()?.to_owned();
        Ok(Self { model, texts, dimensions: dimensions.transpose()?, as_bytes })
    }
}

fn read_text(at: &At<'_>) -> Result<String, Error> {
    if let Node::Number(_) | Node::Array(_) = at.value {
        let wrong = "is a token or a list of tokens, which only one model's vocabulary explains; send texts";
        return Err(at.error("unsupported_value", wrong));
    }
    Ok(at.text()?.to_owned())
}

/// Reads the body of a request.
fn read(body: &[u8]) -> Result<Asked, Error> {
    Asked::read(&document::read(body, &|name| READ.contains(&name))?)
}

/// Turns texts into vectors. What they use counts as what a conversation does.
pub(super) async fn create_embedding(request: Request) -> Result<Json<EmbeddingList>, Error> {
    let (mut parts, body) = request.into_parts();
    check_json(&parts)?;
    let api = Api::of(&parts)?;
    let embedder: BoxEmbedder = component(&parts)?;
    let caller = parts.extensions().get::<Arc<Caller>>().cloned();
    let asked = read(&body.collect().await?)?;
    let is_served = api.embedding_model.as_ref().is_none_or(|model| *model == asked.model);
    if !is_served || caller.as_ref().is_some_and(|caller| !caller.may_ask(&asked.model)) {
        return Err(no_such_model(&asked.model));
    }
    let failed = |error| of_model(error, Some(&asked.model));
    let client = client_of(&mut parts)?;
    let client = match &caller {
        Some(caller) => caller.limits(client),
        None => client,
    };
    let tokens = asked.texts.iter().map(|text| estimate_tokens(text)).sum();
    let reserved = client.reserve_embedding(embedder.name(), &asked.model, tokens).await;
    let mut reserved = reserved.map_err(|error| match error.kind() {
        // Its price is not known, and there is a limit in money.
        ErrorKind::Config => no_such_model(&asked.model).with_source(error),
        _ => failed(error),
    })?;
    // A call that is abandoned has cost what was expected.
    reserved.used(tokens).map_err(failed)?;
    let embeddings = match asked.dimensions {
        Some(dimensions) => embedder.embed_sized(&asked.texts, dimensions).await,
        None => embedder.embed(&asked.texts).await,
    };
    let embeddings = match embeddings {
        Ok(embeddings) => embeddings,
        Err(error) => {
            // Some of several requests may have gone well; and what came too late, or could not be read, was made.
            let was_made = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Decode);
            let otherwise = if was_made { tokens } else { 0 };
            let used = error.usage().map_or(otherwise, |usage| usage.total_input());
            reserved.used(used).map_err(failed)?;
            return Err(failed(error));
        }
    };
    let used = embeddings.usage.map_or(tokens, |usage| usage.total_input());
    reserved.used(used).map_err(failed)?;
    embeddings.check(asked.texts.len()).map_err(failed)?;
    Ok(Json(EmbeddingList::of(asked, embeddings.vectors, used)))
}

/// `CreateEmbeddingResponse` of OpenAI's API reference.
#[derive(Debug, Serialize)]
pub(super) struct EmbeddingList {
    object: &'static str,
    data: Vec<WireEmbedding>,
    model: String,
    usage: WireUsage,
}

#[derive(Debug, Serialize)]
struct WireEmbedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

/// Numbers, or their bytes (32-bit floats, the least significant byte first) in base64.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Bytes(String),
}

#[derive(Debug, Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl EmbeddingList {
    fn of(asked: Asked, vectors: Vec<Vec<f32>>, tokens: u64) -> Self {
        let vectors = vectors.into_iter().enumerate();
        let data = vectors.map(|(index, vector)| WireEmbedding {
            object: "embedding",
            index,
            embedding: match asked.as_bytes {
                true => {
                    let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
                    Vector::Bytes(BASE64_STANDARD.encode(bytes))
                }
                false => Vector::Numbers(vector),
            },
        });
        let usage = WireUsage { prompt_tokens: tokens, total_tokens: tokens };
        Self { object: "list", data: data.collect(), model: asked.model, usage }
    }
}
