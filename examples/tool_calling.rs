//! Functions that a model may call: described by their types, run at the same time.
//!
//! `cargo run --example tool_calling` needs no key and no network: a scripted model answers. With
//! `OPENAI_API_KEY` set, or `LLM_PROVIDER` and its key, a real one does.

use ember::llm::{ChatRequest, ChatResponse, Client, Error, FakeProvider, FakeReply, Part, Role};
use ember::{Env, ToolError, tool};

/// The height of a mountain in metres.
#[tool]
async fn height(
    /// Its name, for example "Eiger".
    mountain: String,
) -> Result<u32, ToolError> {
    match mountain.as_str() {
        "Eiger" => Ok(3_967),
        "Mönch" => Ok(4_110),
        // The model reads this, and can try another name.
        _ => Err(ToolError::new(format!("there is no mountain `{mountain}` here"))),
    }
}

/// The difference of two numbers.
#[tool]
async fn difference(a: i64, b: i64) -> i64 {
    a - b
}

/// Asks, and lets the tools run until there is an answer.
async fn ask(client: &Client) -> Result<ChatResponse, Error> {
    let question = "How much higher is the Mönch than the Eiger?";
    client.prompt(question).tool(height {}).tool(difference {}).send().await
}

/// What each tool was asked, and what it said.
fn log(response: &ChatResponse) -> Vec<String> {
    let parts = response.steps.iter().flat_map(|message| message.content.iter());
    parts
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(format!("{}({})", call.name, call.arguments)),
            Part::ToolResult(result) => Some(format!("{} -> {}", result.name, result.content)),
            _ => None,
        })
        .collect()
}

/// A model that looks up both heights in one turn, and has them subtracted in the next.
fn offline() -> FakeProvider {
    FakeProvider::new().respond(|request| {
        let results = results(request);
        let numbers: Vec<i64> = results.iter().filter_map(|text| text.parse().ok()).collect();
        let call = |name: &str, arguments: &str| {
            let arguments = ember::serde_json::from_str(arguments).unwrap_or_default();
            FakeReply::new().tool_call(name, arguments)
        };
        match numbers[..] {
            [_, _, metres] => FakeReply::new().text(format!("The Mönch is {metres} m higher.")),
            [a, b] => call("difference", &format!(r#"{{"a": {a}, "b": {b}}}"#)),
            _ => {
                let both = ["Mönch", "Eiger"];
                both.into_iter().fold(FakeReply::new(), |reply, name| {
                    reply.tool_call("height", [("mountain", name)].into_iter().collect())
                })
            }
        }
    })
}

/// What the tools have said so far.
fn results(request: &ChatRequest) -> Vec<String> {
    let tools = request.messages.iter().filter(|message| message.role == Role::Tool);
    tools
        .flat_map(|message| message.content.iter())
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.content.clone()),
            _ => None,
        })
        .collect()
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
    let response = ask(&client()?).await?;
    for line in log(&response) {
        println!("{line}");
    }
    println!("{}", response.into_text()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[ember::test]
    async fn both_heights_are_looked_up_in_one_turn() {
        let fake = offline();
        let response = ask(&Client::new(fake.clone())).await.unwrap();
        assert_eq!(response.text(), "The Mönch is 143 m higher.");
        assert_eq!(fake.requests().len(), 3);
        let log = log(&response);
        assert_eq!(log[2..4], ["height -> 4110", "height -> 3967"]);
        assert_eq!(log.last().unwrap(), "difference -> 143");
    }

    #[ember::test]
    async fn a_mountain_that_is_not_there_is_told_to_the_model() {
        let calls = [("mountain", "Everest")].into_iter().collect();
        let fake = FakeProvider::new()
            .reply(FakeReply::new().tool_call("height", calls))
            .text("I do not know.");
        let response = ask(&Client::new(fake)).await.unwrap();
        assert!(log(&response)[1].contains("there is no mountain `Everest`"));
    }
}
