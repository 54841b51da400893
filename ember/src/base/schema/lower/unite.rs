//! One schema for what two say together.

use super::notes::{Object, is_annotation};
use serde_json::Value;

/// Why two schemas cannot become one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// No value fits both.
    Never,
    /// What fits both cannot be said without both.
    Unsaid,
}

/// The schema of what fits both. Where both have something to tell the reader, it is the first's,
/// whose members also come first.
pub(super) fn united(first: &Object, second: &Object) -> Result<Object, Clash> {
    if shuts_out(first, second) || shuts_out(second, first) {
        return Err(Clash::Unsaid);
    }
    let mut both = first.clone();
    for (keyword, theirs) in second {
        let united = match first.get(keyword) {
            None => theirs.clone(),
            Some(ours) if ours == theirs || is_annotation(keyword) => continue,
            Some(ours) => one(keyword, ours, theirs)?,
        };
        both.insert(keyword.clone(), united);
    }
    if let Some(only) = both.get("const")
        && let Some(Value::Array(values)) = both.get("enum")
    {
        if !values.contains(only) {
            return Err(Clash::Never);
        }
        both.shift_remove("enum");
    }
    Ok(both)
}

/// Tells whether a schema has no room for a member that the other one speaks of.
fn shuts_out(closed: &Object, other: &Object) -> bool {
    let known = properties(closed);
    let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
    closed.get("additionalProperties").is_some_and(|rest| *rest != Value::Bool(true))
        && properties(other).into_iter().flatten().any(|(name, _)| !is_known(name))
}

fn properties(object: &Object) -> Option<&Object> {
    object.get("properties").and_then(Value::as_object)
}

/// What two different values of one keyword say together.
fn one(keyword: &str, ours: &Value, theirs: &Value) -> Result<Value, Clash> {
    match (keyword, ours, theirs) {
        ("properties", Value::Object(ours), Value::Object(theirs)) => members(ours, theirs),
        ("required", Value::Array(ours), Value::Array(theirs)) => {
            let more = theirs.iter().filter(|name| !ours.contains(name));
            Ok(ours.iter().chain(more).cloned().collect())
        }
        ("enum", Value::Array(ours), Value::Array(theirs)) => {
            let common: Vec<_> =
                ours.iter().filter(|value| theirs.contains(value)).cloned().collect();
            if common.is_empty() { Err(Clash::Never) } else { Ok(common.into()) }
        }
        ("type", ..) => types(ours, theirs),
        ("const", ..) => Err(Clash::Never),
        // What one of them leaves open, the other decides; `true` leaves everything open.
        ("additionalProperties", Value::Bool(true), rest)
        | ("additionalProperties", rest, Value::Bool(true)) => Ok(rest.clone()),
        ("additionalProperties", Value::Bool(false), _)
        | ("additionalProperties", _, Value::Bool(false)) => Ok(false.into()),
        _ => Err(Clash::Unsaid),
    }
}

fn members(ours: &Object, theirs: &Object) -> Result<Value, Clash> {
    let mut both = ours.clone();
    for (name, theirs) in theirs {
        let united = match (ours.get(name), theirs) {
            (None, theirs) => theirs.clone(),
            (Some(ours), theirs) if ours == theirs => continue,
            (Some(Value::Object(ours)), Value::Object(theirs)) => united(ours, theirs)?.into(),
            _ => return Err(Clash::Unsaid),
        };
        both.insert(name.clone(), united);
    }
    Ok(both.into())
}

/// The types that both allow; every integer is a number.
fn types(ours: &Value, theirs: &Value) -> Result<Value, Clash> {
    let list = |types: &Value| match types {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let (ours, theirs) = (list(ours), list(theirs));
    let allows = |types: &[Value], kind: &Value| {
        types.contains(kind) || *kind == "integer" && types.contains(&"number".into())
    };
    let mut common: Vec<Value> = Vec::new();
    for kind in ours.iter().chain(&theirs) {
        if allows(&ours, kind) && allows(&theirs, kind) && !common.contains(kind) {
            common.push(kind.clone());
        }
    }
    match &mut common[..] {
        [] => Err(Clash::Never),
        [only] => Ok(only.take()),
        _ => Ok(common.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn both(first: &Value, second: &Value) -> Result<Value, Clash> {
        united(first.as_object().unwrap(), second.as_object().unwrap()).map(Value::Object)
    }

    #[test]
    fn what_both_say_is_said() {
        let tag = json!({
            "type": "object", "description": "Round.",
            "properties": {"kind": {"type": "string", "const": "circle"}}, "required": ["kind"],
        });
        let circle = json!({
            "type": ["object", "null"], "description": "A circle.", "minProperties": 1,
            "properties": {"r": {"type": "number"}, "kind": {"enum": ["circle", "square"]}},
            "required": ["r", "kind"],
        });
        let expected = json!({
            "type": "object", "description": "Round.", "minProperties": 1,
            "properties": {"kind": {"type": "string", "const": "circle"}, "r": {"type": "number"}},
            "required": ["kind", "r"],
        });
        assert_eq!(both(&tag, &circle), Ok(expected));
        let names = both(&tag, &circle).unwrap();
        let names: Vec<_> = names["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["kind", "r"], "the first's members come first");
    }

    #[test]
    fn what_no_value_fits_and_what_cannot_be_said_is_told() {
        for (first, second, expected) in [
            (json!({"type": "string"}), json!({"type": "null"}), Err(Clash::Never)),
            (json!({"const": "a"}), json!({"const": "b"}), Err(Clash::Never)),
            (json!({"const": "a"}), json!({"enum": ["b"]}), Err(Clash::Never)),
            (json!({"enum": ["a"]}), json!({"enum": ["b"]}), Err(Clash::Never)),
            (json!({"pattern": "a"}), json!({"pattern": "b"}), Err(Clash::Unsaid)),
            (json!({"anyOf": [{}]}), json!({"anyOf": []}), Err(Clash::Unsaid)),
            (
                json!({"additionalProperties": false}),
                json!({"properties": {"a": {}}}),
                Err(Clash::Unsaid),
            ),
            (
                json!({"type": ["number", "null"]}),
                json!({"type": ["null", "integer"]}),
                Ok(json!({"type": ["null", "integer"]})),
            ),
            (
                json!({"additionalProperties": true}),
                json!({"additionalProperties": false}),
                Ok(json!({"additionalProperties": false})),
            ),
        ] {
            assert_eq!(both(&first, &second), expected);
            assert_eq!(both(&second, &first).is_ok(), expected.is_ok());
        }
    }
}
