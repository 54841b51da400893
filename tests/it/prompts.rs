//! Prompts: the macros, and what is found of templates at the start.

use ember::llm::{Client, FakeProvider};
use ember::prelude::*;
use ember::testing::TestClient;
use ember::{PromptTemplate, TemplateVar, prompt_file};

const HELP: fn() -> PromptTemplate = || {
    PromptTemplate::new("You help with {topic}, in {language}.")
        .var(TemplateVar::new("language").default("English"))
};

#[ai_route("/help/{topic}", system = HELP())]
async fn help(
    topic: String,
    mut conversation: ConversationContext,
    question: String,
) -> ember::Result<String> {
    conversation.ask(prompt!("{question} ({topic})")).await
}

mod unfilled {
    use super::*;

    #[ai_route("/unfilled", system = PromptTemplate::new("You are {mood}."))]
    async fn unfilled(conversation: ConversationContext) -> String {
        conversation.id().to_owned()
    }
}

mod unread {
    use super::*;

    #[ai_route("/unread", system = PromptTemplate::new("You are {"))]
    async fn unread(conversation: ConversationContext) -> String {
        conversation.id().to_owned()
    }
}

mod polite {
    use super::*;

    #[ai_route("/polite/{name}", system = PromptTemplate::jinja("Greet {{ name }} {{ way | default('kindly') }}."))]
    async fn polite(
        name: String,
        mut conversation: ConversationContext,
        question: String,
    ) -> ember::Result<String> {
        conversation.ask(format!("{question} ({name})")).await
    }
}

mod impolite {
    use super::*;

    #[ai_route("/impolite", system = PromptTemplate::jinja("Greet {{ name }} {{ way | default('kindly') }}."))]
    async fn impolite(conversation: ConversationContext) -> String {
        conversation.id().to_owned()
    }
}

fn client() -> Client {
    Client::new(FakeProvider::new().text("Yes."))
}

#[tokio::test]
async fn a_path_and_defaults_fill_the_prompt_of_a_route() {
    let fake = FakeProvider::new().text("Yes.");
    let app = Ember::new().client(Client::new(fake.clone())).route(help {}).build().unwrap();
    let app = TestClient::new(app);
    let answer = app.post("/help/ships").body("Why {topic}?").send().await;
    assert_eq!(answer.text().await, "Yes.");
    let messages = fake.requests().pop().unwrap().messages;
    let texts: Vec<_> = messages.iter().map(|message| message.text()).collect();
    assert_eq!(texts, ["You help with ships, in English.", "Why {topic}? (ships)"]);
}

#[tokio::test]
async fn a_prompt_of_a_route_needs_what_it_uses_and_no_more() {
    let fake = FakeProvider::new().text("Yes.");
    let app = Ember::in_module("it::prompts::polite").client(Client::new(fake.clone()));
    let app = TestClient::new(app.build().unwrap());
    assert_eq!(app.post("/polite/Ada").body("Why?").send().await.text().await, "Yes.");
    assert_eq!(fake.requests()[0].messages[0].text(), "Greet Ada kindly.");
}

#[test]
fn a_prompt_that_nothing_fills_is_found_at_the_start() {
    for (module, reason) in [
        ("unfilled", "the variable `mood` has no value"),
        ("unread", "line 1, column 9: a `{` that is never closed"),
        ("impolite", "line 1, column 10: the variable `name` has no value"),
    ] {
        let module = format!("it::prompts::{module}");
        let error = Ember::in_module(module).client(client()).build().unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("prompts.rs"), "{error}");
    }
    let app = Ember::new().component(PromptTemplate::new("}"));
    assert!(app.build().unwrap_err().to_string().contains("closes nothing"));
}

#[test]
fn macros_capture_and_take_values() {
    let question = "Why {n}?";
    let text = prompt!("{n} words for \"{question}\" {{and}} {question}\n", n = 10 + 10);
    assert_eq!(text, "20 words for \"Why {n}?\" {and} Why {n}?\n");
    assert_eq!(prompt!("no variables"), "no variables");
    assert_eq!(prompt!(r#"raw "{question}""#), "raw \"Why {n}?\"");
    let from_file = prompt_file!("fixtures/prompts/support.md", shop = "Ada's");
    assert_eq!(from_file, "You help customers of Ada's.\n\nThey ask: Why {n}?\n");
}

macro_rules! within {
    ($value:expr) => {{
        let hidden = $value;
        prompt!("it is {hidden}")
    }};
}

#[test]
fn macros_can_be_used_within_others() {
    assert_eq!(within!(7), "it is 7");
}
