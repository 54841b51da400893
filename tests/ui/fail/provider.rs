use ember::llm::{ChatRequest, ChatResponse, Error, Provider, ProviderConfig};
use ember::prelude::*;

#[provider("nobody")]
struct NotAProvider;

impl From<ProviderConfig> for NotAProvider {
    fn from(_: ProviderConfig) -> Self {
        Self
    }
}

#[provider("half")]
struct WithoutStream;

impl From<ProviderConfig> for WithoutStream {
    fn from(_: ProviderConfig) -> Self {
        Self
    }
}

impl Provider for WithoutStream {
    fn name(&self) -> &str {
        "half"
    }

    async fn chat(&self, _: &ChatRequest) -> Result<ChatResponse, Error> {
        Ok(ChatResponse::text_answer("half"))
    }
}

#[provider]
struct WithoutName;

#[provider("")]
struct EmptyName;

#[provider("f")]
fn function() {}

fn main() {}
