//! Ember's client as it comes: with retry, circuit breaker, cost and events around the provider.

use super::{MODEL, Peer, QUESTION, SYSTEM};
use crate::Result;
use ember::llm::{Accumulator, ChatEvent, ChatRequest, Client, ProviderConfig};

pub(super) struct Ember(Client);

fn request() -> ChatRequest {
    ChatRequest::from(QUESTION).system(SYSTEM)
}

impl Peer for Ember {
    fn new(address: &str) -> Result<Self> {
        let config = ProviderConfig::new("openai", MODEL).api_key("key");
        let config = config.base_url(format!("http://{address}/v1"));
        Ok(Self(Client::from_config(config)?))
    }

    async fn unary(&self) -> Result<(String, u64)> {
        let response = self.0.complete(request()).await?;
        let tokens = response.usage.ok_or("no usage")?.total();
        Ok((response.text().into_owned(), tokens))
    }

    async fn streamed(&self) -> Result<(String, usize)> {
        let mut stream = self.0.stream(request()).await?;
        let (mut accumulator, mut events) = (Accumulator::new(), 0);
        while let Some(event) = stream.next().await {
            let event = event?;
            events += usize::from(matches!(event, ChatEvent::Text(_)));
            accumulator.push(&event);
        }
        let response = accumulator.finish()?;
        Ok((response.text().into_owned(), events))
    }
}
