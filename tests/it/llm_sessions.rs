//! Conversations with a client: what is remembered, and what is not.

use ember::llm::tool::Tool;
use ember::llm::{
    ChatEvent, ChatRequest, Client, Error, ErrorKind, FakeProvider, FakeReply, FinishReason,
    History, MemorySessionStore, Message, Role, SessionChange, SessionQuery, SessionStore,
    SessionSummary, Sessions, ToolResult,
};
use ember::prelude::*;
use futures_util::future::{join_all, poll_immediate};
use serde_json::json;
use std::pin::pin;
use tokio::task::yield_now;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Both ways of taking a turn; the text of the answer.
#[derive(Clone, Copy, Debug)]
enum Way {
    Unary,
    Streamed,
}

const WAYS: [Way; 2] = [Way::Unary, Way::Streamed];

impl Way {
    async fn ask(
        self,
        session: &ember::llm::Session,
        request: impl Into<ChatRequest>,
    ) -> Result<String, Error> {
        match self {
            Self::Unary => session.ask(request).await,
            Self::Streamed => {
                let mut text = String::new();
                let mut pieces = session.stream_text(request).await?;
                while let Some(piece) = pieces.next().await {
                    text += &piece?;
                }
                Ok(text)
            }
        }
    }
}

/// A model that tells what it was sent.
fn parrot() -> FakeProvider {
    FakeProvider::new().respond(|request| {
        let said: Vec<_> = request.messages.iter().map(|message| message.text()).collect();
        FakeReply::new().text(said.join("|"))
    })
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.text().into_owned()).collect()
}

#[tokio::test]
async fn a_turn_sees_the_turns_before_and_the_history_grows() {
    for way in WAYS {
        let session = Client::new(parrot()).session("ada");
        assert_eq!(way.ask(&session, "a").await.unwrap(), "a");
        assert_eq!(session.history().await.unwrap().len(), 2);
        assert_eq!(way.ask(&session, "b").await.unwrap(), "a|a|b");
        assert_eq!(texts(&session.history().await.unwrap()), ["a", "a", "b", "a|a|b"]);
    }
}

#[tokio::test]
async fn an_id_is_a_conversation_and_another_is_another() {
    for way in WAYS {
        let client = Client::new(parrot());
        way.ask(&client.session("ada"), "a").await.unwrap();
        assert_eq!(way.ask(&client.session("ada"), "b").await.unwrap(), "a|a|b");
        assert_eq!(way.ask(&client.clone().session("ada"), "c").await.unwrap(), "a|a|b|a|a|b|c");
        assert_eq!(way.ask(&client.session("bob"), "d").await.unwrap(), "d");
        assert_eq!(client.session("bob").id(), "bob");
    }
}

#[tokio::test]
async fn the_system_message_comes_first_and_survives_a_clear() {
    for way in WAYS {
        let session = Client::new(parrot()).session("ada").system("Be kind.");
        assert_eq!(way.ask(&session, "a").await.unwrap(), "Be kind.|a");
        assert_eq!(way.ask(&session, "b").await.unwrap(), "Be kind.|a|Be kind.|a|b");
        session.clear().await.unwrap();
        assert_eq!(texts(&session.history().await.unwrap()), ["Be kind."]);
        assert_eq!(way.ask(&session, "c").await.unwrap(), "Be kind.|c");
    }
}

#[tokio::test]
async fn a_handle_without_instructions_finds_those_of_the_conversation() {
    for way in WAYS {
        let client = Client::new(parrot());
        way.ask(&client.session("ada").system("Be kind."), "a").await.unwrap();
        client.session("ada").clear().await.unwrap();
        assert_eq!(way.ask(&client.session("ada"), "b").await.unwrap(), "Be kind.|b");
        let other = client.session("ada").system("Be brief.");
        assert_eq!(way.ask(&other, "c").await.unwrap(), "Be brief.|b|Be kind.|b|c");
        let asked = ChatRequest::from("d").system("Be exact.");
        way.ask(&client.session("ada"), asked).await.unwrap();
        assert_eq!(client.session("ada").history().await.unwrap()[0].text(), "Be exact.");
    }
}

#[tokio::test]
async fn a_clear_without_instructions_leaves_nothing() {
    for way in WAYS {
        let session = Client::new(parrot()).session("ada");
        session.clear().await.unwrap();
        way.ask(&session, "a").await.unwrap();
        session.clear().await.unwrap();
        assert_eq!(session.history().await.unwrap(), []);
        assert_eq!(way.ask(&session, "b").await.unwrap(), "b");
    }
}

#[tokio::test]
async fn tools_run_are_stored_and_are_not_shown() {
    for way in WAYS {
        let fake = FakeProvider::new()
            .reply(FakeReply::new().text("Let me see.").tool_call("add", json!({"a": 1, "b": 2})))
            .reply(FakeReply::new().text("It is 3."))
            .reply(FakeReply::new().text("Still 3."));
        let session = Client::new(fake.clone()).tools([add {}]).session("ada").system("Be kind.");
        way.ask(&session, "1 + 2?").await.unwrap();
        let history = session.history().await.unwrap();
        assert_eq!(texts(&history), ["Be kind.", "1 + 2?", "It is 3."]);
        let roles: Vec<_> =
            session.history_with_tools().await.unwrap().iter().map(|told| told.role).collect();
        use Role::{Assistant, System, Tool, User};
        assert_eq!(roles, [System, User, Assistant, Tool, Assistant], "{way:?}");
        way.ask(&session, "Sure?").await.unwrap();
        let sent = fake.requests().pop().unwrap().messages;
        assert_eq!(texts(&sent), ["Be kind.", "1 + 2?", "It is 3.", "Sure?"]);
    }
}

#[tokio::test]
async fn results_of_tools_that_ran_elsewhere_reach_the_model() {
    for way in WAYS {
        let fake = FakeProvider::new()
            .reply(FakeReply::new().text("Hello."))
            .reply(FakeReply::new().tool_call("tide", json!({})))
            .reply(FakeReply::new().text("High."))
            .reply(FakeReply::new().text("Yes."));
        let session = Client::new(fake.clone()).session("ada");
        way.ask(&session, "Hi").await.unwrap();
        let tide = Tool::declared("tide", "Tells the tide.", json!({"type": "object"})).unwrap();
        let question = Message::user("The tide?");
        let asked = ChatRequest::new([question.clone()]).tool(tide.clone());
        let called = session.complete(asked).await.unwrap().message;
        let result = ToolResult::new(called.tool_calls().next().unwrap(), "4 m");
        let new = [question, called, Message::tool_results([result]), Message::system("Be brief.")];
        let request = ChatRequest::new(new.clone()).tool(tide);
        assert_eq!(way.ask(&session, request).await.unwrap(), "High.");
        let sent = fake.requests().pop().unwrap().messages;
        assert_eq!(texts(&sent[..3]), ["Be brief.", "Hi", "Hello."], "{way:?}");
        assert_eq!(sent[3..], new[..3]);
        way.ask(&session, "Sure?").await.unwrap();
        let sent = fake.requests().pop().unwrap().messages;
        let said = ["Be brief.", "Hi", "Hello.", "The tide?", "High.", "Sure?"];
        assert_eq!(texts(&sent), said, "what tools said is not told again");
        assert_eq!(session.history_with_tools().await.unwrap().len(), 9);
    }
}

#[tokio::test]
async fn a_turn_that_fails_leaves_nothing() {
    let faults = [
        FakeReply::error(ErrorKind::Server, "down"),
        FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "reset"),
        FakeReply::new().text("a b c").cut_after(1),
        FakeReply::new().text("a b").finish(FinishReason::Length),
        FakeReply::new().text("").finish(FinishReason::ContentFilter),
        FakeReply::new().event(ChatEvent::Refusal("No.".into())),
    ];
    for (way, fault) in WAYS.iter().flat_map(|way| faults.iter().map(move |fault| (way, fault))) {
        let fake = parrot().reply(FakeReply::new().text("Hello")).reply(fault.clone());
        let session = Client::new(fake).session("ada").system("Be kind.");
        way.ask(&session, "Hi").await.unwrap();
        way.ask(&session, "lost").await.unwrap_err();
        assert_eq!(texts(&session.history().await.unwrap()), ["Be kind.", "Hi", "Hello"]);
        assert_eq!(way.ask(&session, "Again").await.unwrap(), "Be kind.|Hi|Hello|Again");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_returned_and_not_remembered() {
    let reply = || FakeReply::new().text("a b").finish(FinishReason::Length);
    let session = Client::new(FakeProvider::new().reply(reply()).reply(reply())).session("ada");
    let whole = session.complete("x").await.unwrap();
    let folded = session.stream("x").await.unwrap().collect().await.unwrap();
    assert_eq!((whole.text(), folded.text()), ("a b".into(), "a b".into()));
    assert_eq!(session.history().await.unwrap(), []);
}

#[tokio::test]
async fn the_conversation_outlives_its_client() {
    for way in WAYS {
        let sessions = Sessions::new(MemorySessionStore::new());
        let client = || {
            let builder = Client::builder().provider(parrot());
            builder.sessions(sessions.clone()).build().unwrap()
        };
        way.ask(&client().session("ada"), "a").await.unwrap();
        assert_eq!(way.ask(&client().session("ada"), "b").await.unwrap(), "a|a|b");
    }
}

#[tokio::test]
async fn messages_are_added() {
    let session = Client::new(parrot()).session("ada");
    session.add_message(Message::user("I am Ada.")).await.unwrap();
    session.add_message(Message::assistant("Welcome.")).await.unwrap();
    session.add_message(Message::system("Be kind.")).await.unwrap();
    for way in WAYS {
        let answer = way.ask(&session, "Hi").await.unwrap();
        assert!(answer.starts_with("Be kind.|I am Ada.|Welcome."), "{answer}");
    }
}

/// A store of somebody else, which takes its time with everything.
struct Slow(MemorySessionStore);

impl SessionStore for Slow {
    type Lock = <MemorySessionStore as SessionStore>::Lock;

    async fn load(&self, id: &str) -> ember::Result<History> {
        yield_now().await;
        self.0.load(id).await
    }

    async fn write(&self, id: &str, version: u64, change: SessionChange) -> ember::Result<u64> {
        yield_now().await;
        let version = self.0.write(id, version, change).await;
        yield_now().await;
        version
    }

    async fn delete(&self, id: &str) -> ember::Result<bool> {
        self.0.delete(id).await
    }

    async fn list(&self, query: SessionQuery) -> ember::Result<Vec<SessionSummary>> {
        self.0.list(query).await
    }

    async fn exists(&self, id: &str) -> ember::Result<bool> {
        self.0.exists(id).await
    }

    async fn lock(&self, id: &str) -> ember::Result<Self::Lock> {
        yield_now().await;
        self.0.lock(id).await
    }
}

#[tokio::test]
async fn a_turn_that_is_dropped_anywhere_is_whole_or_nothing() {
    for way in WAYS {
        let (mut lost, mut kept) = (0, 0);
        for polls in 0.. {
            let client =
                Client::new(parrot()).tools([add {}]).sessions(Slow(MemorySessionStore::new()));
            let session = client.session("ada").system("Be kind.");
            let done = {
                let mut turn = pin!(way.ask(&session, "one two three"));
                let mut done = false;
                for _ in 0..polls {
                    done = done || poll_immediate(turn.as_mut()).await.is_some();
                }
                done
            };
            match texts(&session.history().await.unwrap()).len() {
                0 => lost += 1,
                length => {
                    assert_eq!(length, 3, "{way:?}, dropped after {polls} polls");
                    kept += 1;
                }
            }
            // The conversation is free at once.
            session.ask("next").await.unwrap();
            if done {
                break;
            }
        }
        assert!(lost > 2 && kept > 0, "{way:?}: {lost} lost, {kept} kept");
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_after_any_event_leaves_nothing() {
    let script = || {
        FakeProvider::new()
            .reply(FakeReply::new().text("Wait.").tool_call("add", json!({"a": 1, "b": 2})))
            .reply(FakeReply::new().text("It is 3."))
            .text("Fine.")
    };
    for events in 0.. {
        let session = Client::new(script()).tools([add {}]).session("ada");
        let mut stream = session.stream("1 + 2?").await.unwrap();
        let mut ended = false;
        for _ in 0..events {
            ended = matches!(stream.next().await, Some(Ok(ChatEvent::Finish(_))));
        }
        drop(stream);
        let kept = if ended { vec!["1 + 2?".to_owned(), "It is 3.".to_owned()] } else { vec![] };
        assert_eq!(texts(&session.history().await.unwrap()), kept, "after {events} events");
        session.ask("Next").await.unwrap();
        if ended {
            assert!(events > 10, "{events} events");
            break;
        }
    }
}

#[tokio::test]
async fn a_thousand_turns_at_once_follow_one_another() {
    let client = Client::new(parrot_of_length());
    let turns = (0..1_000).map(|number| {
        let (session, way) = (client.session("ada"), WAYS[number % 2]);
        tokio::spawn(async move { way.ask(&session, format!("q{number}")).await })
    });
    for turn in join_all(turns).await {
        turn.unwrap().unwrap();
    }
    let history = client.session("ada").history().await.unwrap();
    assert_eq!(history.len(), 2_000);
    let mut asked: Vec<_> = Vec::new();
    for (index, pair) in history.chunks(2).enumerate() {
        assert_eq!((pair[0].role, pair[1].role), (Role::User, Role::Assistant));
        assert_eq!(pair[1].text(), format!("{} after {}", pair[0].text(), 2 * index));
        asked.push(pair[0].text().into_owned());
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 1_000);
}

fn parrot_of_length() -> FakeProvider {
    FakeProvider::new().respond(|request| {
        let (last, before) = request.messages.split_last().unwrap();
        FakeReply::new().text(format!("{} after {}", last.text(), before.len()))
    })
}

#[tokio::test]
async fn a_turn_waits_only_so_long() {
    let fake = FakeProvider::new().reply(FakeReply::new().text("a b").hang_after(1)).text("b");
    let client = Client::new(fake);
    let session = client.session("ada").patience(millis(1));
    let first = session.stream("a").await.unwrap();
    for way in WAYS {
        let error = way.ask(&session, "b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Session);
        let public = ember::Error::from(error);
        assert_eq!(public.status(), 409);
        assert!(public.message().contains("has not ended"), "{}", public.message());
    }
    drop(first);
    assert_eq!(session.ask("b").await.unwrap(), "b");
}

#[tokio::test]
async fn what_the_store_cannot_keep_is_an_error_of_the_turn() {
    for way in WAYS {
        let client = Client::new(parrot()).sessions(MemorySessionStore::new().max_bytes(1_000));
        let error = way.ask(&client.session("ada"), "x".repeat(2_000)).await.unwrap_err();
        assert_eq!(
            (error.kind(), ember::Error::from(error).status().as_u16()),
            (ErrorKind::Session, 413)
        );
        assert_eq!(client.session("ada").history().await.unwrap(), []);
    }
}
