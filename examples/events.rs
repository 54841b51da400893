//! What happens in a client, told to whoever wants to know.
//!
//! `cargo run --example events` needs no key and no network: a scripted model answers. With
//! `OPENAI_API_KEY` set, or `LLM_PROVIDER` and its key, a real one does.

use ember::llm::events::{RequestComplete, RequestError, RequestStart, ToolComplete, ToolFailed};
use ember::llm::{Client, Error, FakeProvider, FakeReply};
use ember::{Env, ToolError, tool};
use std::sync::{Arc, Mutex, PoisonError};

/// What has happened, line by line.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Notes what happens in a client. The type of the argument says which moment is meant.
fn watch(client: &Client) -> Journal {
    let journal = Journal::default();
    let at = journal.clone();
    client.on(move |event: &RequestStart| {
        at.note(format!("asked with {} messages", event.request.messages.len()));
    });
    let at = journal.clone();
    client.on(move |event: &RequestError| at.note(format!("no answer: {}", event.error)));
    let at = journal.clone();
    client.on(move |event: &ToolComplete| {
        at.note(format!("{} said {}", event.call.name, event.result.content));
    });
    let at = journal.clone();
    client.on(move |event: &ToolFailed| {
        at.note(format!("{} failed: {}", event.call.name, event.result.content));
    });
    // An async subscriber is awaited; here it could write to a database.
    let at = journal.clone();
    client.on_async(move |event: Arc<RequestComplete>| {
        let at = at.clone();
        async move {
            let tokens = event.response.usage.map_or(0, |usage| usage.total());
            at.note(format!("answered with {tokens} tokens"));
        }
    });
    journal
}

/// Waters a plant.
#[tool]
async fn water(
    /// Its name, for example "fern".
    plant: String,
) -> Result<String, ToolError> {
    match plant.as_str() {
        "cactus" => Err(ToolError::new("a cactus wants no water")),
        _ => Ok(format!("the {plant} is wet")),
    }
}

/// A model that waters two plants.
fn offline() -> FakeProvider {
    let plant = |name: &str| [("plant", name)].into_iter().collect();
    FakeProvider::new()
        .reply(FakeReply::new().tool_call("water", plant("fern")))
        .reply(FakeReply::new().tool_call("water", plant("cactus")))
        .text("The fern is watered; the cactus wanted none.")
}

/// The model that the environment names, or the scripted one where it names none.
fn client() -> Result<Client, Error> {
    let env = Env::process();
    match env.var("LLM_PROVIDER").or_else(|| env.var("OPENAI_API_KEY")) {
        Some(_) => Client::from_env(),
        None => Ok(Client::new(offline())),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = client()?;
    let journal = watch(&client);
    let answer = client.prompt("Water the fern and the cactus.").tool(water {}).text().await;
    for line in journal.lines() {
        println!("- {line}");
    }
    println!("{}", answer?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::llm::ErrorKind;

    #[ember::test]
    async fn every_round_and_every_tool_is_told_in_order() {
        let client = Client::new(offline());
        let journal = watch(&client);
        client.prompt("Water the plants.").tool(water {}).text().await.unwrap();
        let lines = journal.lines();
        assert_eq!(lines[0], "asked with 1 messages");
        assert!(lines[1].starts_with("answered with"), "{lines:?}");
        assert!(lines[2].starts_with("water said") && lines[2].contains("the fern is wet"));
        assert_eq!(lines[5], "water failed: a cactus wants no water");
        assert_eq!(lines.len(), 8);
    }

    #[ember::test]
    async fn a_failure_is_told_and_still_returned() {
        let client = Client::new(
            FakeProvider::new().reply(FakeReply::error(ErrorKind::Auth, "no such key")),
        );
        let journal = watch(&client);
        assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::Auth);
        assert!(journal.lines()[1].contains("no such key"));
    }
}
