use serde_json::Value;

/// How deep a value is looked into; JSON that was parsed is not deeper.
const MAX_DEPTH: usize = 128;

/// How many references and alternatives are followed to see whether a value fits.
const MAX_STEPS: usize = 8;

/// Takes members out whose `null` means that they are absent.
///
/// A strict provider demands every member, so one that may be left out is offered `null` instead.
/// A member whose own schema takes `null` keeps it.
pub(super) fn without_absent(value: &mut Value, schema: &Value) {
    walk(value, schema, schema, MAX_DEPTH);
}

fn walk(value: &mut Value, schema: &Value, root: &Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    if let Some(target) = referred(schema, root) {
        walk(value, target, root, depth);
    }
    for part in parts(schema, "allOf") {
        walk(value, part, root, depth);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(variant) =
            parts(schema, keyword).find(|variant| may_be(value, variant, root, MAX_STEPS))
        {
            walk(value, variant, root, depth);
        }
    }
    match value {
        Value::Object(members) => {
            let required = |name: &str| parts(schema, "required").any(|known| known == name);
            let property = |name: &str| schema.get("properties")?.get(name);
            members.retain(|name, member| {
                let is_absent = member.is_null()
                    && !required(name)
                    && property(name)
                        .is_some_and(|schema| !may_be(&Value::Null, schema, root, MAX_STEPS));
                !is_absent
            });
            for (name, member) in members {
                if let Some(schema) = property(name).or_else(|| schema.get("additionalProperties"))
                {
                    walk(member, schema, root, depth);
                }
            }
        }
        Value::Array(items) => {
            let mut tuple = parts(schema, "prefixItems");
            for item in items {
                if let Some(schema) = tuple.next().or_else(|| schema.get("items")) {
                    walk(item, schema, root, depth);
                }
            }
        }
        _ => {}
    }
}

fn parts<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn referred<'a>(schema: &Value, root: &'a Value) -> Option<&'a Value> {
    let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    root.pointer(pointer)
}

/// Tells whether a value looks like what a schema describes: by its type, the members it must have,
/// and those that are always the same. What stands beside a reference or alternatives holds as well.
fn may_be(value: &Value, schema: &Value, root: &Value, steps: usize) -> bool {
    let Some(steps) = steps.checked_sub(1) else {
        return false;
    };
    let fits = |part: &Value| may_be(value, part, root, steps);
    let is_type = |name: &Value| match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(_) => name == "number" || name == "integer",
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    };
    let type_fits = match schema.get("type") {
        None => true,
        Some(Value::Array(names)) => names.iter().any(is_type),
        Some(name) => is_type(name),
    };
    let is_same = |schema: &Value, value: &Value| {
        schema.get("const").is_none_or(|only| only == value)
            && (schema.get("enum").is_none() || parts(schema, "enum").any(|one| one == value))
    };
    type_fits
        && is_same(schema, value)
        && referred(schema, root).is_none_or(fits)
        && parts(schema, "allOf").all(fits)
        && ["anyOf", "oneOf"]
            .iter()
            .all(|keyword| schema.get(keyword).is_none() || parts(schema, keyword).any(fits))
        && value.as_object().is_none_or(|members| {
            parts(schema, "required")
                .all(|name| name.as_str().is_some_and(|name| members.contains_key(name)))
                && members.iter().all(|(name, member)| {
                    let property = schema.get("properties").and_then(|all| all.get(name));
                    property.is_none_or(|property| member.is_null() || is_same(property, member))
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_absence_only_where_it_can_be_nothing_else() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "integer"},
                "b": {"type": ["integer", "null"]},
                "c": {"$ref": "#/$defs/C"},
                "d": {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]},
                "e": {},
                "must": {"type": "string"},
                "list": {"type": "array", "items": {"$ref": "#/$defs/C"}},
                "map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/C"}},
            },
            "required": ["must"],
            "$defs": {"C": {"type": "object", "properties": {"x": {"type": "string"}}}},
        });
        let mut value = json!({
            "a": null, "b": null, "c": null, "d": null, "e": null, "must": null, "unknown": null,
            "list": [{"x": null}, {"x": "y"}], "map": {"k": {"x": null}},
        });
        without_absent(&mut value, &schema);
        let expected = json!({
            "b": null, "d": null, "e": null, "must": null, "unknown": null,
            "list": [{}, {"x": "y"}], "map": {"k": {}},
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn the_variant_is_found_by_what_is_always_the_same() {
        let variant = |kind: &str, optional: Value| {
            json!({
                "type": "object",
                "properties": {"kind": {"const": kind}, "n": optional},
                "required": ["kind"],
            })
        };
        let schema = json!({"oneOf": [
            variant("a", json!({"type": ["integer", "null"]})),
            variant("b", json!({"type": "integer"})),
        ]});
        for (value, expected) in [
            (json!({"kind": "a", "n": null}), json!({"kind": "a", "n": null})),
            (json!({"kind": "b", "n": null}), json!({"kind": "b"})),
        ] {
            let mut value = value;
            without_absent(&mut value, &schema);
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn the_variant_is_found_by_what_stands_beside_its_reference() {
        let tagged = |kind: &str, target: &str| {
            json!({
                "$ref": format!("#/$defs/{target}"),
                "properties": {"kind": {"const": kind}},
                "required": ["kind"],
            })
        };
        let with_n = |n: Value| json!({"type": "object", "properties": {"n": n}});
        let schema = json!({
            "oneOf": [tagged("a", "A"), tagged("b", "B"), {"anyOf": [tagged("c", "B")]}],
            "$defs": {
                "A": with_n(json!({"type": ["integer", "null"]})),
                "B": with_n(json!({"type": "integer"})),
            },
        });
        for (value, expected) in [
            (json!({"kind": "a", "n": null}), json!({"kind": "a", "n": null})),
            (json!({"kind": "b", "n": null}), json!({"kind": "b"})),
            (json!({"kind": "c", "n": null}), json!({"kind": "c"})),
        ] {
            let mut value = value;
            without_absent(&mut value, &schema);
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_schema_without_end_comes_to_one() {
        for schema in
            [json!({"$ref": "#"}), json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]})]
        {
            let mut value = json!({"a": null});
            without_absent(&mut value, &schema);
            assert_eq!(value, json!({"a": null}));
        }
    }
}
