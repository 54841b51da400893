//! The model that answers when none is configured: a few rules instead of a network.

use ember::llm::{ChatRequest, FakeProvider, FakeReply, Message, Part};
use ember::prelude::*;

/// A model that knows names and the weather.
pub(crate) fn model() -> FakeProvider {
    FakeProvider::new().respond(|request| reply(request).delay(millis(40)))
}

fn reply(request: &ChatRequest) -> FakeReply {
    let Some(last) = request.messages.last() else {
        return FakeReply::new().text("Hello.");
    };
    if let Some(Part::ToolResult(result)) = last.content.first() {
        return FakeReply::new().text(format!("The weather service says: {}", result.content));
    }
    let question = last.text();
    let words: Vec<_> = question.split_whitespace().map(trimmed).collect();
    if question.to_lowercase().contains("weather") {
        let city = after(&words, "in").unwrap_or("Paris");
        let arguments = [("city", city)].into_iter().collect();
        return FakeReply::new().text("Let me look. ").tool_call("get_weather", arguments);
    }
    if let Some(name) = after(&words, "is").filter(|_| !question.contains('?')) {
        return FakeReply::new().text(format!("Nice to meet you, {name}."));
    }
    if question.to_lowercase().contains("my name") {
        return FakeReply::new().text(match known_name(&request.messages) {
            Some(name) => format!("Your name is {name}."),
            None => "You have not told me.".to_owned(),
        });
    }
    FakeReply::new().text(format!("You said: {question}"))
}

/// The name that the user has given earlier in the conversation.
fn known_name(messages: &[Message]) -> Option<String> {
    let from_user = messages.iter().filter(|message| message.role == Role::User);
    from_user.rev().find_map(|message| {
        let text = message.text();
        let words: Vec<_> = text.split_whitespace().map(trimmed).collect();
        after(&words, "is").filter(|_| !text.contains('?')).map(str::to_owned)
    })
}

fn after<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    let place = words.iter().position(|known| *known == word)?;
    words.get(place + 1).copied()
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|char: char| char.is_ascii_punctuation())
}
