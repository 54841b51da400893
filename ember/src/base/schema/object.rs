use super::{JsonSchema, Schema, settings};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

/// The schema of an object, put together member by member.
///
/// The `#[tool]` macro calls it once for each argument; types that several members
/// share are defined once, under `$defs`.
#[derive(Debug)]
pub struct ObjectSchema {
    generator: SchemaGenerator,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl ObjectSchema {
    /// An object without members.
    pub fn new() -> Self {
        Self {
            generator: settings().into_generator(),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    /// Adds a member that must be present.
    pub fn required<T: JsonSchema>(&mut self, name: &str, description: &str) -> &mut Self {
        let member = self.generator.subschema_for::<T>().to_value();
        self.required.push(name.into());
        self.member(name, description, member)
    }

    /// Adds a member that may be left out. `Option<T>` is described as `T`.
    pub fn optional<T: JsonSchema>(
        &mut self,
        name: &str,
        description: &str,
        default: Option<Value>,
    ) -> &mut Self {
        let mut member = without_null(self.generator.subschema_for::<T>().to_value());
        if let (Value::Object(member), Some(default)) = (&mut member, default) {
            member.insert("default".into(), default);
        }
        self.member(name, description, member)
    }

    fn member(&mut self, name: &str, description: &str, mut member: Value) -> &mut Self {
        if member == Value::Bool(true) {
            member = json!({});
        }
        if let Value::Object(member) = &mut member
            && !description.is_empty()
        {
            member.insert("description".into(), description.into());
        }
        self.properties.insert(name.to_owned(), member);
        self
    }

    /// Ends the object: further members are not allowed.
    pub fn finish(mut self) -> Schema {
        let mut object = json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        });
        let definitions = self.generator.take_definitions(true);
        if let Value::Object(object) = &mut object
            && !definitions.is_empty()
        {
            object.insert("$defs".into(), definitions.into_iter().collect());
        }
        Schema(object)
    }
}

impl Default for ObjectSchema {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes `null` out of the alternatives of a schema: leaving a member out says the same.
pub(crate) fn without_null(mut schema: Value) -> Value {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &mut types[..] {
            schema["type"] = only.take();
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(variants)) = schema.get_mut("anyOf") {
        variants.retain(|variant| !is_null(variant));
        if let [only] = &mut variants[..]
            && let Value::Object(only) = only.take()
            && let Some(schema) = schema.as_object_mut()
        {
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Point {
        x: f64,
    }

    #[test]
    fn optional_members_do_not_mention_null() {
        let mut object = ObjectSchema::new();
        object
            .required::<String>("city", "Name of the city.")
            .optional::<Option<u32>>("days", "", None)
            .optional::<Option<Point>>("near", "A place.", None)
            .optional::<bool>("deep", "", Some(json!(true)));
        assert_eq!(
            object.finish().into_value(),
            json!({
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Name of the city."},
                    "days": {"type": "integer", "format": "uint32", "minimum": 0},
                    "near": {"$ref": "#/$defs/Point", "description": "A place."},
                    "deep": {"type": "boolean", "default": true},
                },
                "required": ["city"],
                "additionalProperties": false,
                "$defs": {
                    "Point": {
                        "type": "object",
                        "properties": {"x": {"type": "number", "format": "double"}},
                        "required": ["x"],
                    },
                },
            })
        );
    }
}
