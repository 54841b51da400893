use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The body of a request: its members, and those that are lent by what was asked, tools and messages.
///
/// They make up most of a request. To copy them, and to make the names of their members anew for each, took
/// more calls of the allocator than all the rest.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) members: Map<String, Value>,
    /// Members that may be among the others as well: what the caller gives as it is goes before what we write.
    pub(super) lent: Vec<(&'static str, Lent<'a>)>,
}

/// A value of a request, which is not copied where it need not be.
#[derive(Debug)]
pub(super) enum Lent<'a> {
    Text(Cow<'a, str>),
    Object(Vec<(&'static str, Lent<'a>)>),
    Array(Vec<Lent<'a>>),
    /// As it stands elsewhere.
    Kept(&'a Value),
    Value(Value),
}

impl<'a> Lent<'a> {
    /// An object of these members.
    pub(super) fn object<const N: usize>(members: [(&'static str, Self); N]) -> Self {
        Self::Object(members.into())
    }
}

impl<'a> From<&'a str> for Lent<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Lent<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<Value> for Lent<'_> {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl<'a> From<&'a Value> for Lent<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Kept(value)
    }
}

impl<'a> From<Vec<Self>> for Lent<'a> {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
}

impl<'a, T: Into<Lent<'a>>> FromIterator<T> for Lent<'a> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Lent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
            Self::Array(items) => serializer.collect_seq(items),
            Self::Kept(value) => value.serialize(serializer),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in self.lent.iter().filter(|(name, _)| !self.members.contains_key(*name))
        {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_is_written_once_and_each_value_as_it_is() {
        let written = |members: Value| {
            let Value::Object(members) = members else { unreachable!("an object is given") };
            let kept = json!({"b": [null, 1.5]});
            let items = [Lent::from("a\"b"), (&kept).into(), json!(true).into()];
            let object = Lent::object([("x", items.into_iter().collect()), ("y", "é".into())]);
            let body = Body { members, lent: vec![("tools", object), ("last", (&kept).into())] };
            serde_json::to_string(&body).unwrap()
        };
        let (tools, last) =
            (r#"{"x":["a\"b",{"b":[null,1.5]},true],"y":"é"}"#, r#"{"b":[null,1.5]}"#);
        assert_eq!(written(json!({"a": 1})), format!(r#"{{"a":1,"tools":{tools},"last":{last}}}"#));
        assert_eq!(written(json!({"tools": 4})), format!(r#"{{"tools":4,"last":{last}}}"#));
    }
}
