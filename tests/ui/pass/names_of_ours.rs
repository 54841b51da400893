//! What the macro of tools emits shadows nothing of the user's, and knows types by what they are.

#![deny(warnings)]

use ember::prelude::*;
use serde::{Deserialize, Serialize};

/// Text.
#[derive(Deserialize, JsonSchema)]
pub struct Input {
    text: String,
}

/// More text.
#[derive(Serialize)]
pub struct Output {
    text: String,
}

type Fallible<T> = std::result::Result<T, ToolError>;

/// What a tool may reach.
pub struct Db;

/// Reads.
#[tool]
pub async fn arguments(input: Input, result: Option<u8>, db: Component<Db>) -> Fallible<Output> {
    let _ = (result, db);
    Ok(Output { text: input.text })
}

/// Writes.
#[tool]
pub fn arg0(arg0: u8, needs: u8, #[default(1)] variable: u8) -> u8 {
    arg0 + needs + variable
}

/// Fails or not, without a type that has a name.
#[tool]
pub async fn result() -> impl Serialize {
    "yes"
}

fn main() {
    let tools = ember::llm::ToolRegistry::of([
        ember::llm::Tool::from(arguments {}),
        ember::llm::Tool::from(arg0 {}),
        ember::llm::Tool::from(result {}),
    ]);
    assert_eq!(tools.unwrap().iter().len(), 3);
}
