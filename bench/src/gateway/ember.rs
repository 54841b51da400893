//! Ember as it comes, with one worker: its client behind its own interface, or behind a route.

use crate::Result;
use ember::ai::{OpenAiApi, VirtualKey};
use ember::llm::ProviderConfig;
use ember::prelude::*;
use std::net::TcpListener;

/// The interface of OpenAI.
pub(super) fn serve(upstream: &str, listener: TcpListener) -> Result {
    let api = OpenAiApi::new("/v1").keys([VirtualKey::new("bench", super::KEY)]);
    app(upstream)?.openai_api(api).serve(listener)?.join();
    Ok(())
}

/// `/chat` alone.
pub(super) fn serve_chat(upstream: &str, listener: TcpListener) -> Result {
    app(upstream)?.serve(listener)?.join();
    Ok(())
}

fn app(upstream: &str) -> Result<Ember> {
    let config = ProviderConfig::new("openai", super::MODEL).api_key("key");
    let client = Client::from_config(config.base_url(format!("http://{upstream}/v1")))?;
    Ok(ember::app!().workers(1).client(client))
}

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, question: String) -> ember::Result<TokenStream> {
    conversation.stream(question).await
}
