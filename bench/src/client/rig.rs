//! rig-core, which knows many providers as well.

use super::{MODEL, Peer, QUESTION, SYSTEM};
use crate::Result;
use futures_util::StreamExt as _;
use rig_core::Model;
use rig_core::completion::{AssistantContent, CompletionRequest, CompletionResponse};
use rig_core::providers::openai::OpenAIConfig;
use rig_core::providers::openai::wire::Chat;
use rig_core::streaming::{Item, StreamEvent};

pub(super) struct Rig(Model<Chat>);

fn request() -> CompletionRequest {
    CompletionRequest::new(QUESTION).preamble(SYSTEM)
}

fn text(response: &CompletionResponse) -> String {
    let texts = response.choice.iter().filter_map(|part| match part {
        AssistantContent::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect()
}

impl Peer for Rig {
    fn new(address: &str) -> Result<Self> {
        let config = OpenAIConfig::new("key").with_base_url(format!("http://{address}/v1"));
        Ok(Self(config.client().chat(MODEL)))
    }

    async fn unary(&self) -> Result<(String, u64)> {
        let response = self.0.call(request()).await?;
        Ok((text(&response), response.usage.total_tokens.ok_or("no usage")?))
    }

    async fn streamed(&self) -> Result<(String, usize)> {
        let mut stream = self.0.stream(request())?;
        let mut events = 0;
        while let Some(item) = stream.next().await {
            events += usize::from(matches!(item?, Item::Event(StreamEvent::Text { .. })));
        }
        Ok((text(&stream.finish().await?), events))
    }
}
