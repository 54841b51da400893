//! The macros work when the dependency is called otherwise, and something else is called `ember`.

extern crate core as ember;

use flame::llm::{ChatRequest, ChatResponse, ChatStream, Error, Provider, ProviderConfig};
use flame::prelude::*;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[ember(crate = flame)]
struct Point {
    x: i32,
}

/// Moves a point.
#[tool(crate = flame)]
async fn shift(point: Point, #[default(1)] by: i32) -> i32 {
    point.x + by
}

#[get("/points/{x}", crate = flame)]
async fn point(x: i32, _: HeaderMap) -> String {
    x.to_string()
}

#[ai_route("/chat", tools = [shift], crate = flame)]
async fn chat(conversation: ConversationContext, message: String) -> flame::Result<TokenStream> {
    conversation.stream(message).await
}

#[provider("renamed", crate = flame)]
struct Renamed;

impl From<ProviderConfig> for Renamed {
    fn from(_: ProviderConfig) -> Self {
        Self
    }
}

impl Provider for Renamed {
    fn name(&self) -> &str {
        "renamed"
    }

    async fn chat(&self, _: &ChatRequest) -> Result<ChatResponse, Error> {
        Ok(ChatResponse::text_answer("renamed"))
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        Ok(self.chat(request).await?.into_stream())
    }
}

#[test]
fn a_renamed_dependency_works() {
    let env = flame::Env::of([("LLM_PROVIDER", "renamed")]);
    let app = flame::app!().env(env).build().unwrap();
    assert_eq!(app.site().state().routes.len(), 2);
    assert_eq!(app.tools().iter().len(), 1);
}
