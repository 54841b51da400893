use super::{FromToolContext, ToolContext, ToolError};
use crate::base::JsonSchema;
use crate::base::schema::{ObjectSchema, Schema};
use serde::de::value::Error as ValueError;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

/// The arguments of a call, as the model gave them, on their way to a function's parameters.
///
/// Every mistake is noted, so that the model can mend them all at once.
#[derive(Debug)]
pub struct Arguments {
    members: Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: Vec<String>,
    context: ToolContext,
}

impl Arguments {
    /// Takes the arguments of a call, which must be an object.
    ///
    /// # Errors
    /// When they are anything else.
    pub fn new(value: Value) -> Result<Self, ToolError> {
        match value {
            Value::Object(members) => Ok(Self {
                members,
                known: Vec::new(),
                mistakes: Vec::new(),
                context: ToolContext::new(),
            }),
            // Some models write `null` where a tool has no parameters.
            Value::Null => Self::new(Value::Object(Map::new())),
            other => {
                Err(ToolError::new(format!("the arguments must be a JSON object, not {other}")))
            }
        }
    }

    /// Sets what the function can reach beside its arguments.
    #[must_use]
    pub fn context(mut self, context: ToolContext) -> Self {
        self.context = context;
        self
    }

    /// Takes a value that the model does not give.
    ///
    /// # Errors
    /// When the context lacks it.
    pub fn supply<T: FromToolContext>(&self) -> Result<T, ToolError> {
        T::from_context(&self.context)
    }

    /// The arguments as one value.
    pub fn into_value(self) -> Value {
        Value::Object(self.members)
    }

    /// Takes an argument. One whose type allows it, such as `Option<T>`, may be missing.
    ///
    /// `None` means that it was not usable; [`Arguments::refuse`] tells why.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        match self.members.remove(name) {
            Some(value) => self.read(name, value),
            None => {
                let missing = T::deserialize(Missing).ok();
                if missing.is_none() {
                    self.mistakes.push(format!("the argument `{name}` is missing"));
                }
                missing
            }
        }
    }

    /// Takes an argument that has a default, which also stands for `null`.
    pub fn take_or<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        self.known.push(name);
        match self.members.remove(name) {
            None | Some(Value::Null) => Some(default()),
            Some(value) => self.read(name, value),
        }
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str, value: Value) -> Option<T> {
        let mistake = match serde_path_to_error::deserialize::<_, T>(value) {
            Ok(value) => return Some(value),
            Err(error) if error.path().iter().len() == 0 => {
                format!("the argument `{name}` does not fit: {error}")
            }
            Err(error) => format!(
                "the argument `{name}` does not fit at `{}`: {}",
                pointer(error.path()),
                error.inner()
            ),
        };
        self.mistakes.push(mistake);
        None
    }

    /// Says everything that is wrong with the arguments.
    pub fn refuse(mut self) -> ToolError {
        self.note_unknown();
        ToolError::new(self.mistakes.join("; "))
    }

    /// Checks that nothing was given that no parameter takes.
    ///
    /// # Errors
    /// When something was.
    pub fn finish(mut self) -> Result<(), ToolError> {
        self.note_unknown();
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.refuse()) }
    }

    fn note_unknown(&mut self) {
        for name in std::mem::take(&mut self.members).keys() {
            let hint = match &self.known[..] {
                [] => "the tool has no parameters".to_owned(),
                known => format!("the parameters are `{}`", known.join("`, `")),
            };
            self.mistakes.push(format!("there is no parameter `{name}`; {hint}"));
        }
    }
}

/// A place within an argument as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let steps = path.iter().map(|step| match step {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        // A variant of an enum is the member that is named after it.
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => "/?".to_owned(),
    });
    steps.collect()
}

/// The parameters of a tool, as they are described to a model.
#[derive(Debug, Default)]
pub struct Parameters(ObjectSchema);

impl Parameters {
    /// Adds a parameter. One whose type allows it, such as `Option<T>`, may be left out.
    pub fn add<T: JsonSchema + DeserializeOwned>(&mut self, name: &str, description: &str) {
        // The type itself is asked, so that an alias of `Option` counts as well.
        match T::deserialize(Missing) {
            Ok(_) => self.0.optional::<T>(name, description, None),
            Err(_) => self.0.required::<T>(name, description),
        };
    }

    /// Adds a parameter with a default, given as JSON where the type can be written.
    pub fn add_or<T: JsonSchema>(&mut self, name: &str, description: &str, default: Option<Value>) {
        self.0.optional::<T>(name, description, default);
    }

    /// The schema of all of them.
    pub fn finish(self) -> Schema {
        self.0.finish()
    }
}

/// Stands for an argument that is not there: only types that can do without are made of it.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
        Err(de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_read_by_name_and_type() {
        let mut arguments = Arguments::new(json!({"city": "Paris", "days": null})).unwrap();
        assert_eq!(arguments.take::<String>("city").unwrap(), "Paris");
        assert_eq!(arguments.take_or("days", || 3_u8), Some(3));
        assert_eq!(arguments.take::<Option<bool>>("deep"), Some(None));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut arguments = Arguments::new(json!({"days": ["x"], "citty": "Paris"})).unwrap();
        assert_eq!(arguments.take::<String>("city"), None);
        assert_eq!(arguments.take::<Vec<u8>>("days"), None);
        let error = arguments.refuse();
        assert_eq!(
            error.message(),
            "the argument `city` is missing; \
             the argument `days` does not fit at `/0`: invalid type: string \"x\", expected u8; \
             there is no parameter `citty`; the parameters are `city`, `days`"
        );
    }

    #[test]
    fn only_an_object_or_nothing_will_do() {
        assert!(Arguments::new(json!([1])).is_err());
        assert!(Arguments::new(Value::Null).unwrap().finish().is_ok());
    }

    #[test]
    fn an_alias_of_option_is_optional() {
        type Maybe = Option<u8>;
        let mut parameters = Parameters::default();
        parameters.add::<Maybe>("a", "");
        parameters.add::<u8>("b", "");
        assert_eq!(parameters.finish().as_value()["required"], json!(["b"]));
    }
}
