//! Conversations that are remembered, each by its id: `cargo run --example sessions`.
//!
//! A session sends along what was said before, and remembers a turn when its answer is complete.
//! It needs no network: a scripted model answers.

use ember::llm::{Error, FakeProvider, FakeReply, Role, Session};
use ember::prelude::*;
use std::io::Write as _;

/// A model with little more than a memory for names.
fn model() -> FakeProvider {
    FakeProvider::new().respond(|request| {
        let said = request.messages.iter().filter(|message| message.role == Role::User);
        let said: Vec<_> = said.map(|message| message.text().into_owned()).collect();
        let name = said.iter().rev().find_map(|text| text.strip_prefix("My name is "));
        match (said.last().map(String::as_str), name) {
            (Some("What is my name?"), Some(name)) => {
                FakeReply::new().text(format!("Your name is {name}."))
            }
            (Some("What is my name?"), None) => FakeReply::new().text("You have not told me."),
            (_, Some(name)) => FakeReply::new().text(format!("Nice to meet you, {name}.")),
            _ => FakeReply::new().text("Hello."),
        }
    })
}

/// Says something, and prints the answer as it arrives.
async fn say(session: &Session, text: &str) -> Result<String, Error> {
    print!("{}: {text}\n> ", session.id());
    let mut answer = String::new();
    let mut pieces = session.stream_text(text).await?;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        print!("{piece}");
        // A terminal shows lines; the pieces are to be seen as they come.
        let _ = std::io::stdout().flush();
        answer += &piece;
    }
    println!();
    Ok(answer)
}

/// Talks with two people, each of whom has a conversation of their own.
async fn talk(client: &Client) -> Result<Vec<String>, Error> {
    let ada = client.session("ada").system("You are friendly.");
    let bob = client.session("bob").system("You are friendly.");
    let mut answers = vec![say(&ada, "My name is Ada").await?];
    answers.push(say(&bob, "What is my name?").await?);
    // Another handle of the same id goes on with the same conversation.
    answers.push(say(&client.session("ada"), "What is my name?").await?);
    Ok(answers)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ember::Result {
    let client = Client::new(model());
    talk(&client).await?;
    println!("{} messages are remembered.", client.session("ada").history().await?.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[ember::test]
    async fn each_conversation_is_remembered_by_itself() {
        let client = Client::new(model());
        let answers = talk(&client).await.unwrap();
        assert_eq!(
            answers,
            ["Nice to meet you, Ada.", "You have not told me.", "Your name is Ada."]
        );
        assert_eq!(client.session("ada").history().await.unwrap().len(), 5);
        client.session("ada").clear().await.unwrap();
        let left = client.session("ada").history().await.unwrap();
        assert_eq!((left.len(), left[0].role), (1, Role::System));
        assert_eq!(say(&client.session("ada"), "What is my name?").await.unwrap(), answers[1]);
    }
}
