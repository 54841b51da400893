//! What two questions must have in common before their meaning is compared.

use crate::llm::chat::ChatRequest;
use crate::llm::fingerprint::fingerprint;
use crate::llm::message::{Message, Part, Role};
use serde_json::json;
use std::borrow::Cow;

/// Who asks, as far as answers are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tenant {
    /// The program itself.
    Program,
    /// All callers.
    Everyone,
    /// All callers that are not known.
    Anonymous,
    /// One caller.
    Caller(String),
}

/// Where a question belongs.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// All but the last message: tenant, provider, model, instructions, history, tools, settings.
    pub(super) space: String,
    /// The whole request.
    pub(super) exact: String,
    /// The last message, where it is text alone, and can be compared by its meaning.
    pub(super) question: Option<String>,
}

impl Key {
    /// `None` where the request does not end in a question of the user.
    pub(super) fn of(
        tenant: &Tenant,
        provider: &str,
        model: Option<&str>,
        request: &ChatRequest,
    ) -> Option<Self> {
        let (last, before) = request.messages.split_last()?;
        if last.role != Role::User {
            return None;
        }
        let tenant = match tenant {
            Tenant::Program => json!(["program"]),
            Tenant::Everyone => json!(["everyone"]),
            Tenant::Anonymous => json!(["anonymous"]),
            Tenant::Caller(id) => json!(["caller", id]),
        };
        let asked = json!([tenant, provider, model]).to_string();
        let space = fingerprint(&asked, request, before);
        let exact = fingerprint(&asked, request, &request.messages);
        Some(Self { space, exact, question: text_of(last).map(Cow::into_owned) })
    }
}

/// The text of a message that is nothing else.
fn text_of(message: &Message) -> Option<Cow<'_, str>> {
    let is_text = |part: &Part| matches!(part, Part::Text(_));
    let text = message.text();
    (message.content.iter().all(is_text) && !text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::message::Media;

    fn key(request: impl Into<ChatRequest>) -> Key {
        Key::of(&Tenant::Program, "p", Some("m"), &request.into()).unwrap()
    }

    #[test]
    fn all_but_the_last_message_makes_the_space() {
        let (a, b) = (key("a"), key("b"));
        assert!(a.space == b.space && a.exact != b.exact);
        assert_eq!(a.question.as_deref(), Some("a"));
        let request = ChatRequest::from("a");
        let spaces = [
            a.space.clone(),
            key(request.clone().system("x")).space,
            key(request.clone().temperature(0.5)).space,
            key([Message::user("z"), Message::assistant("y"), Message::user("a")]).space,
            key([Message::user("w"), Message::assistant("y"), Message::user("a")]).space,
            Key::of(&Tenant::Program, "q", Some("m"), &request).unwrap().space,
            Key::of(&Tenant::Program, "p", Some("n"), &request).unwrap().space,
            Key::of(&Tenant::Everyone, "p", Some("m"), &request).unwrap().space,
            Key::of(&Tenant::Anonymous, "p", Some("m"), &request).unwrap().space,
            Key::of(&Tenant::Caller("anonymous".into()), "p", Some("m"), &request).unwrap().space,
            Key::of(&Tenant::Caller("b".into()), "p", Some("m"), &request).unwrap().space,
        ];
        let different: std::collections::HashSet<_> = spaces.iter().collect();
        assert_eq!(different.len(), spaces.len());
    }

    #[test]
    fn what_is_no_text_is_compared_as_a_whole() {
        let image = Part::Media(Media::image_url("https://example.com/a.png"));
        let seen = key([Message::new(Role::User, [Part::text("What is it?"), image])]);
        assert_eq!(seen.question, None);
        assert_eq!(key(" ").question, None);
        let none = |messages: Vec<Message>| {
            Key::of(&Tenant::Program, "p", None, &messages.into()).is_none()
        };
        assert!(none(vec![]) && none(vec![Message::user("a"), Message::assistant("b")]));
    }
}
