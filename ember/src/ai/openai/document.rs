use crate::base::Error;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// How many values the members of a request may have that are looked at. A body of many small
/// ones takes twenty times its size once it is read.
const VALUES: usize = 100_000;

/// Reads the document of a request: of an object only the members that somebody looks at, as
/// what nobody knows is to cost nothing.
///
/// # Errors
/// Status 400 for what is no JSON, 413 for more values than a request may have.
pub(super) fn read(body: &[u8], is_kept: &dyn Fn(&str) -> bool) -> Result<Value, Error> {
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
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
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
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        // A document that is no object is refused as what it is.
        if self.is_kept.is_some() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        while let Some(value) = items.next_element_seed(Seed { is_kept: None, ..self })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match self.is_kept.is_some_and(|is_kept| !is_kept(&name)) {
                true => drop(members.next_value::<IgnoredAny>()?),
                false => {
                    let value = members.next_value_seed(Seed { is_kept: None, ..self })?;
                    map.insert(name, value);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: &str) -> Result<Value, Error> {
        read(body.as_bytes(), &|name| name == "kept" || name == "other")
    }

    #[test]
    fn what_is_kept_is_what_was_sent() {
        let kept = r#"{"a": [1, -1, 0.5, true, null, "\u00e9\"", {"unknown": {}}], "big": 18446744073709551615}"#;
        let body = format!(r#"{{"junk": [[1]], "kept": {kept}, "more": {{"kept": 1}}}}"#);
        let expected: Value = serde_json::from_str(kept).unwrap();
        assert_eq!(parse(&body).unwrap(), json!({"kept": expected}));
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
