use crate::base::Schema;
use serde_json::{Map, Value, json};

/// A parameter of a tool that is put together by hand.
///
/// ```
/// use ember::llm::tool::ParameterSchema;
///
/// let schema = ParameterSchema::object([
///     ParameterSchema::new("query", "string", "What to search for."),
///     ParameterSchema::new("limit", "integer", "How many results.").optional(),
/// ]);
/// assert_eq!(schema.as_value()["required"], serde_json::json!(["query"]));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSchema {
    name: String,
    schema: Map<String, Value>,
    required: bool,
}

impl ParameterSchema {
    /// A required parameter of a JSON type: `string`, `integer`, `number`, `boolean`, `array` or `object`.
    pub fn new(
        name: impl Into<String>,
        json_type: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let mut schema = Map::new();
        schema.insert("type".into(), Value::String(json_type.into()));
        schema.insert("description".into(), Value::String(description.into()));
        Self { name: name.into(), schema, required: true }
    }

    /// Lets the parameter be left out.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Lists the only values that are allowed.
    #[must_use]
    pub fn one_of<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.schema.insert("enum".into(), values.into_iter().map(Into::into).collect());
        self
    }

    /// The schema of an object with these parameters.
    pub fn object(parameters: impl IntoIterator<Item = Self>) -> Schema {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for parameter in parameters {
            if parameter.required {
                required.push(Value::String(parameter.name.clone()));
            }
            properties.insert(parameter.name, Value::Object(parameter.schema));
        }
        Schema::from(json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }))
    }
}
