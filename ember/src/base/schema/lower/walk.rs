use super::notes::{Object, describe, escaped, relaxed};
use super::rules::Rules;
use super::{Lowered, Relaxed, openapi};
use serde_json::{Value, json};

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

/// Formats that `schemars` gives to numbers; the bounds beside them say the same.
const NUMBER_FORMATS: &[&str] = &[
    "int8", "int16", "int32", "int64", "int128", "int", "uint8", "uint16", "uint32", "uint64",
    "uint128", "uint", "float", "double",
];

/// Keywords that shape a node; all others are constraints.
const SHAPE: &[&str] = &[
    "type",
    "enum",
    "const",
    "description",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "anyOf",
    "$ref",
    "$defs",
];

/// Applies the rules to a whole document, or tells what cannot be said under them.
pub(super) fn walk(schema: &Value, rules: &Rules) -> Result<Lowered, Relaxed> {
    if !rules.strict {
        let mut schema = schema.clone();
        if let Value::Object(root) = &mut schema {
            root.remove("$schema");
        }
        return Ok(Lowered { schema, strict: false, relaxed: Vec::new() });
    }
    let no_definitions = Object::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&no_definitions);
    let mut walker = Walker { rules, definitions, relaxed: Vec::new(), properties: 0 };
    let mut root = walker.node(&walker.inlined_root(schema), "", 0)?;
    if rules.openapi {
        openapi::say(&mut root, "", &mut walker.relaxed)?;
        return Ok(Lowered { schema: root, strict: true, relaxed: walker.relaxed });
    }
    if root.get("type").is_none_or(|kind| kind != "object") {
        return Err(relaxed("", "type"));
    }
    if !definitions.is_empty() {
        let lowered = definitions.iter().map(|(name, definition)| {
            let lowered = walker.node(definition, &format!("/$defs/{name}"), 1)?;
            Ok((name.clone(), lowered))
        });
        root["$defs"] = Value::Object(lowered.collect::<Result<_, _>>()?);
    }
    Ok(Lowered { schema: root, strict: true, relaxed: walker.relaxed })
}

struct Walker<'a> {
    rules: &'a Rules,
    definitions: &'a Object,
    relaxed: Vec<Relaxed>,
    properties: usize,
}

impl Walker<'_> {
    /// The root may not be a reference: it is replaced by what it refers to.
    fn inlined_root(&self, schema: &Value) -> Value {
        match self.target(schema) {
            Some((_, target)) => merged(target, schema, &["$ref", "$defs"]),
            None => schema.clone(),
        }
    }

    fn node(&mut self, schema: &Value, pointer: &str, depth: usize) -> Result<Value, Relaxed> {
        // `true` and `{}` allow anything, which no strict dialect can say.
        let Some(object) = schema.as_object().filter(|object| !object.is_empty()) else {
            return Err(relaxed(pointer, "true"));
        };
        if depth > self.rules.max_depth {
            return Err(relaxed(pointer, "depth"));
        }
        if let Some((name, target)) = self.target(schema) {
            let recursive = self.leads_to(target, name, &mut Vec::new());
            if recursive && !self.rules.recursion {
                return Err(relaxed(pointer, "$ref"));
            }
            return match !self.rules.openapi && (recursive || object.len() == 1) {
                // Strict dialects refuse siblings of a reference.
                true => Ok(json!({"$ref": format!("#/$defs/{name}")})),
                false => self.node(&merged(target, schema, &["$ref"]), pointer, depth),
            };
        }
        if let Some([only]) = object.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.node(&merged(only, schema, &["allOf"]), pointer, depth);
        }
        self.plain_node(object, pointer, depth)
    }

    /// A node that is neither a reference nor an `allOf` of one.
    fn plain_node(
        &mut self,
        object: &Object,
        pointer: &str,
        depth: usize,
    ) -> Result<Value, Relaxed> {
        let mut lowered = Object::new();
        let mut notes = Vec::new();
        for (keyword, value) in object {
            match keyword.as_str() {
                "allOf" => return Err(relaxed(pointer, "allOf")),
                "$defs" | "properties" | "required" | "additionalProperties" => {}
                "items" => {
                    let items = self.node(value, &format!("{pointer}/items"), depth + 1)?;
                    lowered.insert(keyword.clone(), items);
                }
                "anyOf" | "oneOf" => {
                    let variants = value.as_array().into_iter().flatten().enumerate();
                    let variants = variants.map(|(i, variant)| {
                        self.node(variant, &format!("{pointer}/{keyword}/{i}"), depth)
                    });
                    lowered.insert("anyOf".into(), variants.collect::<Result<_, _>>()?);
                }
                // The order of a tuple's items cannot be said.
                "prefixItems" => return Err(relaxed(pointer, keyword)),
                "const" if !self.rules.constants => {
                    lowered.insert("enum".into(), json!([value]));
                    if let Some(kind) = type_of(value) {
                        lowered.entry("type").or_insert_with(|| kind.into());
                    }
                }
                "default" if value.is_null() => {}
                keyword if NOISE.contains(&keyword) || keyword.starts_with("x-") => {}
                "format"
                    if value.as_str().is_some_and(|format| NUMBER_FORMATS.contains(&format)) => {}
                shape if SHAPE.contains(&shape) => {
                    lowered.insert(keyword.clone(), value.clone());
                }
                _ if self.enforces(keyword, value) => {
                    lowered.insert(keyword.clone(), value.clone());
                }
                _ => {
                    self.relaxed.push(relaxed(pointer, keyword));
                    notes.push(format!("{keyword}: {value}"));
                }
            }
        }
        if object.get("type").is_some_and(|kind| kind == "object")
            || object.contains_key("properties")
        {
            self.members(object, &mut lowered, pointer, depth)?;
        }
        if !notes.is_empty() {
            describe(&mut lowered, &notes.join(", "));
        }
        Ok(Value::Object(lowered))
    }

    /// The members of an object, which strict dialects want closed.
    fn members(
        &mut self,
        object: &Object,
        lowered: &mut Object,
        pointer: &str,
        depth: usize,
    ) -> Result<(), Relaxed> {
        let no_properties = Object::new();
        let properties =
            object.get("properties").and_then(Value::as_object).unwrap_or(&no_properties);
        let is_map = match object.get("additionalProperties") {
            None => properties.is_empty(),
            Some(rest) => !matches!(rest, Value::Bool(false)),
        };
        if is_map {
            return Err(relaxed(pointer, "additionalProperties"));
        }
        self.properties += properties.len();
        if self.properties > self.rules.max_properties {
            return Err(relaxed(pointer, "properties"));
        }
        let required: Vec<_> =
            object.get("required").and_then(Value::as_array).into_iter().flatten().collect();
        let mut members = Object::new();
        for (name, member) in properties {
            let mut member =
                self.node(member, &format!("{pointer}/properties/{}", escaped(name)), depth + 1)?;
            if self.rules.all_required && !required.iter().any(|required| *required == name) {
                make_nullable(&mut member);
            }
            members.insert(name.clone(), member);
        }
        let required: Vec<Value> = match self.rules.all_required {
            true => members.keys().map(|name| name.as_str().into()).collect(),
            false => required.into_iter().cloned().collect(),
        };
        lowered.insert("type".into(), "object".into());
        lowered.insert("properties".into(), members.into());
        lowered.insert("required".into(), required.into());
        if self.rules.closed {
            lowered.insert("additionalProperties".into(), false.into());
        }
        Ok(())
    }

    fn enforces(&self, keyword: &str, value: &Value) -> bool {
        let listed = self.rules.constraints.contains(&keyword);
        match keyword {
            "format" => {
                listed && value.as_str().is_some_and(|format| self.rules.formats.contains(&format))
            }
            // A look-around is the one thing that the pattern dialect lacks.
            "pattern" => listed && value.as_str().is_some_and(|pattern| !pattern.contains("(?")),
            "minItems" => {
                listed && value.as_u64().is_some_and(|count| count <= self.rules.max_min_items)
            }
            _ => listed,
        }
    }

    /// The definition that a node refers to.
    fn target<'s>(&'s self, schema: &'s Value) -> Option<(&'s str, &'s Value)> {
        let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        Some((name, self.definitions.get(name)?))
    }

    /// Tells whether a node refers to a definition, directly or through others.
    fn leads_to<'s>(&'s self, schema: &'s Value, goal: &str, seen: &mut Vec<&'s str>) -> bool {
        if let Some((name, target)) = self.target(schema) {
            if name == goal {
                return true;
            }
            if !seen.contains(&name) {
                seen.push(name);
                return self.leads_to(target, goal, seen);
            }
        }
        match schema {
            Value::Object(object) => object.values().any(|value| self.leads_to(value, goal, seen)),
            Value::Array(values) => values.iter().any(|value| self.leads_to(value, goal, seen)),
            _ => false,
        }
    }
}

/// The target of a reference with the keywords that stood beside the reference.
fn merged(target: &Value, beside: &Value, without: &[&str]) -> Value {
    let mut merged = target.as_object().cloned().unwrap_or_default();
    for (keyword, value) in beside.as_object().into_iter().flatten() {
        if !without.contains(&keyword.as_str()) {
            merged.insert(keyword.clone(), value.clone());
        }
    }
    Value::Object(merged)
}

/// Lets a node also be `null`.
fn make_nullable(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    if node.contains_key("$ref") || node.contains_key("const") {
        *schema = json!({"anyOf": [schema.take(), {"type": "null"}]});
        return;
    }
    if let Some(Value::Array(variants)) = node.get_mut("anyOf") {
        if !variants.iter().any(|variant| variant["type"] == "null") {
            variants.push(json!({"type": "null"}));
        }
        return;
    }
    match node.get_mut("type") {
        Some(Value::Array(types)) if !types.iter().any(|kind| kind == "null") => {
            types.push("null".into())
        }
        Some(kind @ Value::String(_)) if kind != "null" => *kind = json!([kind.take(), "null"]),
        _ => {}
    }
    if let Some(Value::Array(values)) = node.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(_) => Some("string"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        _ => None,
    }
}
