//! What tells one request from another.

use super::chat::{ChatRequest, ResponseFormat};
use super::message::Message;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A request to a provider as a digest that nobody can aim at: all of each is in it, with these
/// messages in place of its own.
pub(super) fn fingerprint(provider: &str, request: &ChatRequest, messages: &[Message]) -> String {
    // Every field is named, so that none that is added later is forgotten.
    let ChatRequest {
        model,
        messages: _,
        tools,
        tool_choice,
        parallel_tool_calls,
        temperature,
        top_p,
        max_tokens,
        max_turns: _,
        stop,
        seed,
        reasoning_effort,
        response_format,
        extra,
        relayed,
        allowed_models,
        billing,
    } = request;
    // What a budget has left is no part of the question.
    let max_tokens = billing.asked().unwrap_or(*max_tokens);
    let format = match response_format {
        ResponseFormat::Schema { name, schema } => {
            json!({"name": name, "schema": schema.as_value()})
        }
        ResponseFormat::LooseSchema { name, schema } => {
            json!({"name": name, "schema": schema.as_value(), "loose": true})
        }
        format => json!(format!("{format:?}")),
    };
    let tools: Vec<_> = tools
        .iter()
        .map(|tool| {
            let strict = tool.options().strict;
            json!([tool.name(), tool.description(), tool.parameters().as_value(), strict])
        })
        .collect();
    let whole = json!([
        provider,
        model,
        messages,
        tools,
        format!("{tool_choice:?}"),
        parallel_tool_calls,
        // As bits: two numbers that are printed alike are still two.
        temperature.map(f64::to_bits),
        top_p.map(f64::to_bits),
        max_tokens,
        stop,
        seed,
        reasoning_effort,
        format,
        extra,
        relayed,
        allowed_models.as_deref(),
    ]);
    format!("{:x}", Sha256::digest(whole.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::ToolChoice;
    use crate::llm::tool::{ParameterSchema, Tool};

    #[test]
    fn every_part_of_a_request_makes_another_key() {
        let tool = |about: &str| Tool::declared("f", about, ParameterSchema::object([])).unwrap();
        let schema = |name: &str| ResponseFormat::Schema {
            name: name.into(),
            schema: ParameterSchema::object([]),
        };
        let plain = || ChatRequest::from("x");
        let requests = [
            plain(),
            ChatRequest::from("y"),
            ChatRequest::new([Message::assistant("x")]),
            plain().system("x"),
            plain().model("m"),
            plain().tool(tool("a")),
            plain().tool(tool("b")),
            plain().tool(tool("b").strict(true)),
            plain().tool_choice(ToolChoice::Required),
            plain().tool_choice(ToolChoice::Tool("f".into())),
            plain().parallel_tool_calls(true),
            plain().temperature(0.1),
            plain().temperature(0.2),
            plain().top_p(0.1),
            plain().max_tokens(1),
            plain().seed(1),
            plain().reasoning_effort("low"),
            plain().response_format(ResponseFormat::Json),
            plain().response_format(schema("a")),
            plain().response_format(schema("b")),
            plain().response_format(ResponseFormat::LooseSchema {
                name: "b".into(),
                schema: ParameterSchema::object([]),
            }),
            ChatRequest { stop: vec!["x".into()], ..plain() },
            ChatRequest { relayed: true, ..plain() },
            ChatRequest { allowed_models: Some(["m".to_owned()].into()), ..plain() },
            ChatRequest { extra: [("a".to_owned(), json!(1))].into_iter().collect(), ..plain() },
        ];
        let key =
            |provider, request: &ChatRequest| fingerprint(provider, request, &request.messages);
        let keys: std::collections::HashSet<_> =
            requests.iter().map(|request| key("p", request)).collect();
        assert_eq!(keys.len(), requests.len());
        assert_ne!(key("p", &plain()), key("q", &plain()));
        assert_eq!(key("p", &plain()), key("p", &plain()));
    }
}
