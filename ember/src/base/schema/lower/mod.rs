//! Rewriting a schema for a provider.
//!
//! What each provider accepts is data, in [`Dialect::rules`]; one walk applies it. The
//! facts come from the providers' structured-output guides and from what their
//! SDKs rewrite before they send. A keyword that a provider refuses moves into the
//! description, where the model can still read it, and is reported in
//! [`Lowered::relaxed`]; where the very shape cannot be said in a strict dialect,
//! [`Lowered::strict`] is false and the schema is the non-strict one.

mod rules;
mod notes;
mod unite;
mod references;
mod openapi;
mod walk;

pub use rules::Dialect;

use serde_json::Value;

/// A schema as one provider accepts it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lowered {
    /// The document to send.
    pub schema: Value,
    /// Whether the provider can be asked to enforce it; false in every dialect that is not strict.
    pub strict: bool,
    /// What the provider will not enforce, so that it must be checked after decoding.
    pub relaxed: Vec<Relaxed>,
}

/// A constraint that a provider does not enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relaxed {
    /// Where it stood, as a JSON pointer into the schema.
    pub pointer: String,
    /// The keyword that was moved into the description, or dropped.
    pub keyword: String,
}

pub(super) fn lower(schema: &Value, dialect: Dialect) -> Lowered {
    let rules = dialect.rules();
    match walk::walk(schema, rules) {
        Ok(lowered) => lowered,
        // The shape cannot be said in this dialect: the same provider's plain dialect can say it.
        Err(inexpressible) => {
            let mut lowered = lower(schema, dialect.plain());
            lowered.relaxed.push(inexpressible);
            lowered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(dialect: Dialect, schema: Value, expected: Value) -> Lowered {
        let lowered = lower(&schema, dialect);
        assert_eq!(lowered.schema, expected, "{:#}", lowered.schema);
        lowered
    }

    fn keywords(lowered: &Lowered) -> Vec<&str> {
        lowered.relaxed.iter().map(|relaxed| relaxed.keyword.as_str()).collect()
    }

    #[test]
    fn plain_dialects_keep_the_document() {
        let schema =
            json!({"$schema": "x", "type": "object", "properties": {"a": {"minLength": 2}}});
        let kept = json!({"type": "object", "properties": {"a": {"minLength": 2}}});
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini] {
            let lowered = check(dialect, schema.clone(), kept.clone());
            assert!(!lowered.strict && lowered.relaxed.is_empty());
        }
    }

    #[test]
    fn openai_strict_closes_objects_and_makes_optional_members_nullable() {
        let lowered = check(
            Dialect::OpenAiStrict,
            json!({
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer", "format": "uint8", "minimum": 0},
                    "unit": {"enum": ["c", "f"], "type": "string", "default": "c"},
                    "near": {"$ref": "#/$defs/Point", "description": "A place."},
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": 3},
                },
                "required": ["city"],
                "$defs": {"Point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
            }),
            json!({
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": ["integer", "null"], "minimum": 0},
                    "unit": {"enum": ["c", "f", null], "type": ["string", "null"], "description": "(default: \"c\")"},
                    "near": {
                        "type": ["object", "null"],
                        "description": "A place.",
                        "properties": {"x": {"type": "number"}},
                        "required": ["x"],
                        "additionalProperties": false,
                    },
                    "tags": {
                        "type": ["array", "null"],
                        "items": {"type": "string"},
                        "maxItems": 3,
                        "description": "(uniqueItems: true)",
                    },
                },
                "required": ["city", "days", "unit", "near", "tags"],
                "additionalProperties": false,
            }),
        );
        assert!(lowered.strict);
        assert_eq!(keywords(&lowered), ["default", "uniqueItems"]);
        assert_eq!(lowered.relaxed[1].pointer, "/properties/tags");
    }

    #[test]
    fn one_of_becomes_any_of_and_a_single_all_of_is_unwrapped() {
        check(
            Dialect::OpenAiStrict,
            json!({
                "type": "object",
                "properties": {
                    "a": {"oneOf": [{"type": "string", "const": "x"}, {"type": "integer"}]},
                    "b": {"allOf": [{"type": "string"}], "description": "B."},
                },
                "required": ["a", "b"],
            }),
            json!({
                "type": "object",
                "properties": {
                    "a": {"anyOf": [{"type": "string", "const": "x"}, {"type": "integer"}]},
                    "b": {"type": "string", "description": "B."},
                },
                "required": ["a", "b"],
                "additionalProperties": false,
            }),
        );
    }

    #[test]
    fn recursive_types_stay_references() {
        let tree = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Tree", "description": "dropped"}},
            },
            "required": ["name", "children"],
        });
        let schema = json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}});
        let lowered = lower(&schema, Dialect::OpenAiStrict);
        assert!(lowered.strict);
        assert_eq!(lowered.schema["type"], "object");
        assert_eq!(
            lowered.schema["properties"]["children"]["items"],
            json!({"$ref": "#/$defs/Tree"})
        );
        let anthropic = lower(&schema, Dialect::AnthropicStrict);
        assert!(!anthropic.strict);
        assert_eq!(keywords(&anthropic), ["$ref"]);
    }

    #[test]
    fn a_map_cannot_be_strict() {
        let schema = json!({
            "type": "object",
            "properties": {"counts": {"type": "object", "additionalProperties": {"type": "integer"}}},
            "required": ["counts"],
        });
        for dialect in [Dialect::OpenAiStrict, Dialect::AnthropicStrict] {
            let lowered = check(dialect, schema.clone(), schema.clone());
            assert!(!lowered.strict);
            assert_eq!(lowered.relaxed[0].pointer, "/properties/counts");
            assert_eq!(lowered.relaxed[0].keyword, "additionalProperties");
        }
    }

    #[test]
    fn anthropic_strict_moves_bounds_into_the_description() {
        let lowered = check(
            Dialect::AnthropicStrict,
            json!({
                "type": "object",
                "properties": {
                    "n": {"type": "integer", "minimum": 1, "description": "How many."},
                    "kind": {"const": "x"},
                    "list": {"type": "array", "items": {"type": "string", "format": "ipv9"}, "minItems": 1, "maxItems": 4},
                },
                "required": ["n"],
            }),
            json!({
                "type": "object",
                "properties": {
                    "n": {"type": "integer", "description": "How many. (minimum: 1)"},
                    "kind": {"enum": ["x"], "type": "string"},
                    "list": {
                        "type": "array",
                        "items": {"type": "string", "description": "(format: \"ipv9\")"},
                        "minItems": 1,
                        "description": "(maxItems: 4)",
                    },
                },
                "required": ["n"],
                "additionalProperties": false,
            }),
        );
        assert_eq!(keywords(&lowered), ["minimum", "format", "maxItems"]);
    }

    #[test]
    fn gemini_is_told_in_the_words_of_openapi() {
        let lowered = check(
            Dialect::GeminiSchema,
            json!({
                "type": "object",
                "properties": {
                    "near": {"$ref": "#/$defs/Point"},
                    "unit": {"type": ["string", "null"], "enum": ["c", "f", null]},
                    "kind": {"const": "x"},
                    "level": {"type": "integer", "enum": [1, 2], "minimum": 1},
                    "mixed": {"type": ["string", "integer"], "description": "Either."},
                    "maybe": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}], "description": "A place."},
                    "when": {"type": "string", "format": "date"},
                },
                "required": ["near"],
                "additionalProperties": false,
                "$defs": {"Point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
            }),
            json!({
                "type": "object",
                "properties": {
                    "near": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
                    "unit": {"type": "string", "enum": ["c", "f"], "nullable": true},
                    "kind": {"enum": ["x"], "type": "string"},
                    "level": {"type": "integer", "minimum": 1, "description": "(enum: [1,2])"},
                    "mixed": {"anyOf": [
                        {"type": "string", "description": "Either."},
                        {"type": "integer", "description": "Either."},
                    ]},
                    "maybe": {
                        "description": "A place.",
                        "type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"],
                        "nullable": true,
                    },
                    "when": {"type": "string", "description": "(format: \"date\")"},
                },
                "required": ["near"],
                "propertyOrdering": ["near", "unit", "kind", "level", "mixed", "maybe", "when"],
            }),
        );
        assert!(lowered.strict);
        assert_eq!(keywords(&lowered), ["format", "enum"]);
        // A list is a root like any other.
        let list = json!({"type": "array", "items": {"type": "string"}});
        check(Dialect::GeminiSchema, list.clone(), list);
    }

    #[test]
    fn what_openapi_has_no_words_for_is_told_in_json_schema() {
        let tree = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}});
        for (schema, keyword) in [
            (
                json!({"type": "object", "additionalProperties": {"type": "integer"}}),
                "additionalProperties",
            ),
            (json!({"$ref": "#/$defs/T", "$defs": {"T": tree}}), "$ref"),
            (json!({"type": "object", "properties": {"a": {}}}), "true"),
            (json!({"type": "array"}), "items"),
        ] {
            let lowered = check(Dialect::GeminiSchema, schema.clone(), schema);
            assert!(!lowered.strict);
            assert_eq!(keywords(&lowered), [keyword]);
        }
    }

    #[test]
    fn a_root_that_is_no_object_cannot_be_strict() {
        let lowered = lower(&json!({"type": "string"}), Dialect::OpenAiStrict);
        assert!(!lowered.strict);
        assert_eq!(lowered.relaxed[0].pointer, "");
    }
}
