//! What a provider is asked with: a text or a list of messages, and calls without arguments.

use ember::base::PluginDescriptor;
use ember::llm::{
    ChatEvent, ChatRequest, Client, FakeProvider, FakeReply, FinishReason, Message,
    ProviderDescriptor,
};
use ember::prelude::*;

/// What the provider was asked, in each of the four ways.
async fn asked(request: impl Into<ChatRequest>) -> Vec<ChatRequest> {
    let request = request.into();
    let fake = FakeProvider::new().respond(|_| FakeReply::new().text("Well."));
    let client = Client::new(fake.clone());
    assert_eq!(client.ask(request.clone()).await.unwrap(), "Well.");
    assert_eq!(client.complete(request.clone()).await.unwrap().text(), "Well.");
    client.stream(request.clone()).await.unwrap().collect().await.unwrap();
    let mut text = client.stream_text(request).await.unwrap();
    while let Some(piece) = text.next().await {
        piece.unwrap();
    }
    fake.requests()
}

#[tokio::test]
async fn a_text_is_one_message_of_the_user() {
    for request in asked("Why?").await {
        assert_eq!(request.messages, [Message::user("Why?")]);
        assert_eq!(request.model, None, "the provider's default");
    }
}

#[tokio::test]
async fn a_list_of_messages_passes_through_unchanged() {
    let messages = || {
        [
            Message::system("Be brief."),
            Message::user("Why?"),
            Message::assistant("Because."),
            Message::user("Really?"),
        ]
    };
    let requests = asked(messages()).await;
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert_eq!(request.messages, messages());
    }
    for request in asked(ChatRequest::new(messages()).model("m").temperature(0.1)).await {
        assert_eq!((request.model.as_deref(), request.temperature), (Some("m"), Some(0.1)));
    }
}

/// Tells the hour.
#[tool]
async fn hour() -> u8 {
    7
}

fn calls(arguments: &str) -> FakeReply {
    let start = ChatEvent::ToolCallStart {
        index: 0,
        id: "c1".into(),
        name: "hour".into(),
        signature: None,
    };
    let arguments = ChatEvent::ToolCallDelta { index: 0, arguments: arguments.into() };
    FakeReply::new().event(start).event(arguments).finish(FinishReason::ToolCalls)
}

#[tokio::test]
async fn a_call_without_arguments_runs() {
    for arguments in ["", "{}", " "] {
        let fake = FakeProvider::new().respond(move |request| {
            match request.messages.iter().any(|message| message.tool_calls().next().is_some()) {
                true => FakeReply::new().text("Seven."),
                false => calls(arguments),
            }
        });
        let client = Client::new(fake).tools([hour {}]);
        let whole = client.complete("What time?").await.unwrap();
        let folded = client.stream("What time?").await.unwrap().collect().await.unwrap();
        assert_eq!(whole, folded);
        assert!(format!("{:?}", whole.steps[1]).contains("content: \"7\", is_error: false"));
    }
}

/// A plugin may be called what a provider is called.
#[plugin(kind = "provider", name = "openai-of-plugins")]
#[derive(Default)]
struct Namesake;

#[test]
fn plugins_and_providers_do_not_meet() {
    assert!(PluginDescriptor::find("provider", "openai-of-plugins").is_ok());
    assert!(ProviderDescriptor::find("openai-of-plugins").is_err());
    assert!(PluginDescriptor::find("provider", "openai").is_err());
    assert!(ProviderDescriptor::find("openai").is_ok());
}
