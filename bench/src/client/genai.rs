//! genai, which knows many providers.

use super::{MODEL, Peer, QUESTION, SYSTEM};
use crate::Result;
use futures_util::StreamExt as _;
use genai::adapter::AdapterKind;
use genai::chat::{ChatOptions, ChatRequest, ChatStreamEvent};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ModelSpec, ServiceTarget};

pub(super) struct GenAi {
    client: Client,
    target: ServiceTarget,
}

impl GenAi {
    fn target(&self) -> ModelSpec {
        ModelSpec::Target(self.target.clone())
    }
}

fn request() -> ChatRequest {
    ChatRequest::from_user(QUESTION).with_system(SYSTEM)
}

impl Peer for GenAi {
    fn new(address: &str) -> Result<Self> {
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(format!("http://{address}/v1/")),
            auth: AuthData::Key("key".to_owned()),
            model: ModelIden::new(AdapterKind::OpenAI, MODEL),
        };
        Ok(Self { client: Client::builder().build()?, target })
    }

    async fn unary(&self) -> Result<(String, u64)> {
        let answer = self.client.exec_chat(self.target(), request(), None).await?;
        let tokens = answer.usage.total_tokens.ok_or("no usage")?;
        let text = answer.content.into_joined_texts().ok_or("no text")?;
        Ok((text, tokens.try_into()?))
    }

    async fn streamed(&self) -> Result<(String, usize)> {
        // Ember and rig-core fold usage and text as they read.
        let options = ChatOptions::default().with_capture_usage(true);
        let answer = self.client.exec_chat_stream(self.target(), request(), Some(&options)).await?;
        let mut stream = answer.stream;
        let (mut text, mut events) = (String::new(), 0);
        while let Some(event) = stream.next().await {
            if let ChatStreamEvent::Chunk(piece) = event?
                && !piece.content.is_empty()
            {
                text += &piece.content;
                events += 1;
            }
        }
        Ok((text, events))
    }
}
