//! JSON Schema of Rust types, and its lowering to what each provider accepts.
//!
//! A [`Schema`] is JSON Schema 2020-12, made from a type by `schemars`, which stays
//! behind this module. Providers accept different subsets; [`Schema::lower`]
//! rewrites a schema for one of them and says what it had to give up. Whatever a
//! provider does not enforce is still checked when the value is decoded. A [`SchemaSet`] puts
//! the schemas of many types into one document.

mod object;
mod problem;
mod set;
mod lower;

pub use lower::{Dialect, Lowered};
pub use object::ObjectSchema;
pub(crate) use object::without_null;
pub use set::{SchemaSet, TypeSchema};

use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A type that has a JSON Schema.
///
/// Derive it beside `Deserialize`: doc comments become descriptions, and the
/// `#[serde(…)]` attributes that change the JSON change the schema as well.
///
/// ```
/// use ember::{JsonSchema, Schema};
/// use serde::Deserialize;
///
/// /// A unit of temperature.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(rename_all = "lowercase")]
/// enum Unit { Celsius, Fahrenheit }
///
/// let schema = Schema::of::<Unit>();
/// assert_eq!(schema.as_value()["enum"], serde_json::json!(["celsius", "fahrenheit"]));
/// assert_eq!(schema.as_value()["description"], "A unit of temperature.");
/// ```
#[diagnostic::on_unimplemented(
    message = "the type `{Self}` has no JSON Schema",
    label = "no JSON Schema",
    note = "derive one for a type of your own: `#[derive(serde::Deserialize, ember::JsonSchema)]`"
)]
pub trait JsonSchema: schemars::JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: schemars::JsonSchema + ?Sized> JsonSchema for T {}

/// A JSON Schema document, draft 2020-12.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema(Value);

impl Schema {
    /// Makes the schema of a type, as it is read from JSON.
    pub fn of<T: JsonSchema + ?Sized>() -> Self {
        let mut schema = settings().into_generator().into_root_schema_for::<T>();
        schema.remove("$schema");
        // The name of a Rust type tells the reader of the JSON nothing.
        schema.remove("title");
        Self(schema.to_value())
    }

    /// The document.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// The document, by value.
    pub fn into_value(self) -> Value {
        self.0
    }

    /// Rewrites the schema for a provider.
    pub fn lower(&self, dialect: Dialect) -> Lowered {
        lower::lower(&self.0, dialect)
    }
}

impl From<Value> for Schema {
    /// Takes a document as it stands.
    fn from(document: Value) -> Self {
        Self(document)
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        schema.0
    }
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12()
}
