//! Arguments that arrive value by value, which Vertex sends on request.

use serde::Deserialize;
use serde_json::{Map, Value};

/// A value, and its place in the arguments.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialArg {
    json_path: Option<String>,
    string_value: Option<String>,
    number_value: Option<Value>,
    bool_value: Option<bool>,
    #[serde(default)]
    will_continue: bool,
}

/// The arguments as far as they have arrived.
#[derive(Debug, Default)]
pub(super) struct PartialArgs {
    value: Map<String, Value>,
    /// The place whose text goes on.
    open: Option<String>,
}

/// A step on the way to a value.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

/// How many steps a path may have: serde_json reads nothing that is deeper, and what is much deeper could neither
/// be written nor be let go.
const MAX_STEPS: usize = 128;

impl PartialArgs {
    /// Puts a value in its place; a text that was announced to go on grows. Tells whether there is such a place:
    /// arguments that lack a value are others.
    pub(super) fn put(&mut self, arg: PartialArg) -> bool {
        let Some(path) = arg.json_path else { return true };
        let value = match (arg.string_value, arg.number_value, arg.bool_value) {
            (Some(text), _, _) => Value::String(text),
            (None, Some(number), _) => number,
            (None, None, Some(truth)) => Value::Bool(truth),
            (None, None, None) => Value::Null,
        };
        let goes_on = self.open.as_deref() == Some(path.as_str());
        let Some(place) = steps(&path).and_then(|steps| place(&mut self.value, &steps)) else {
            return false;
        };
        match (place, value) {
            (Value::String(known), Value::String(piece)) if goes_on => known.push_str(&piece),
            (place, value) => *place = value,
        }
        self.open = arg.will_continue.then_some(path);
        true
    }

    /// The arguments as JSON.
    pub(super) fn into_json(self) -> String {
        Value::Object(self.value).to_string()
    }
}

/// Reads a path such as `$.items[0]['name']` (RFC 9535, normalized or in shorthand).
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == MAX_STEPS {
            return None;
        }
        if let Some(member) = rest.strip_prefix('.') {
            let end = member.find(['.', '[']).unwrap_or(member.len());
            steps.push(Step::Member(&member[..end]));
            rest = &member[end..];
            continue;
        }
        let inner = rest.strip_prefix('[')?;
        let quoted = ['\'', '"'].into_iter().find(|quote| inner.starts_with(*quote));
        match quoted {
            Some(quote) => {
                let (name, tail) = inner[1..].split_once(quote)?;
                steps.push(Step::Member(name));
                rest = tail.strip_prefix(']')?;
            }
            None => {
                let (number, tail) = inner.split_once(']')?;
                steps.push(Step::Item(number.parse().ok()?));
                rest = tail;
            }
        }
    }
    Some(steps)
}

/// Finds a place, and makes what is missing on the way. Items come in order: one that skips
/// others is not believed.
fn place<'v>(root: &'v mut Map<String, Value>, steps: &[Step<'_>]) -> Option<&'v mut Value> {
    let (Step::Member(first), rest) = steps.split_first()? else { return None };
    let mut place = root.entry(*first).or_insert(Value::Null);
    for step in rest {
        place = match step {
            Step::Member(name) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                place.as_object_mut()?.entry(*name).or_insert(Value::Null)
            }
            Step::Item(index) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let items = place.as_array_mut()?;
                if *index == items.len() {
                    items.push(Value::Null);
                }
                items.get_mut(*index)?
            }
        };
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_find_their_places() {
        let mut args = PartialArgs::default();
        for arg in [
            json!({"jsonPath": "$.a[0].name", "stringValue": "ap", "willContinue": true}),
            json!({"jsonPath": "$.a[0].name", "stringValue": "ple"}),
            json!({"jsonPath": "$.a[0]['p r']", "numberValue": 0.5}),
            json!({"jsonPath": "$.a[1].name", "stringValue": "x"}),
            json!({"jsonPath": "$.a[1].name", "stringValue": "y"}),
            json!({"jsonPath": "$.ok", "boolValue": true}),
            json!({"jsonPath": "$.none", "nullValue": null}),
            json!({"willContinue": false}),
        ] {
            assert!(args.put(serde_json::from_value(arg).unwrap()));
        }
        for path in ["$.a[99999999]", "nonsense", "$[0]", "$", "$.a[0"] {
            let arg = json!({"jsonPath": path, "numberValue": 1});
            assert!(!args.put(serde_json::from_value(arg).unwrap()), "{path}");
        }
        let read: Value = serde_json::from_str(&args.into_json()).unwrap();
        assert_eq!(
            read,
            json!({"a": [{"name": "apple", "p r": 0.5}, {"name": "y"}], "ok": true, "none": null})
        );
    }

    #[test]
    fn no_path_is_too_deep_to_be_written() {
        for step in [".a", "[0]", "['a']"] {
            for (count, is_taken) in [(MAX_STEPS - 1, true), (MAX_STEPS, false), (1_000_000, false)]
            {
                let mut args = PartialArgs::default();
                let path = format!("$.a{}", step.repeat(count));
                let arg = json!({"jsonPath": path, "boolValue": true});
                assert_eq!(args.put(serde_json::from_value(arg).unwrap()), is_taken, "{count}");
                let json = args.into_json();
                assert_eq!(json.contains("true"), is_taken, "{json}");
            }
        }
    }
}
