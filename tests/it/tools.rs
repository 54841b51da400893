//! Annotated tools: their schemas, and what becomes of a model's arguments.

use ember::llm::{ToolCall, ToolRegistry};
use ember::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A unit of temperature.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Celsius,
    Fahrenheit,
}

/// A place on a map.
#[derive(Deserialize, JsonSchema)]
struct Point {
    /// Degrees north.
    lat: f64,
    lon: f64,
}

/// Looks at the weather.
///
/// It can be asked about several days.
///
/// # Errors
/// None that matter to a model.
#[tool]
async fn weather(
    /// Name of the city,
    /// for example "Paris".
    city: String,
    days: Option<u8>,
    /// Unit of the temperature.
    #[default(Unit::Celsius)]
    unit: Unit,
    near: Option<Point>,
    #[default(vec!["now".to_owned()])] times: Vec<String>,
    options: HashMap<String, bool>,
) -> Result<Value, ToolError> {
    if city == "Atlantis" {
        return Err(ToolError::new("Atlantis has sunk"));
    }
    let near = near.map(|point| point.lat + point.lon);
    Ok(
        json!({"city": city, "days": days, "unit": unit, "near": near, "times": times, "options": options.len()}),
    )
}

/// Adds.
#[tool(name = "math-add", description = "Adds two numbers.", timeout = secs(5))]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[tool]
async fn parse(text: String) -> Result<i64, ToolError> {
    Ok(text.parse()?)
}

#[tool]
fn explode() -> String {
    panic!("boom")
}

type Fallible<T> = Result<T, ToolError>;

#[tool]
async fn with_alias(number: i64) -> Fallible<i64> {
    if number > 0 { Ok(number) } else { Err(ToolError::new("too small")) }
}

/// Functions and types whose names the macro uses itself.
mod names {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    pub(super) struct Input {
        text: String,
    }

    #[derive(Serialize)]
    pub(super) struct Output {
        text: String,
    }

    #[tool]
    async fn arguments(#[default(Input { text: "d".into() })] input: Input) -> Output {
        Output { text: input.text }
    }

    #[tool]
    async fn arg0(arg1: u8, arg0: u8) -> u8 {
        arg1 - arg0
    }

    #[tool]
    fn result(result: u8, arguments: u8) -> u8 {
        result + arguments
    }

    #[tool]
    async fn parameters(parameters: String) -> String {
        parameters
    }
}

fn tools() -> ToolRegistry {
    ember::app!().build().unwrap().tools().clone()
}

async fn run(name: &str, arguments: Value) -> (String, bool) {
    let result = tools().execute(&ToolCall::new("c1", name, arguments.to_string())).await;
    (result.content, result.is_error)
}

#[test]
fn the_schema_comes_from_the_signature() {
    let specs = tools().to_openai_specs();
    let expected = json!({"type": "function", "function": {
        "name": "weather",
        "description": "Looks at the weather.\n\nIt can be asked about several days.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city,\nfor example \"Paris\"."},
                "days": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
                "unit": {"$ref": "#/$defs/Unit", "default": "celsius", "description": "Unit of the temperature."},
                "near": {"$ref": "#/$defs/Point"},
                "times": {"type": "array", "items": {"type": "string"}, "default": ["now"]},
                "options": {"type": "object", "additionalProperties": {"type": "boolean"}},
            },
            "required": ["city", "options"],
            "additionalProperties": false,
            "$defs": {
                "Unit": {
                    "type": "string", "enum": ["celsius", "fahrenheit"], "description": "A unit of temperature.",
                },
                "Point": {
                    "type": "object",
                    "description": "A place on a map.",
                    "properties": {
                        "lat": {"type": "number", "format": "double", "description": "Degrees north."},
                        "lon": {"type": "number", "format": "double"},
                    },
                    "required": ["lat", "lon"],
                },
            },
        },
    }});
    assert_eq!(specs[0], expected, "{:#}", specs[0]);
    assert_eq!(specs[1]["function"]["name"], "math-add");
    assert_eq!(specs[1]["function"]["description"], "Adds two numbers.");
    assert_eq!(tools().to_anthropic_specs()[1]["input_schema"]["required"], json!(["a", "b"]));
}

#[tokio::test]
async fn arguments_reach_the_function() {
    let (content, is_error) =
        run("weather", json!({"city": "Paris", "options": {"rain": true}})).await;
    assert!(!is_error);
    let expected = json!({
        "city": "Paris", "days": null, "unit": "celsius", "near": null, "times": ["now"], "options": 1,
    });
    assert_eq!(serde_json::from_str::<Value>(&content).unwrap(), expected);
    let all = json!({
        "city": "Rome", "days": 3, "unit": "fahrenheit", "near": {"lat": 1.5, "lon": 2}, "times": [], "options": {},
    });
    let (content, _) = run("weather", all).await;
    assert!(content.contains("\"near\":3.5") && content.contains("fahrenheit"), "{content}");
    assert_eq!(run("math-add", json!({"a": 2, "b": 3})).await, ("5".to_owned(), false));
}

#[tokio::test]
async fn mistakes_are_told_to_the_model() {
    let (content, is_error) =
        run("weather", json!({"days": 999, "options": {"a": 1}, "cty": "x"})).await;
    assert!(is_error);
    for part in [
        "`city` is missing",
        "`days` does not fit",
        "`options` does not fit at `/a`",
        "no parameter `cty`",
    ] {
        assert!(content.contains(part), "{part}: {content}");
    }
    let arguments = json!({"city": "Atlantis", "options": {}});
    assert_eq!(run("weather", arguments).await, ("Atlantis has sunk".to_owned(), true));
    assert_eq!(
        run("parse", json!({"text": "x"})).await,
        ("invalid digit found in string".to_owned(), true)
    );
    assert_eq!(run("explode", json!({})).await, ("the tool failed".to_owned(), true));
    assert!(run("math-ad", json!({})).await.0.contains("did you mean `math-add`?"));
}

#[tokio::test]
async fn an_alias_of_result_is_a_result() {
    assert_eq!(run("with_alias", json!({"number": 1})).await, ("1".to_owned(), false));
    assert_eq!(run("with_alias", json!({"number": 0})).await, ("too small".to_owned(), true));
}

#[tokio::test]
async fn names_of_ours_are_free_for_the_user() {
    let arguments = json!({"input": {"text": "hi"}});
    assert_eq!(run("arguments", arguments).await.0, r#"{"text":"hi"}"#);
    assert_eq!(run("arg0", json!({"arg0": 1, "arg1": 3})).await.0, "2");
    assert_eq!(run("result", json!({"result": 1, "arguments": 3})).await.0, "4");
    assert_eq!(run("parameters", json!({"parameters": "p"})).await.0, "p");
}

#[tokio::test]
async fn a_tool_stays_a_function() {
    assert_eq!(add(1, 2), 3);
    assert_eq!(parse("7".to_owned()).await.unwrap(), 7);
}
