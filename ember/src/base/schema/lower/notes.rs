//! What is said of a schema beside the schema.

use super::Relaxed;
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// Keywords that say nothing a model or a strict decoder could use.
const NOISE: &[&str] = &[
    "title",
    "$schema",
    "$id",
    "$comment",
    "examples",
    "discriminator",
    "deprecated",
    "readOnly",
    "writeOnly",
];

pub(super) fn is_noise(keyword: &str) -> bool {
    NOISE.contains(&keyword) || keyword.starts_with("x-")
}

/// Tells whether a keyword only tells something to whoever reads the schema.
pub(super) fn is_annotation(keyword: &str) -> bool {
    is_noise(keyword) || matches!(keyword, "description" | "default")
}

pub(super) fn describe(node: &mut Object, note: &str) {
    let description = match node.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text} ({note})"),
        _ => format!("({note})"),
    };
    node.insert("description".into(), description.into());
}

/// A member's name as a token of a JSON pointer (RFC 6901 §3).
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

pub(super) fn relaxed(pointer: &str, keyword: &str) -> Relaxed {
    Relaxed { pointer: pointer.to_owned(), keyword: keyword.to_owned() }
}
