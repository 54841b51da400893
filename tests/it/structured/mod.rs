//! Answers that are values of a type: with a fake provider, unary and streamed, and over a socket.

mod asking;
mod schemas;
mod partial;
mod types;

use ember::base::Schema;
use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::adapter::{Adapter as _, Encoded};
use ember::llm::layer::CacheConfig;
use ember::llm::{
    ChatEvent, ChatRequest, Client, Error, ErrorKind, FakeProvider, FakeReply, FinishReason,
    HttpProvider, JsonEvent, JsonMode, PartialJson, ProviderConfig, ResponseFormat, Role,
    Structured, ToolChoice, Usage,
};
use ember::prelude::*;
use ember_tests::{Reply, Seen, Upstream};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A city.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct City {
    name: String,
    inhabitants: u32,
    #[serde(default)]
    twins: Vec<String>,
}

const PARIS: &str = r#"{"name": "Paris", "inhabitants": 2100000, "twins": ["Rome"]}"#;

fn paris() -> City {
    City { name: "Paris".into(), inhabitants: 2_100_000, twins: vec!["Rome".into()] }
}

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

type Asked = (FakeProvider, Client, Result<Structured<City>, Error>);

/// Asks by a script at once and streamed: it must come to the same.
async fn both(script: &[FakeReply], mode: JsonMode) -> Asked {
    let client = || {
        let fake = script.iter().cloned().fold(FakeProvider::new(), FakeProvider::reply);
        let client = Client::builder().provider(fake.clone()).cache(CacheConfig::new());
        (fake, client.build().unwrap())
    };
    let (unary, streamed) = (client(), client());
    let ask = |client: &Client| client.prompt("The capital?").json_mode(mode);
    let whole = ask(&unary.1).json_response::<City>().await;
    let folded = ask(&streamed.1).json_stream::<City>().await.unwrap().response().await;
    match (&whole, &folded) {
        (Ok(whole), Ok(folded)) => assert_eq!(whole, folded),
        (Err(whole), Err(folded)) => {
            assert_eq!((whole.kind(), whole.message()), (folded.kind(), folded.message()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(unary.0.requests(), streamed.0.requests());
    assert_eq!(unary.1.usage().total_requests(), streamed.1.usage().total_requests());
    (unary.0, unary.1, whole)
}

fn says(text: &str) -> FakeReply {
    FakeReply::new().text(text).usage(Usage::new(10, 5))
}

/// A number.
#[derive(Deserialize, JsonSchema)]
struct Sum {
    value: i64,
}

/// Tells whether a value may become another by growing at its end.
fn is_prefix(start: &Value, whole: &Value) -> bool {
    match (start, whole) {
        (Value::String(start), Value::String(whole)) => whole.starts_with(start.as_str()),
        (Value::Array(start), Value::Array(whole)) => match start.split_last() {
            None => true,
            Some((last, before)) => {
                start.len() <= whole.len()
                    && before == &whole[..before.len()]
                    && is_prefix(last, &whole[before.len()])
            }
        },
        (Value::Object(start), Value::Object(whole)) => {
            let mut pairs = start.iter().zip(whole).enumerate();
            start.len() <= whole.len()
                && pairs.all(|(index, ((name, value), (whole_name, whole_value)))| {
                    let is_last = index + 1 == start.len();
                    name == whole_name
                        && (value == whole_value || is_last && is_prefix(value, whole_value))
                })
        }
        _ => start == whole,
    }
}
