//! An OpenAI-compatible API before a scripted model, for tests with the official clients.

use ember::ai::{OpenAiApi, VirtualKey};
use ember::llm::{ChatRequest, ChatResponse, ChatStream, Error as ModelError, ErrorKind};
use ember::llm::{FakeEmbedder, FakeProvider, FakeReply, Provider, Role, Usage};
use ember::prelude::*;
use futures_util::StreamExt as _;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A scripted model that knows how many streams it is sending.
struct Counted {
    fake: FakeProvider,
    streams: Streams,
}

#[derive(Clone, Default)]
struct Streams(Arc<AtomicUsize>);

/// One stream, until it is dropped.
struct Counting(Streams);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Provider for Counted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, ModelError> {
        self.fake.chat(request).await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, ModelError> {
        let events = self.fake.stream(request).await?;
        self.streams.0.fetch_add(1, Ordering::SeqCst);
        let counting = Counting(self.streams.clone());
        Ok(ChatStream::new(events.map(move |event| {
            let _held = &counting;
            event
        })))
    }
}

fn reply(request: &ChatRequest) -> FakeReply {
    let last = request.messages.last().map(|message| (message.role, message.text()));
    match last {
        Some((Role::Tool, _)) => FakeReply::new().text("It is sunny in Paris."),
        Some((_, text)) => match &*text {
            "weather" => FakeReply::new()
                .tool_call("get_weather", json!({"city": "Paris"}))
                .tool_call("get_weather", json!({"city": "Rome"})),
            "json" => FakeReply::new().text(r#"{"name": "Ada", "age": 36}"#),
            "busy" => FakeReply::error(ErrorKind::RateLimit, "busy"),
            "down" => FakeReply::error(ErrorKind::Overloaded, "down"),
            "break" => {
                FakeReply::new().text("one two three").fail_after(2, ErrorKind::Transport, "reset")
            }
            "forever" => FakeReply::new().text("word ".repeat(100_000)).delay(millis(5)),
            "slow" => FakeReply::new().text("one two three four five").delay(millis(20)),
            "think" => FakeReply::new().reasoning("hm hm").text("So."),
            text => FakeReply::new().text(format!("You said: {text}")).usage(Usage::new(7, 5)),
        },
        None => FakeReply::new(),
    }
}

/// How many streams the model is sending.
#[get("/streams")]
async fn streams(streams: Component<Streams>) -> String {
    streams.0.0.load(Ordering::SeqCst).to_string()
}

#[ai_route("/pirate", system = "Talk like a pirate.", openai_model = "pirate")]
async fn pirate(mut conversation: ConversationContext, body: String) -> ember::Result<String> {
    conversation.ask(body).await
}

fn main() -> ember::Result {
    let streams = Streams::default();
    let model = Counted { fake: FakeProvider::new().respond(reply), streams: streams.clone() };
    let keys = [
        VirtualKey::new("test", "sk-test"),
        VirtualKey::new("poor", "sk-poor").requests_per_minute(1),
    ];
    let api = OpenAiApi::new("/v1").keys(keys).models(["scripted"]).embedding_model("words");
    ember::app!()
        .component(streams)
        .client(Client::new(model).model("scripted"))
        .embedder(FakeEmbedder::new(8))
        .openai_api(api)
        .run()
}
