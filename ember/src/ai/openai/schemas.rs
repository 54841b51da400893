//! What the OpenAPI document says of requests.

use crate::base::Schema;
use crate::base::constant_json::constant_json;

/// A chat request: what there must be, and what is used most.
pub(super) fn chat_schema() -> Schema {
    Schema::from(constant_json!({
        "type": "object",
        "required": ["messages"],
        "properties": {
            "model": {"type": "string"},
            "messages": {"type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["role"], "properties": {
                    "role": {"type": "string", "enum": ["developer", "system", "user", "assistant", "tool"]},
                    "content": {}
                }
            }},
            "stream": {"type": "boolean"},
            "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
            "tools": {"type": "array", "items": {"type": "object"}},
            "tool_choice": {},
            "parallel_tool_calls": {"type": "boolean"},
            "response_format": {"type": "object"},
            "temperature": {"type": "number", "minimum": 0, "maximum": 2},
            "top_p": {"type": "number", "minimum": 0, "maximum": 1},
            "max_completion_tokens": {"type": "integer", "minimum": 1},
            "stop": {},
            "seed": {"type": "integer"},
            "reasoning_effort": {"type": "string"}
        }
    }))
}

/// A request for vectors.
pub(super) fn embedding_schema() -> Schema {
    Schema::from(constant_json!({
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": {"type": "string"},
            "input": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2048}]},
            "dimensions": {"type": "integer", "minimum": 1},
            "encoding_format": {"type": "string", "enum": ["float", "base64"]}
        }
    }))
}
