use crate::base::Problem;
use crate::base::constant_json::constant_json;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;

/// The members of RFC 9457 §3.1; an error may add more.
impl JsonSchema for Problem<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "ember::Problem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let schema = constant_json!({
            "description": "A problem document as RFC 9457 defines it. It may have further members.",
            "type": "object",
            "properties": {
                "type": {"type": "string", "format": "uri-reference", "description": "The kind of problem."},
                "title": {"type": "string", "description": "The name of the status."},
                "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The status."},
                "detail": {"type": "string", "description": "What is wrong."}
            },
            "required": ["type", "title", "status", "detail"]
        });
        Schema::try_from(schema).unwrap_or_default()
    }
}
