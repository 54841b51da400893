//! A model that costs nothing, and an application that is asked without a socket.

use crate::Result;
use ember::bytes::Bytes;
use ember::http::{Request, Response, StatusCode};
use ember::llm::{
    ChatRequest, ChatResponse, ChatStream, Error, FinishReason, Message, Part, Provider, Role,
    ToolCall,
};
use ember::{Body, Ready};
use tokio::runtime::{Builder, Runtime};

/// What it says.
pub(super) const ANSWER: &str = "The model says that it goes on, at the length of one sentence.";

/// Answers at once with one sentence, and calls a tool before that if it is told to.
pub(super) struct Silent {
    pub(super) calls: Option<&'static str>,
}

impl Provider for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    async fn chat(&self, request: &ChatRequest) -> std::result::Result<ChatResponse, Error> {
        let asks = request.messages.last().is_some_and(|message| message.role == Role::User);
        Ok(match self.calls.filter(|_| asks) {
            Some(name) => {
                let call = Part::ToolCall(ToolCall::new("call_1", name, r#"{"n": 1}"#));
                let message = Message::new(Role::Assistant, [call]);
                ChatResponse::new(message, FinishReason::ToolCalls)
            }
            None => ChatResponse::text_answer(ANSWER),
        })
    }

    async fn stream(&self, request: &ChatRequest) -> std::result::Result<ChatStream, Error> {
        Ok(self.chat(request).await?.into_stream())
    }
}

/// An application with what drives it.
pub(super) struct Asked {
    runtime: Runtime,
    app: Ready,
}

impl Asked {
    pub(super) fn new(app: ember::Ember) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let app = runtime.block_on(async { app.build()?.start().await })?;
        Ok(Self { runtime, app })
    }

    /// Asks, and returns the answer with its body whole.
    pub(super) fn ask(&self, request: Request<Body>) -> Result<Response<Bytes>> {
        self.runtime.block_on(async {
            let (head, body) = self.app.answer(request).await.into_parts();
            Ok(Response::from_parts(head, body.collect().await?))
        })
    }

    /// Asks, and tells whether the answer is this.
    pub(super) fn expect(
        &self,
        request: Request<Body>,
        status: StatusCode,
        text: &str,
    ) -> Result<Response<Bytes>> {
        let answer = self.ask(request)?;
        let is_right = answer.status() == status
            && (status != StatusCode::OK || answer.body() == text.as_bytes());
        match is_right {
            true => Ok(answer),
            false => Err(format!("an answer is wrong, with status {}", answer.status()).into()),
        }
    }
}
