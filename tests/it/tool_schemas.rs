//! Schemas of tools as every provider is sent them, and calls that fit.
//!
//! The pairs lie beside the project; a clone without them tests the one that stands here.

use ember::base::schema::{Dialect, Schema};
use ember::llm::tool::Tool;
use ember_tests::shared;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Pair {
    id: String,
    functions: Vec<Function>,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: String,
    parameters: Value,
}

#[derive(Deserialize)]
struct Call {
    name: String,
    arguments: Value,
}

fn pairs() -> Vec<Pair> {
    let own = json!([{
        "id": "own",
        "functions": [{"name": "harbour.tide", "description": "Tells the tide.", "parameters": {
            "type": "object",
            "properties": {
                "port": {"type": "string", "minLength": 2},
                "days": {"type": ["integer", "null"], "minimum": 1, "default": 1},
                "unit": {"type": "string", "enum": ["m", "ft"]},
                "level": {"enum": [1, 2, 3]},
                "tags": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}},
            },
            "required": ["port"],
        }}],
        "calls": [{"name": "harbour.tide", "arguments": {"port": "Brest", "days": null, "level": 2, "tags": ["x", 1.5]}}],
    }]);
    let mut pairs: Vec<Pair> = serde_json::from_value(own).unwrap();
    if let Some(path) = shared("tool_schemas/bfcl_pairs.json") {
        let beside: Vec<Pair> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(beside.len() >= 200);
        pairs.extend(beside);
    }
    pairs
}

/// A name that every provider accepts.
fn plain(name: &str) -> String {
    name.replace('.', "_")
}

/// Gemini's words for what JSON Schema says.
fn as_json_schema(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(as_json_schema).collect(),
        Value::Object(members) => {
            let mut members: Map<_, _> =
                members.iter().map(|(name, value)| (name.clone(), as_json_schema(value))).collect();
            if members.remove("nullable").is_some() {
                return json!({"anyOf": [{"type": "null"}, members]});
            }
            Value::Object(members)
        }
        other => other.clone(),
    }
}

/// A call as a model writes it that is held to the schema: it has no members but those that are
/// declared, and if all are wanted, the missing ones are null.
fn completed(schema: &Value, value: &Value) -> Value {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    match value {
        Value::Object(members) if schema["properties"].is_object() => {
            let declared = schema["properties"].as_object().into_iter().flatten();
            let members = declared.filter_map(|(name, member)| {
                let wanted = required.iter().any(|required| *required == name);
                let given = members.get(name).cloned().or(wanted.then_some(Value::Null))?;
                Some((name.clone(), completed(member, &given)))
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(|item| completed(&schema["items"], item)).collect(),
        other => other.clone(),
    }
}

#[track_caller]
fn validate(what: &str, schema: &Value, value: &Value) {
    let validator =
        jsonschema::validator_for(schema).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Err(error) = validator.validate(value) {
        panic!("{what}: {error} in {value} by {schema:#}");
    }
}

#[test]
fn calls_fit_what_every_provider_is_sent() {
    let (mut schemas, mut checked, mut strict) = (0, 0, [0; 3]);
    for pair in pairs() {
        let tools = pair.functions.iter().map(|function| {
            let parameters = Schema::from(function.parameters.clone());
            (
                &function.name,
                Tool::declared(plain(&function.name), &*function.description, parameters).unwrap(),
            )
        });
        let tools: Vec<_> = tools.collect();
        schemas += tools.len();
        for (_, tool) in &tools {
            let dialects = [Dialect::OpenAiStrict, Dialect::AnthropicStrict, Dialect::GeminiSchema];
            for (count, dialect) in strict.iter_mut().zip(dialects) {
                *count += usize::from(tool.parameters().lower(dialect).strict);
            }
        }
        for call in &pair.calls {
            let tool = &tools.iter().find(|(name, _)| **name == call.name).unwrap().1;
            let empty = json!({"type": "object"});
            let gemini = tool.to_gemini_spec();
            let gemini = gemini.get("parameters").or(gemini.get("parametersJsonSchema"));
            let sent = [
                ("openai", tool.to_openai_spec()["function"]["parameters"].clone()),
                ("openai-responses", tool.to_openai_responses_spec()["parameters"].clone()),
                ("anthropic", tool.to_anthropic_spec()["input_schema"].clone()),
                ("gemini", as_json_schema(gemini.unwrap_or(&empty))),
            ];
            for (provider, schema) in sent {
                validate(&format!("{} for {provider}", pair.id), &schema, &call.arguments);
                checked += 1;
            }
            for dialect in [Dialect::OpenAiStrict, Dialect::AnthropicStrict] {
                let lowered = tool.parameters().lower(dialect);
                let arguments = match lowered.strict {
                    true => completed(&lowered.schema, &call.arguments),
                    false => call.arguments.clone(),
                };
                let what = format!("{} for {dialect:?}", pair.id);
                validate(&what, &lowered.schema, &arguments);
                checked += 1;
            }
        }
    }
    println!(
        "{schemas} schemas, {checked} validations; strict for OpenAI, Anthropic, Gemini: {strict:?}"
    );
}
