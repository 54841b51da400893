//! async-openai, which knows OpenAI alone.

use super::{MODEL, Peer, QUESTION, SYSTEM};
use crate::Result;
use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt as _;

pub(super) struct AsyncOpenAi(Client<OpenAIConfig>);

fn request() -> Result<CreateChatCompletionRequest> {
    let system = ChatCompletionRequestSystemMessage::from(SYSTEM);
    let user = ChatCompletionRequestUserMessage::from(QUESTION);
    Ok(CreateChatCompletionRequestArgs::default()
        .model(MODEL)
        .messages([system.into(), user.into()])
        .build()?)
}

impl Peer for AsyncOpenAi {
    fn new(address: &str) -> Result<Self> {
        let config = OpenAIConfig::new().with_api_key("key");
        Ok(Self(Client::with_config(config.with_api_base(format!("http://{address}/v1")))))
    }

    async fn unary(&self) -> Result<(String, u64)> {
        let answer = self.0.chat().create(request()?).await?;
        let tokens = answer.usage.ok_or("no usage")?.total_tokens;
        let choice = answer.choices.into_iter().next().ok_or("no choice")?;
        Ok((choice.message.content.ok_or("no text")?, tokens.into()))
    }

    async fn streamed(&self) -> Result<(String, usize)> {
        let mut stream = self.0.chat().create_stream(request()?).await?;
        let (mut text, mut events) = (String::new(), 0);
        while let Some(chunk) = stream.next().await {
            let choice = chunk?.choices.into_iter().next();
            if let Some(piece) = choice.and_then(|choice| choice.delta.content)
                && !piece.is_empty()
            {
                text += &piece;
                events += 1;
            }
        }
        Ok((text, events))
    }
}
