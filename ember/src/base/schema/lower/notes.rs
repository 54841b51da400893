//! What is said of a schema beside the schema.

use super::Relaxed;
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

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
