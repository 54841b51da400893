//! What the macros emit passes the strictest lints.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, rust_2018_idioms, unused)]
#![deny(clippy::all, clippy::pedantic, clippy::unwrap_used)]

use ember::prelude::*;
use serde::{Deserialize, Serialize};

/// A place.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Its name.
    pub name: String,
}

/// Finds a place.
#[tool]
pub async fn find(
    /// What to look for.
    name: String,
    #[default(3)] limit: u8,
    near: Option<Place>,
) -> Result<Vec<Place>, ToolError> {
    Ok(near.into_iter().chain([Place { name }]).take(limit.into()).collect())
}

/// Reads a place.
#[get("/places/{name}", cache = TtlCache::new(secs(1)))]
pub async fn place(name: String) -> Json<Place> {
    Json(Place { name })
}

/// Writes a place.
#[put("/places/{_name}")]
pub async fn put_place(_name: String, Json(place): Json<Place>) -> StatusCode {
    if place.name.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::NO_CONTENT }
}

#[ai_route("/chat", tools = [find], token_limits = TokenLimits::per_minute(1_000))]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

fn main() -> ember::Result {
    let env = ember::Env::of([("LLM_PROVIDER", "fake")]);
    ember::app!().env(env).build()?;
    Ok(())
}
