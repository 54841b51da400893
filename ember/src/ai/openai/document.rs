use crate::base::Error;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// How many values the members of a request may have that are looked at. A body of many small
/// ones takes twenty times its size once it is read.
const VALUES: usize = 100_000;

/// A value of a request. Texts and names are those of the body, unless they have escapes.
///
/// A [`Value`] would copy each of them, and hash each name, for a document that is taken apart at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Array(Vec<Self>),
    /// As they are written: of members of one name, the last one counts.
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl Node<'_> {
    /// The text that it is.
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number that it is.
    pub(super) fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// The value, to be kept.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::from(&**text),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(members) => {
                let members = members.iter();
                Value::Object(
                    members.map(|(name, value)| (name.to_string(), value.to_value())).collect(),
                )
            }
        }
    }
}

/// Reads the document of a request: of an object only the members that somebody looks at, as
/// what nobody knows is to cost nothing.
///
/// # Errors
/// Status 400 for what is no JSON, 413 for more values than a request may have.
pub(super) fn read<'a>(body: &'a [u8], is_kept: &dyn Fn(&str) -> bool) -> Result<Node<'a>, Error> {
    let left = Cell::new(VALUES);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Seed { is_kept: Some(is_kept), left: &left }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| match left.get() {
        0 => Error::payload_too_large(format!("The body has more than {VALUES} values.")),
        _ => Error::bad_request(format!("The body is not valid JSON: {error}.")),
    })
}

/// A value, with the count of those that may still come.
#[derive(Clone, Copy)]
struct Seed<'a> {
    /// At the root: which members are kept.
    is_kept: Option<&'a dyn Fn(&str) -> bool>,
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Node<'de>, D::Error> {
        match self.left.get().checked_sub(1) {
            None | Some(0) => {
                self.left.set(0);
                Err(D::Error::custom("too many values"))
            }
            Some(left) => {
                self.left.set(left);
                deserializer.deserialize_any(self)
            }
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut values = Vec::new();
        // A document that is no object is refused as what it is.
        if self.is_kept.is_some() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        while let Some(value) = items.next_element_seed(Seed { is_kept: None, ..self })? {
            values.push(value);
        }
        Ok(Node::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(name) = members.next_key_seed(Name)? {
            match self.is_kept.is_some_and(|is_kept| !is_kept(&name)) {
                true => drop(members.next_value::<IgnoredAny>()?),
                false => {
                    let value = members.next_value_seed(Seed { is_kept: None, ..self })?;
                    object.push((name, value));
                }
            }
        }
        Ok(Node::Object(object))
    }
}

/// The name of a member. serde copies every `Cow`.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(name.into())
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(name.to_owned().into())
    }
}

/// A document that is there already.
#[cfg(test)]
impl<'a> From<&'a Value> for Node<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(items) => Self::Array(items.iter().map(Into::into).collect()),
            Value::Object(members) => {
                let members = members.iter();
                Self::Object(members.map(|(name, value)| (name.into(), value.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: &str) -> Result<Value, Error> {
        read(body.as_bytes(), &|name| name == "kept" || name == "other").map(|body| body.to_value())
    }

    #[test]
    fn what_is_kept_is_what_was_sent() {
        let kept = r#"{"a": [1, -1, 0.5, true, null, "\u00e9\"", {"unknown": {}}], "big": 18446744073709551615}"#;
        let body = format!(r#"{{"junk": [[1]], "kept": {kept}, "more": {{"kept": 1}}}}"#);
        let expected: Value = serde_json::from_str(kept).unwrap();
        assert_eq!(parse(&body).unwrap(), json!({"kept": expected}));
        let escaped = r#"{"k\u0065pt": {"\u00e9": "\n"}, "junk\"": 1}"#;
        assert_eq!(parse(escaped).unwrap(), json!({"kept": {"é": "\n"}}));
        assert_eq!(parse(r#"{"kept": {"a": 1, "a": 2}, "kept": 3}"#).unwrap(), json!({"kept": 3}));
        assert_eq!(parse("[1, {}]").unwrap(), json!([]));
        assert_eq!(parse("null").unwrap(), Value::Null);
        for wrong in ["", "{", "{} {}", r#"{"junk": [1,]}"#, r#"{"kept": tru}"#, "\u{feff}{}"] {
            assert_eq!(parse(wrong).unwrap_err().status(), 400, "{wrong}");
        }
        let deep = format!(r#"{{"kept": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(parse(&deep).unwrap_err().status(), 400);
    }

    #[test]
    fn values_are_counted_where_they_are_kept() {
        let many =
            |name: &str, count: usize| format!(r#"{{"{name}": [{}0]}}"#, "0,".repeat(count - 1));
        assert_eq!(parse(&many("junk", 2 * VALUES)).unwrap(), json!({}));
        // The document and the array are values, too.
        assert!(parse(&many("kept", VALUES - 3)).is_ok());
        assert_eq!(parse(&many("kept", VALUES)).unwrap_err().status(), 413);
        let names: Vec<_> = (0..VALUES).map(|name| format!(r#""{name}": 0"#)).collect();
        let names = format!(r#"{{"other": {{{}}}}}"#, names.join(","));
        assert_eq!(parse(&names).unwrap_err().status(), 413);
    }
}
