use super::notes::{Object, describe, escaped, is_annotation, is_noise, relaxed};
use super::references::{References, definition, holds_definitions, without_definitions};
use super::rules::Rules;
use super::unite::{Clash, united};
use super::{Lowered, Relaxed, openapi};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Formats that `schemars` gives to numbers; the bounds beside them say the same.
const NUMBER_FORMATS: &[&str] = &[
    "int8", "int16", "int32", "int64", "int128", "int", "uint8", "uint16", "uint32", "uint64",
    "uint128", "uint", "float", "double",
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
    let references = References::new(schema);
    let mut walker = Walker {
        rules,
        references,
        referred: Vec::new(),
        inlined: Vec::new(),
        relaxed: Vec::new(),
        properties: 0,
    };
    let mut root = walker.root(schema)?;
    if rules.openapi {
        openapi::say(&mut root, "", &mut walker.relaxed)?;
    }
    // Gemini's root may be a list as well; alternatives are nobody's root.
    let kind = root.get("type").and_then(Value::as_str);
    if kind != Some("object") && !(rules.openapi && kind.is_some()) {
        return Err(relaxed("", "type"));
    }
    let definitions = walker.definitions()?;
    if !definitions.is_empty() {
        root["$defs"] = definitions.into();
    }
    Ok(Lowered { schema: root, strict: true, relaxed: walker.relaxed })
}

struct Walker<'a> {
    rules: &'a Rules,
    references: References<'a>,
    /// The names of the definitions that what is written refers to.
    referred: Vec<String>,
    /// The references that lead back to themselves, within whose targets the walk is.
    inlined: Vec<String>,
    relaxed: Vec<Relaxed>,
    properties: usize,
}

impl Walker<'_> {
    /// The root may not be a reference: it is replaced by what it refers to.
    fn root(&mut self, schema: &Value) -> Result<Value, Relaxed> {
        let mut root = without_definitions(schema);
        let reference = root.get("$ref").and_then(Value::as_str);
        if let Some(target) = reference.and_then(|reference| self.references.target(reference)) {
            root.shift_remove("$ref");
            root = united(&root, &without_definitions(target)).map_err(|_| relaxed("", "$ref"))?;
        }
        self.node(&root.into(), "", 0)
    }

    /// The definitions that are referred to, by the root or by each other.
    fn definitions(&mut self) -> Result<Object, Relaxed> {
        let mut lowered = Object::new();
        while let Some((name, schema)) = self
            .references
            .definitions()
            .find(|(name, _)| self.referred.contains(name) && !lowered.contains_key(*name))
        {
            let pointer = format!("/$defs/{}", escaped(name));
            lowered.insert(name.clone(), self.node(schema, &pointer, 1)?);
        }
        Ok(lowered)
    }

    fn node(&mut self, schema: &Value, pointer: &str, depth: usize) -> Result<Value, Relaxed> {
        // `true` and `{}` allow anything, which no strict dialect can say.
        let Some(object) = schema.as_object().filter(|object| !object.is_empty()) else {
            return Err(relaxed(pointer, "true"));
        };
        if depth > self.rules.max_depth {
            return Err(relaxed(pointer, "depth"));
        }
        if let Some(reference) = object.get("$ref") {
            let reference = reference.as_str().ok_or_else(|| relaxed(pointer, "$ref"))?;
            return self.reference(reference, &without(object, "$ref"), pointer, depth);
        }
        match object.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            Some([Value::Object(only)]) => {
                let whole = united(&without(object, "allOf"), only);
                let whole = whole.map_err(|_| relaxed(pointer, "allOf"))?;
                return self.node(&whole.into(), pointer, depth);
            }
            Some(_) => return Err(relaxed(pointer, "allOf")),
            None => {}
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(variants)) = object.get(keyword) {
                let beside = without(object, keyword);
                let place = format!("{pointer}/{keyword}");
                return self.alternatives(variants, &beside, pointer, &place, depth);
            }
        }
        self.plain_node(object, pointer, depth)
    }

    /// A reference, and what stands beside it: a strict dialect refuses siblings of a reference,
    /// so that these and what it leads to become one schema.
    fn reference(
        &mut self,
        reference: &str,
        beside: &Object,
        pointer: &str,
        depth: usize,
    ) -> Result<Value, Relaxed> {
        let inexpressible = || relaxed(pointer, "$ref");
        let target = self.references.target(reference).ok_or_else(inexpressible)?;
        let recursive = self.references.leads(target, reference);
        if recursive && !self.rules.recursion {
            return Err(inexpressible());
        }
        let name = definition(reference);
        let can_stay = !self.rules.openapi && (name.is_some() || reference == "#");
        let is_bare = beside.is_empty();
        let only_tells = beside.keys().all(|keyword| is_annotation(keyword));
        if can_stay && (is_bare || recursive && only_tells) {
            self.referred.extend(name);
            return Ok(json!({"$ref": reference}));
        }
        let whole = united(beside, &without_definitions(target)).map_err(|_| inexpressible())?;
        if !recursive {
            return self.node(&whole.into(), pointer, depth);
        }
        // What leads back to itself in this way again has no end.
        if self.inlined.iter().any(|inlined| inlined == reference) {
            return Err(inexpressible());
        }
        self.inlined.push(reference.to_owned());
        let lowered = self.node(&whole.into(), pointer, depth);
        self.inlined.pop();
        lowered
    }

    /// Alternatives. What stands beside them holds for each, and becomes part of each: the members
    /// of an object that is closed must stand in one place.
    fn alternatives(
        &mut self,
        variants: &[Value],
        beside: &Object,
        pointer: &str,
        place: &str,
        depth: usize,
    ) -> Result<Value, Relaxed> {
        let (told, shared): (Object, Object) =
            beside.clone().into_iter().partition(|(keyword, _)| is_annotation(keyword));
        let mut lowered = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let variant = match variant {
                variant if shared.is_empty() => Cow::Borrowed(variant),
                Value::Object(variant) => match united(variant, &shared) {
                    Ok(whole) => Cow::Owned(whole.into()),
                    // It was none.
                    Err(Clash::Never) => continue,
                    Err(Clash::Unsaid) => return Err(relaxed(pointer, "anyOf")),
                },
                Value::Bool(false) => continue,
                _ => Cow::Owned(shared.clone().into()),
            };
            let variant = self.node(&variant, &format!("{place}/{index}"), depth)?;
            match variant.as_object().map(|variant| (variant.len(), variant.get("anyOf"))) {
                // Alternatives of alternatives are alternatives.
                Some((1, Some(Value::Array(inner)))) => lowered.extend_from_slice(inner),
                _ => lowered.push(variant),
            }
        }
        let mut node = self.keywords(&told, pointer, depth)?;
        match &mut lowered[..] {
            [] => return Err(relaxed(pointer, "anyOf")),
            // One alternative is none.
            [only] if node.is_empty() => return Ok(only.take()),
            _ => node.insert("anyOf".into(), lowered.into()),
        };
        Ok(node.into())
    }

    /// A node that is neither a reference nor alternatives.
    fn plain_node(
        &mut self,
        object: &Object,
        pointer: &str,
        depth: usize,
    ) -> Result<Value, Relaxed> {
        let mut lowered = self.keywords(object, pointer, depth)?;
        if may_be(object, "object") || object.contains_key("properties") {
            self.members(object, &mut lowered, pointer, depth)?;
        }
        if may_be(object, "array") && !lowered.contains_key("items") {
            return Err(relaxed(pointer, "items"));
        }
        if !lowered.contains_key("type") {
            let kinds = type_of_values(&lowered);
            lowered.extend(kinds.map(|kinds| ("type".to_owned(), kinds)));
        }
        // A description alone allows anything.
        match ["type", "enum", "const"].iter().any(|keyword| lowered.contains_key(*keyword)) {
            true => Ok(lowered.into()),
            false => Err(relaxed(pointer, "true")),
        }
    }

    /// What is left of the keywords of a node, but for those of its members.
    fn keywords(
        &mut self,
        object: &Object,
        pointer: &str,
        depth: usize,
    ) -> Result<Object, Relaxed> {
        let mut lowered = Object::new();
        let mut notes = Vec::new();
        for (keyword, value) in object {
            match keyword.as_str() {
                "properties" | "required" | "additionalProperties" => {}
                keyword if holds_definitions(keyword) => {}
                "items" => {
                    let items = self.node(value, &format!("{pointer}/items"), depth + 1)?;
                    lowered.insert(keyword.clone(), items);
                }
                // The order of a tuple's items cannot be said, nor members without their names.
                "prefixItems" | "patternProperties" => return Err(relaxed(pointer, keyword)),
                "unevaluatedProperties" if *value == Value::Bool(false) => {}
                "unevaluatedProperties" => return Err(relaxed(pointer, keyword)),
                "const" if !self.rules.constants => {
                    lowered.insert("enum".into(), json!([value]));
                }
                "default" if value.is_null() => {}
                keyword if is_noise(keyword) => {}
                "format"
                    if value.as_str().is_some_and(|format| NUMBER_FORMATS.contains(&format)) => {}
                "type" | "enum" | "const" | "description" => {
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
        if !notes.is_empty() {
            describe(&mut lowered, &notes.join(", "));
        }
        Ok(lowered)
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
            // The other keyword is only left if it closes the object.
            None => properties.is_empty() && !object.contains_key("unevaluatedProperties"),
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
        // What must be there must have a place.
        if !required
            .iter()
            .all(|name| name.as_str().is_some_and(|name| properties.contains_key(name)))
        {
            return Err(relaxed(pointer, "required"));
        }
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
        lowered.entry("type").or_insert_with(|| "object".into());
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
}

/// An object without one of its keywords.
fn without(object: &Object, keyword: &str) -> Object {
    let mut object = object.clone();
    object.shift_remove(keyword);
    object
}

/// Tells whether a node says that it may be of a type.
fn may_be(object: &Object, kind: &str) -> bool {
    match object.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|known| known == kind),
        known => known.is_some_and(|known| known == kind),
    }
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

/// The type of the values that a node lists, where it has not said it.
fn type_of_values(node: &Object) -> Option<Value> {
    let mut values = match (node.get("const"), node.get("enum")) {
        (Some(only), _) => std::slice::from_ref(only).iter(),
        (None, Some(Value::Array(values))) => values.iter(),
        _ => return None,
    };
    let first = type_of(values.next()?)?;
    let mut kinds = vec![first];
    for value in values {
        let kind = type_of(value)?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Some(if kinds.len() == 1 { first.into() } else { kinds.into() })
}

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => Some("null"),
        Value::String(_) => Some("string"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::Array(_) | Value::Object(_) => None,
    }
}
