use super::{JsonSchema, settings};
use schemars::SchemaGenerator;
use serde_json::{Map, Value};
use std::any::type_name;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The schema of a type, to be made when a document needs it.
#[derive(Clone, Copy)]
pub struct TypeSchema {
    type_name: &'static str,
    make: fn(&mut SchemaGenerator) -> schemars::Schema,
}

impl TypeSchema {
    /// The schema of `T`.
    pub fn of<T: JsonSchema + ?Sized>() -> Self {
        Self { type_name: type_name::<T>(), make: |generator| generator.subschema_for::<T>() }
    }

    /// The name of the type, as [`std::any::type_name`] gives it.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Debug for TypeSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypeSchema").field(&self.type_name).finish()
    }
}

/// The schemas of many types in one document, where each named type is defined once.
///
/// A type can be read in one shape and written in another: a member with a default may be left
/// out of what is read, and is never missing from what is written. Where a document needs both and
/// they differ, the one that is read is defined under the type's name with `Input` behind it. Two types of one
/// name are numbered, in the order in which they were given.
pub struct SchemaSet {
    types: BTreeMap<&'static str, TypeSchema>,
    read: SchemaGenerator,
    written: SchemaGenerator,
}

/// Where definitions stand in the document.
const DEFINITIONS: &str = "/components/schemas";

/// Where they stand until the two shapes have been compared.
const DEFINITIONS_READ: &str = "/components/schemas-read";

impl SchemaSet {
    /// A set that knows these types.
    pub fn new(types: impl IntoIterator<Item = TypeSchema>) -> Self {
        let generator = |path: &'static str| {
            settings().with(|settings| {
                settings.definitions_path = path.into();
                settings.meta_schema = None;
            })
        };
        let mut set = Self {
            types: BTreeMap::new(),
            read: generator(DEFINITIONS_READ).for_deserialize().into_generator(),
            written: generator(DEFINITIONS).for_serialize().into_generator(),
        };
        for schema in types {
            // Both generators meet all types in the same order, so that they number alike.
            if set.types.insert(schema.type_name, schema).is_none() {
                (schema.make)(&mut set.read);
                (schema.make)(&mut set.written);
            }
        }
        set
    }

    /// The schema of a type as it is read, if the type is known.
    pub fn read(&mut self, type_name: &str) -> Option<Value> {
        let schema = self.types.get(type_name)?;
        Some(plain((schema.make)(&mut self.read)))
    }

    /// The schema of a type as it is written, if the type is known.
    pub fn written(&mut self, type_name: &str) -> Option<Value> {
        let schema = self.types.get(type_name)?;
        Some(plain((schema.make)(&mut self.written)))
    }

    /// The members of a type as it is read: name, schema, and whether it must be there.
    ///
    /// Members of alternatives need not be there. `None` when the type is unknown or no object.
    pub fn members(&mut self, type_name: &str) -> Option<Vec<(String, Value, bool)>> {
        let schema = self.read(type_name)?;
        let mut members = Vec::new();
        self.collect_members(&schema, true, &mut members, 0);
        (!members.is_empty()).then_some(members)
    }

    fn collect_members(
        &self,
        schema: &Value,
        surely: bool,
        members: &mut Vec<(String, Value, bool)>,
        depth: usize,
    ) {
        // Types that contain themselves have no end.
        if depth > 8 {
            return;
        }
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(name) = reference.and_then(|text| definition(text, DEFINITIONS_READ))
            && let Some(definition) = self.read.definitions().get(&*name)
        {
            self.collect_members(definition, surely, members, depth + 1);
        }
        let required = schema.get("required").and_then(Value::as_array);
        for (name, member) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            if members.iter().all(|(known, ..)| known != name) {
                let required =
                    required.is_some_and(|required| required.iter().any(|known| known == name));
                members.push((name.clone(), member.clone(), surely && required));
            }
        }
        for (keyword, surely) in [("allOf", surely), ("anyOf", false), ("oneOf", false)] {
            for part in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.collect_members(part, surely, members, depth + 1);
            }
        }
    }

    /// The definitions that the document refers to, whose references are put right.
    pub fn finish(mut self, document: &mut Value) -> Map<String, Value> {
        let read = used(document, self.read.take_definitions(true), DEFINITIONS_READ);
        let written = used(document, self.written.take_definitions(true), DEFINITIONS);
        let differing = differing(&read, &written);
        let mut names = BTreeMap::new();
        for name in read.keys() {
            let mut wanted = Cow::Borrowed(name);
            if differing.contains(name) {
                wanted = Cow::Owned(format!("{name}Input"));
                let mut number = 2;
                while written.contains_key(&*wanted) || read.contains_key(&*wanted) {
                    wanted = Cow::Owned(format!("{name}Input{number}"));
                    number += 1;
                }
            }
            names.insert(name.clone(), key(&wanted));
        }
        let rename = |value: &mut Value| {
            each_reference(value, &mut |reference| {
                let name = match definition(reference, DEFINITIONS_READ) {
                    Some(name) => names.get(&*name).cloned(),
                    None => definition(reference, DEFINITIONS).map(|name| key(&name)),
                };
                name.map(|name| format!("#{DEFINITIONS}/{name}"))
            });
        };
        rename(document);
        bound_integers(document);
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        for (name, mut value) in read {
            rename(&mut value);
            all.insert(names[&name].clone(), value);
        }
        for (name, mut value) in written {
            rename(&mut value);
            all.insert(key(&name), value);
        }
        all.values_mut().for_each(bound_integers);
        all.into_iter().collect()
    }
}

impl fmt::Debug for SchemaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaSet").field("types", &self.types.keys()).finish_non_exhaustive()
    }
}

/// The schema `true` as an object, which can take a description.
fn plain(schema: schemars::Schema) -> Value {
    match schema.to_value() {
        Value::Bool(true) => Value::Object(Map::new()),
        schema => schema,
    }
}

/// Says how far integers go: their format tells it to whoever knows the format, bounds tell everybody.
fn bound_integers(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(bound_integers);
            let bounds: Option<(Value, Value)> = match object.get("format").and_then(Value::as_str)
            {
                Some("int32") => Some((i32::MIN.into(), i32::MAX.into())),
                Some("uint32") => Some((0.into(), u32::MAX.into())),
                Some("int64") => Some((i64::MIN.into(), i64::MAX.into())),
                Some("uint64") => Some((0.into(), u64::MAX.into())),
                _ => None,
            };
            let is_integer = match object.get("type") {
                Some(Value::Array(types)) => types.iter().any(|name| name == "integer"),
                name => name.is_some_and(|name| name == "integer"),
            };
            if let Some((least, most)) = bounds.filter(|_| is_integer) {
                object.entry("minimum").or_insert(least);
                object.entry("maximum").or_insert(most);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// The definitions of a folder that the document refers to, by itself or through others.
fn used(document: &Value, mut all: Map<String, Value>, folder: &str) -> BTreeMap<String, Value> {
    let mut used = BTreeMap::new();
    let mut next = references(document, folder);
    while let Some(name) = next.pop_first() {
        if let Some(definition) = all.remove(&name) {
            next.extend(references(&definition, folder));
            used.insert(name, definition);
        }
    }
    used
}

/// The names whose two shapes differ, in themselves or in what they refer to.
fn differing(
    read: &BTreeMap<String, Value>,
    written: &BTreeMap<String, Value>,
) -> BTreeSet<String> {
    let as_written = |value: &Value| {
        let mut value = value.clone();
        each_reference(&mut value, &mut |reference| {
            let path = reference.strip_prefix('#')?.strip_prefix(DEFINITIONS_READ)?;
            Some(format!("#{DEFINITIONS}{path}"))
        });
        value
    };
    let (mut alike, differing): (BTreeMap<_, _>, BTreeMap<_, _>) = read
        .iter()
        .filter(|(name, _)| written.contains_key(*name))
        .partition(|(name, value)| as_written(value) == written[*name]);
    let mut differing: BTreeSet<String> = differing.into_keys().cloned().collect();
    loop {
        let before = differing.len();
        alike.retain(|name, value| {
            let refers = !references(value, DEFINITIONS_READ).is_disjoint(&differing);
            if refers {
                differing.insert((*name).clone());
            }
            !refers
        });
        if differing.len() == before {
            return differing;
        }
    }
}

/// The names of the definitions of a folder that a value refers to.
fn references(value: &Value, folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut value = value.clone();
    each_reference(&mut value, &mut |reference| {
        found.extend(definition(reference, folder).map(Cow::into_owned));
        None
    });
    found
}

/// Looks at every reference, and replaces those for which there is something else.
fn each_reference(value: &mut Value, change: &mut dyn FnMut(&str) -> Option<String>) {
    match value {
        Value::Object(object) => {
            for (key, member) in object {
                match member {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(other) = change(reference) {
                            *reference = other;
                        }
                    }
                    member => each_reference(member, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_reference(item, change)),
        _ => {}
    }
}

/// The name of the definition of a folder that a reference leads to.
fn definition<'a>(reference: &'a str, folder: &str) -> Option<Cow<'a, str>> {
    let name = reference.strip_prefix('#')?.strip_prefix(folder)?.strip_prefix('/')?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    match name.contains('~') {
        true => Some(name.replace("~1", "/").replace("~0", "~").into()),
        false => Some(name),
    }
}

/// A name as it may stand in `components` (OpenAPI 3.1 §4.8.7).
fn key(name: &str) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    name.chars().map(|char| if allowed(char) { char } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde_json::json;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Task {
        #[serde(default)]
        done: bool,
        owner: User,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct User {
        name: String,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct List {
        tasks: Vec<Task>,
    }

    mod other {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        pub(super) struct User {
            id: u64,
        }
    }

    fn keys(definitions: &Map<String, Value>) -> Vec<&str> {
        definitions.keys().map(String::as_str).collect()
    }

    #[test]
    fn shapes_that_differ_have_two_definitions_and_the_others_one() {
        let mut set = SchemaSet::new([TypeSchema::of::<List>(), TypeSchema::of::<u8>()]);
        let name = type_name::<List>();
        let mut document = json!({"in": set.read(name), "out": set.written(name)});
        let definitions = set.finish(&mut document);
        assert_eq!(keys(&definitions), ["List", "ListInput", "Task", "TaskInput", "User"]);
        assert_eq!(document["in"]["$ref"], "#/components/schemas/ListInput");
        assert_eq!(document["out"]["$ref"], "#/components/schemas/List");
        assert_eq!(definitions["TaskInput"]["required"], json!(["owner"]));
        assert_eq!(definitions["Task"]["required"], json!(["done", "owner"]));
        let items = &definitions["ListInput"]["properties"]["tasks"]["items"];
        assert_eq!(items["$ref"], "#/components/schemas/TaskInput");
    }

    #[test]
    fn one_shape_alone_has_the_name() {
        let mut set = SchemaSet::new([TypeSchema::of::<List>()]);
        let mut document = json!(set.read(type_name::<List>()));
        assert_eq!(keys(&set.finish(&mut document)), ["List", "Task", "User"]);
    }

    #[test]
    fn what_is_not_referred_to_is_left_out_and_names_are_told_apart() {
        let types =
            [TypeSchema::of::<Task>(), TypeSchema::of::<User>(), TypeSchema::of::<other::User>()];
        let mut set = SchemaSet::new(types);
        let mut document = json!([set.written(type_name::<other::User>()), set.read("unknown")]);
        let definitions = set.finish(&mut document);
        assert_eq!(keys(&definitions), ["User2"]);
        assert!(definitions["User2"]["properties"]["id"].is_object());
        assert_eq!(document[0]["$ref"], "#/components/schemas/User2");
        assert_eq!(document[1], Value::Null);
    }

    #[test]
    fn integers_have_bounds() {
        let mut set = SchemaSet::new([TypeSchema::of::<i32>(), TypeSchema::of::<Option<u64>>()]);
        let mut document =
            json!([set.read(type_name::<i32>()), set.read(type_name::<Option<u64>>())]);
        set.finish(&mut document);
        assert_eq!(document[0]["minimum"], i32::MIN);
        assert_eq!(document[1]["maximum"], u64::MAX);
    }

    #[test]
    fn members_are_found_behind_references() {
        let mut set = SchemaSet::new([TypeSchema::of::<Option<Task>>(), TypeSchema::of::<Task>()]);
        let names = |members: Option<Vec<(String, Value, bool)>>| {
            let members = members.unwrap_or_default();
            members.into_iter().map(|(name, _, must)| (name, must)).collect::<Vec<_>>()
        };
        let task = names(set.members(type_name::<Task>()));
        assert_eq!(task, [("done".to_owned(), false), ("owner".to_owned(), true)]);
        let perhaps = names(set.members(type_name::<Option<Task>>()));
        assert_eq!(perhaps, [("done".to_owned(), false), ("owner".to_owned(), false)]);
    }

    #[test]
    fn names_fit_into_components() {
        assert_eq!(key("Page_for_Task"), "Page_for_Task");
        assert_eq!(key("Page<Täsk>"), "Page_T_sk_");
        assert_eq!(
            definition("#/components/schemas/a~1b%20c", DEFINITIONS).as_deref(),
            Some("a/b c")
        );
        assert_eq!(definition("#/$defs/a", DEFINITIONS), None);
    }
}
