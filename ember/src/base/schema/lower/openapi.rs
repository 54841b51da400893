//! The words in which OpenAPI 3.0 says what JSON Schema says, as far as Gemini knows them.
//!
//! `null` is no type but a permission, a node with alternatives has nothing else, and only texts
//! are enumerated.

use super::Relaxed;
use super::notes::{Object, describe, escaped, relaxed};
use serde_json::{Value, json};

/// Rewrites a node and all below it, or tells what cannot be said.
pub(super) fn say(
    node: &mut Value,
    pointer: &str,
    notes: &mut Vec<Relaxed>,
) -> Result<(), Relaxed> {
    let Value::Object(object) = node else { return Err(relaxed(pointer, "true")) };
    for (name, member) in
        object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        say(member, &format!("{pointer}/properties/{}", escaped(name)), notes)?;
    }
    if let Some(items) = object.get_mut("items") {
        say(items, &format!("{pointer}/items"), notes)?;
    }
    types(object);
    only_texts(object, pointer, notes);
    alternatives(object, pointer, notes)?;
    match object.get("type").and_then(Value::as_str) {
        Some("array") if !object.contains_key("items") => return Err(relaxed(pointer, "items")),
        Some("null") => return Err(relaxed(pointer, "type")),
        Some("object") => order(object),
        Some(_) => {}
        None if object.contains_key("anyOf") => {}
        None => return Err(relaxed(pointer, "type")),
    }
    Ok(())
}

/// Several types become alternatives; `null` becomes a permission.
fn types(object: &mut Object) {
    let Some(Value::Array(types)) = object.get("type") else { return };
    let real: Vec<_> = types.iter().filter(|kind| *kind != "null").cloned().collect();
    let nullable = real.len() < types.len();
    match <[Value; 1]>::try_from(real) {
        Ok([kind]) => drop(object.insert("type".into(), kind)),
        Err(real) => {
            object.shift_remove("type");
            let variants = real.into_iter().map(|kind| json!({"type": kind}));
            object.insert("anyOf".into(), variants.collect());
        }
    }
    if nullable {
        permit_null(object);
    }
}

fn permit_null(object: &mut Object) {
    object.insert("nullable".into(), true.into());
}

/// An enumeration holds texts; any other is told in the description.
fn only_texts(object: &mut Object, pointer: &str, notes: &mut Vec<Relaxed>) {
    let Some(Value::Array(values)) = object.get_mut("enum") else { return };
    let count = values.len();
    if values.iter().any(Value::is_string) {
        values.retain(|value| !value.is_null());
    }
    let nullable = values.len() < count;
    if values.iter().all(Value::is_string) {
        object.entry("type").or_insert_with(|| "string".into());
    } else {
        notes.push(relaxed(pointer, "enum"));
        let note = format!("enum: {}", Value::Array(std::mem::take(values)));
        object.shift_remove("enum");
        describe(object, &note);
    }
    if nullable {
        permit_null(object);
    }
}

/// Alternatives stand alone: what stood beside them goes into each, and `null` becomes a permission.
fn alternatives(
    object: &mut Object,
    pointer: &str,
    notes: &mut Vec<Relaxed>,
) -> Result<(), Relaxed> {
    let Some(Value::Array(mut variants)) = object.shift_remove("anyOf") else { return Ok(()) };
    let count = variants.len();
    variants.retain(|variant| variant["type"] != "null");
    if variants.len() < count {
        permit_null(object);
    }
    for (index, variant) in variants.iter_mut().enumerate() {
        if let Value::Object(variant) = &mut *variant {
            for (keyword, value) in object.iter().filter(|(keyword, _)| *keyword != "nullable") {
                variant.entry(keyword.clone()).or_insert_with(|| value.clone());
            }
        }
        say(variant, &format!("{pointer}/anyOf/{index}"), notes)?;
    }
    let nullable = object.contains_key("nullable");
    match <[Value; 1]>::try_from(variants) {
        // One alternative is none.
        Ok([Value::Object(only)]) => {
            object.extend(only);
        }
        Ok([_]) => return Err(relaxed(pointer, "anyOf")),
        Err(variants) => {
            object.clear();
            object.insert("anyOf".into(), variants.into());
            if nullable {
                permit_null(object);
            }
        }
    }
    Ok(())
}

/// The members are written in the order in which they stand, which Gemini would else change.
fn order(object: &mut Object) {
    let members: Vec<Value> = object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|members| members.keys().map(|name| name.as_str().into()))
        .collect();
    if members.is_empty() {
        // An object without members is refused if it says so.
        object.shift_remove("properties");
    }
    if object.get("required").is_some_and(|required| required == &json!([])) {
        object.shift_remove("required");
    }
    if members.len() > 1 {
        object.insert("propertyOrdering".into(), members.into());
    }
}
