//! Ember as it comes, with one worker: its client behind its own interface, or behind a route.

use crate::Result;
use ember::ai::{OpenAiApi, VirtualKey};
use ember::llm::{ProviderConfig, Timeouts};
use ember::prelude::*;
use std::net::TcpListener;
use std::time::Duration;

/// How long a stream may be silent, on a machine that is as busy as it can be.
const SILENCE: Duration = Duration::from_secs(10 * 60);

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
    // The chats of `memory` are silent for as long as it takes to open all of them.
    let config = config.timeouts(Timeouts::default().gap(SILENCE));
    let client = Client::from_config(config.base_url(format!("http://{upstream}/v1")))?;
    Ok(ember::app!().workers(1).client(client))
}

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, question: String) -> ember::Result<TokenStream> {
    conversation.stream(question).await
}
