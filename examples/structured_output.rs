//! An answer that is a value of a type, whole and as it comes into being.
//!
//! `cargo run --example structured_output` needs no key and no network: a scripted model answers.
//! With `OPENAI_API_KEY` set, or `LLM_PROVIDER` and its key, a real one does.

use ember::llm::{Client, Error, ErrorKind, FakeProvider, FakeReply, JsonEvent};
use ember::{Env, JsonSchema};
use serde::Deserialize;

/// A recipe.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Recipe {
    /// What it is called.
    title: String,
    /// How long it takes, in minutes.
    minutes: u32,
    /// What is done, in order.
    steps: Vec<String>,
}

/// The recipe of a dish. The type is the question's second half: its schema goes to the model, and
/// an answer that does not fit it is asked for once more.
async fn recipe(client: &Client, dish: &str) -> Result<Recipe, Error> {
    client.prompt(format!("A recipe for {dish}.")).system("You are a cook.").json().await
}

/// The same, shown while it comes into being.
async fn recipe_as_it_comes(client: &Client, dish: &str) -> Result<Recipe, Error> {
    let prompt = client.prompt(format!("A recipe for {dish}."));
    let mut stream = prompt.json_stream::<Recipe>().await?;
    while let Some(event) = stream.next().await {
        match event? {
            JsonEvent::Partial(value) => println!("so far: {value}"),
            JsonEvent::Again(mistakes) => println!("not so: {mistakes:?}"),
            JsonEvent::Done(recipe) => return Ok(recipe.value),
            _ => {}
        }
    }
    Err(Error::new(ErrorKind::Truncated, "the stream ended before its value"))
}

/// A model that forgets the time at first.
fn offline() -> FakeProvider {
    FakeProvider::new()
        .reply(FakeReply::new().text(r#"{"title": "Toast", "steps": ["Toast the bread."]}"#))
        .text(r#"{"title": "Toast", "minutes": 3, "steps": ["Toast the bread.", "Eat it."]}"#)
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
    println!("{:#?}", recipe(&client, "toast").await?);
    println!("{:#?}", recipe_as_it_comes(&client, "toast").await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[ember::test]
    async fn a_recipe_is_complete_whichever_way_it_comes() {
        let fake = offline();
        let client = Client::new(fake.clone());
        let whole = recipe(&client, "toast").await.unwrap();
        assert_eq!((whole.minutes, whole.steps.len()), (3, 2));
        assert_eq!(fake.requests().len(), 2, "the first lacked the time");
        assert_eq!(recipe_as_it_comes(&client, "toast").await.unwrap(), whole);
    }
}
