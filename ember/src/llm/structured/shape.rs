//! What an answer must look like, and how one is read.

use super::nulls::without_absent;
use crate::base::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The schema of an answer, whose root is an object: providers demand that.
#[derive(Debug)]
pub(super) struct Shape {
    /// What the provider calls it: letters, digits, `_` and `-`, at most 64.
    pub(super) name: String,
    pub(super) schema: Schema,
    /// Whether the value stands in the member [`VALUE`] of an object, being none itself.
    wrapped: bool,
}

/// The member that holds a value which is no object.
const VALUE: &str = "value";

impl Shape {
    pub(super) fn of<T: JsonSchema>() -> Self {
        let schema = Schema::of::<T>().into_value();
        let wrapped = !is_object(&schema, &schema);
        let schema = if wrapped { wrap(schema) } else { schema };
        Self { name: name_of(std::any::type_name::<T>()), schema: schema.into(), wrapped }
    }

    /// The value itself, of an answer that may not be complete.
    pub(super) fn unwrapped(&self, mut answer: Value) -> Option<Value> {
        if !self.wrapped {
            return Some(answer);
        }
        answer.get_mut(VALUE).map(Value::take)
    }

    /// Reads an answer: as JSON, by the schema, as the type. What is wrong is told in sentences for
    /// the model.
    pub(super) fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, Vec<String>> {
        let Some(json) = json_of(text) else {
            return Err(vec!["the answer holds no JSON object".to_owned()]);
        };
        // Members behind the value are let pass: some models say good-bye.
        let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
        let mut value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(vec![format!("the answer is no valid JSON: {error}")]),
            None => return Err(vec!["the answer holds no JSON object".to_owned()]),
        };
        without_absent(&mut value, self.schema.as_value());
        validate(self.schema.as_value(), &value)?;
        let value = self.unwrapped(value).ok_or_else(|| vec![format!("`{VALUE}` is missing")])?;
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." { "the value".to_owned() } else { format!("`{path}`") };
            vec![format!("at {place}: {}", error.inner())]
        })
    }
}

/// The part of a text in which its JSON begins: models put words or a fence before it.
pub(super) fn json_of(text: &str) -> Option<&str> {
    text.find('{').map(|start| &text[start..])
}

/// How many mistakes are told at once.
#[cfg(feature = "jsonschema")]
const MAX_MISTAKES: usize = 16;

/// Checks a value by a schema; every mistake is told, with its place.
#[cfg(feature = "jsonschema")]
fn validate(schema: &Value, value: &Value) -> Result<(), Vec<String>> {
    // A schema that the library does not understand checks nothing; the type still does.
    let Ok(validator) = jsonschema::draft202012::new(schema) else {
        return Ok(());
    };
    let mistakes = validator.iter_errors(value).take(MAX_MISTAKES).map(|error| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the root".to_owned() } else { format!("`{place}`") };
        // The value may be long; the place tells which it is.
        format!("at {place}: {}", error.masked_with("the value"))
    });
    match mistakes.collect::<Vec<_>>() {
        mistakes if mistakes.is_empty() => Ok(()),
        mistakes => Err(mistakes),
    }
}

#[cfg(not(feature = "jsonschema"))]
fn validate(_: &Value, _: &Value) -> Result<(), Vec<String>> {
    Ok(())
}

/// Tells whether a schema allows objects only, and says so at its root.
fn is_object(schema: &Value, root: &Value) -> bool {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target
            .is_some_and(|target| target.get("$ref").is_none() && is_object(target, root));
    }
    let is_plain = ["anyOf", "oneOf", "allOf"].iter().all(|keyword| schema.get(keyword).is_none());
    is_plain && schema.get("type").is_some_and(|kind| kind == "object")
}

/// An object with the value of a schema as its only member. Definitions move to the root, and a
/// schema that refers to itself becomes one of them.
fn wrap(mut schema: Value) -> Value {
    let mut definitions =
        match schema.as_object_mut().and_then(|object| object.shift_remove("$defs")) {
            Some(Value::Object(definitions)) => definitions,
            _ => Map::new(),
        };
    let mut own = VALUE.to_owned();
    while definitions.contains_key(&own) {
        own.push('_');
    }
    let target = format!("#/$defs/{own}");
    let mut refers = redirect(&mut schema, &target);
    for definition in definitions.values_mut() {
        refers |= redirect(definition, &target);
    }
    if refers {
        definitions.insert(own, schema);
        schema = json!({"$ref": target});
    }
    let mut object = json!({
        "type": "object",
        "properties": {VALUE: schema},
        "required": [VALUE],
        "additionalProperties": false,
    });
    if !definitions.is_empty() {
        object["$defs"] = Value::Object(definitions);
    }
    object
}

/// Lets references to the root lead elsewhere; tells whether there were any.
fn redirect(schema: &mut Value, target: &str) -> bool {
    match schema {
        Value::Object(members) => {
            let mut found = false;
            for (keyword, member) in members {
                if keyword == "$ref" && *member == "#" {
                    *member = target.into();
                    found = true;
                } else {
                    found |= redirect(member, target);
                }
            }
            found
        }
        Value::Array(items) => {
            items.iter_mut().fold(false, |found, item| redirect(item, target) | found)
        }
        _ => false,
    }
}

/// A name for the provider, from the type's.
fn name_of(type_name: &str) -> String {
    let outer = type_name.split('<').next().unwrap_or_default();
    let name = outer.rsplit("::").next().unwrap_or_default();
    let allowed = |char: &char| char.is_ascii_alphanumeric() || "_-".contains(*char);
    let name: String = name.chars().filter(allowed).take(64).collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize, schemars::JsonSchema)]
    struct Person {
        name: String,
        #[serde(default)]
        age: u8,
        email: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Tree {
        Leaf(u8),
        Node(Vec<Tree>),
    }

    #[test]
    fn what_is_no_object_stands_in_one() {
        let shape = Shape::of::<Vec<Person>>();
        assert_eq!(shape.schema.as_value()["properties"]["value"]["type"], "array");
        assert!(shape.schema.as_value()["$defs"]["Person"].is_object());
        let people = shape.read::<Vec<Person>>(r#"{"value": [{"name": "Ada"}]}"#).unwrap();
        assert_eq!(people, [Person { name: "Ada".into(), age: 0, email: None }]);
        assert_eq!(shape.unwrapped(json!({})), None);
        assert_eq!((&*shape.name, &*Shape::of::<Person>().name), ("Vec", "Person"));
        assert_eq!((name_of("[u8; 2]"), name_of("()")), ("u82".into(), "answer".into()));
    }

    #[test]
    fn a_type_that_holds_itself_is_still_found() {
        let shape = Shape::of::<Tree>();
        let answer = r#"{"value": {"node": [{"leaf": 1}, {"node": []}]}}"#;
        let tree = Tree::Node(vec![Tree::Leaf(1), Tree::Node(Vec::new())]);
        assert_eq!(shape.read::<Tree>(answer).unwrap(), tree);
        let text = shape.schema.as_value().to_string();
        assert!(!text.contains("\"$ref\":\"#\""), "{text}");
    }

    #[test]
    fn words_and_fences_around_the_value_are_passed_over() {
        let shape = Shape::of::<Person>();
        for text in ["{\"name\": \"Ada\"}", "Here:\n```json\n{\"name\": \"Ada\"}\n```\nBye {"] {
            assert_eq!(shape.read::<Person>(text).unwrap().name, "Ada");
        }
        // Strict providers write `null` for what may be left out.
        let text = r#"{"name": "Ada", "age": null, "email": null}"#;
        assert_eq!(shape.read::<Person>(text).unwrap().age, 0);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let shape = Shape::of::<Person>();
        let mistakes = |text| shape.read::<Person>(text).unwrap_err().join("; ");
        assert_eq!(mistakes("I will not."), "the answer holds no JSON object");
        assert!(mistakes("{\"name\": ").starts_with("the answer is no valid JSON: EOF"));
        let both = mistakes(r#"{"name": 1, "age": 300}"#);
        assert!(both.contains("name"), "{both}");
        #[cfg(feature = "jsonschema")]
        assert!(both.contains("at `/age`") && both.contains("at `/name`"), "{both}");
    }
}
