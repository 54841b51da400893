use super::document::Node;
use crate::base::Error;
use serde_json::Number;
use std::fmt::Write as _;

/// A value in the JSON of a request, with the way to it.
///
/// Reading by hand and not by a type: what is wrong is told with its place, as OpenAI does in
/// `param`, and members that nobody knows are passed over, as clients send new ones every month.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) value: &'a Node<'a>,
    step: Step<'a>,
    around: Option<&'a At<'a>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl<'a> At<'a> {
    /// The whole document.
    pub(super) fn root(value: &'a Node<'a>) -> Self {
        Self { value, step: Step::Member(""), around: None }
    }

    /// A member of an object; `null` is as good as absent.
    pub(super) fn get(&'a self, name: &'a str) -> Option<Self> {
        let Node::Object(members) = self.value else { return None };
        let (_, value) = members.iter().rfind(|(known, _)| *known == name)?;
        (*value != Node::Null).then_some(Self {
            value,
            step: Step::Member(name),
            around: Some(self),
        })
    }

    /// A member that must be there.
    pub(super) fn need(&'a self, name: &'a str) -> Result<Self, Error> {
        self.get(name).ok_or_else(|| {
            let place = Self { value: &Node::Null, step: Step::Member(name), around: Some(self) };
            place.error("missing_required_parameter", "is missing")
        })
    }

    /// The items of an array.
    pub(super) fn items(&'a self) -> Result<impl Iterator<Item = Self>, Error> {
        let Node::Array(items) = self.value else { return Err(self.wrong("an array")) };
        Ok(items.iter().enumerate().map(|(index, value)| Self {
            value,
            step: Step::Item(index),
            around: Some(self),
        }))
    }

    pub(super) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// Checks that it is an object.
    pub(super) fn object(&self) -> Result<(), Error> {
        match self.value {
            Node::Object(_) => Ok(()),
            _ => Err(self.wrong("an object")),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, Error> {
        match self.value {
            Node::Bool(flag) => Ok(*flag),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self) -> Result<u64, Error> {
        let count = self.value.as_number().and_then(Number::as_u64);
        count.ok_or_else(|| self.wrong("a whole number of 0 or more"))
    }

    /// A number within bounds.
    pub(super) fn number(&self, least: f64, most: f64) -> Result<f64, Error> {
        let number = self.value.as_number().and_then(Number::as_f64);
        let number = number.ok_or_else(|| self.wrong("a number"))?;
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        Err(self.error("invalid_value", &format!("must be from {least} to {most}")))
    }

    /// What is wrong with a value of another type than this.
    pub(super) fn wrong(&self, expected: &str) -> Error {
        let found = match self.value {
            Node::Null => "null",
            Node::Bool(_) => "true or false",
            Node::Number(_) => "a number",
            Node::Text(_) => "a string",
            Node::Array(_) => "an array",
            Node::Object(_) => "an object",
        };
        let found = match (expected, found) {
            ("a whole number of 0 or more" | "a whole number of 64 bits", "a number") => {
                "another number"
            }
            (_, found) => found,
        };
        self.error("invalid_type", &format!("must be {expected}, and is {found}"))
    }

    /// An error about this place: `` `messages[0].role` `` and what is wrong with it.
    pub(super) fn error(&self, code: &'static str, wrong: &str) -> Error {
        let path = self.path();
        let message = match path.is_empty() {
            true => format!("The body {wrong}."),
            false => format!("`{path}` {wrong}."),
        };
        let error = Error::bad_request(message).with_member("code", code);
        if path.is_empty() { error } else { error.with_member("param", path) }
    }

    fn path(&self) -> String {
        let mut path = self.around.map_or_else(String::new, At::path);
        match self.step {
            Step::Member("") => {}
            Step::Member(name) if path.is_empty() => path.push_str(name),
            // Writing to a string cannot fail.
            Step::Member(name) => drop(write!(path, ".{name}")),
            Step::Item(index) => drop(write!(path, "[{index}]")),
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let document = json!({"messages": [{"role": 7}], "n": -1, "none": null});
        let document = Node::from(&document);
        let root = At::root(&document);
        let messages = root.get("messages").unwrap();
        let message = messages.items().unwrap().next().unwrap();
        let role = message.need("role").unwrap().text().unwrap_err();
        assert_eq!(role.message(), "`messages[0].role` must be a string, and is a number.");
        assert_eq!(role.members()["param"], "messages[0].role");
        let missing = message.need("content").err().unwrap();
        assert_eq!(missing.message(), "`messages[0].content` is missing.");
        assert!(root.get("none").is_none());
        let twice =
            Node::Object(["a", "b"].map(|text| ("name".into(), Node::Text(text.into()))).into());
        assert_eq!(At::root(&twice).need("name").unwrap().text().unwrap(), "b");
        let negative = root.get("n").unwrap().count().unwrap_err();
        assert!(negative.message().ends_with("is another number."), "{negative}");
        let body = At::root(&Node::Null).object().unwrap_err();
        assert_eq!(body.message(), "The body must be an object, and is null.");
        assert!(!body.members().contains_key("param"));
    }
}
