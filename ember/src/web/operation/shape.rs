use crate::base::Schema;
use std::any::type_name;

/// What a value looks like in JSON, as far as it is known.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Shape {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Text.
    Text,
    /// What the schema of a type says, by the type's name, if the schema is known.
    Type(&'static str),
    /// What this schema says.
    Schema(Schema),
}

impl Shape {
    /// The shape of a type, which need not have a schema.
    pub fn of<T: ?Sized>() -> Self {
        Self::Type(type_name::<T>())
    }
}

impl From<Schema> for Shape {
    fn from(schema: Schema) -> Self {
        Self::Schema(schema)
    }
}
