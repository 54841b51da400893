use super::notes::Object;
use serde_json::Value;

/// A document, in which references are followed.
pub(super) struct References<'a> {
    root: &'a Value,
}

impl<'a> References<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// The definitions of the document.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.root.get("$defs").and_then(Value::as_object).into_iter().flatten()
    }

    /// What a reference leads to, if that is in the document.
    pub(super) fn target(&self, reference: &str) -> Option<&'a Value> {
        self.root.pointer(&pointer(reference)?)
    }

    /// Tells whether a schema refers to something, directly or through others.
    pub(super) fn leads(&self, schema: &'a Value, goal: &str) -> bool {
        self.leads_to(schema, goal, &mut Vec::new())
    }

    fn leads_to(&self, schema: &'a Value, goal: &str, seen: &mut Vec<&'a str>) -> bool {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            if reference == goal {
                return true;
            }
            if !seen.contains(&reference)
                && let Some(target) = self.target(reference)
            {
                seen.push(reference);
                if self.leads_to(target, goal, seen) {
                    return true;
                }
            }
        }
        match schema {
            Value::Object(object) => {
                // What is only defined leads nowhere.
                let is_root = std::ptr::eq(schema, self.root);
                let unused = |keyword: &str| is_root && holds_definitions(keyword);
                let mut used = object.iter().filter(|(keyword, _)| !unused(keyword));
                used.any(|(_, value)| self.leads_to(value, goal, seen))
            }
            Value::Array(values) => values.iter().any(|value| self.leads_to(value, goal, seen)),
            _ => false,
        }
    }
}

/// The name of the definition that a reference leads to.
pub(super) fn definition(reference: &str) -> Option<String> {
    let name = pointer(reference)?.strip_prefix("/$defs/")?.to_owned();
    (!name.contains('/')).then(|| name.replace("~1", "/").replace("~0", "~"))
}

/// Tells whether a keyword holds schemas that are only defined there; the second is that of draft 7.
pub(super) fn holds_definitions(keyword: &str) -> bool {
    matches!(keyword, "$defs" | "definitions")
}

/// A schema without the definitions in it.
pub(super) fn without_definitions(schema: &Value) -> Object {
    let members = schema.as_object().into_iter().flatten();
    let members = members.filter(|(keyword, _)| !holds_definitions(keyword));
    members.map(|(keyword, value)| (keyword.clone(), value.clone())).collect()
}

/// The JSON pointer in a reference within its document (RFC 6901 §6).
fn pointer(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    Some(percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_followed_within_the_document() {
        let root = json!({
            "$ref": "#/$defs/a~1b%20c",
            "$defs": {
                "a/b c": {"items": {"$ref": "#/definitions/D"}},
                "unused": {"$ref": "#"},
            },
            "definitions": {"D": {"$ref": "#/$defs/a~1b%20c"}},
        });
        let references = References::new(&root);
        assert_eq!(references.target("#"), Some(&root));
        assert_eq!(references.target("#/definitions/D"), Some(&root["definitions"]["D"]));
        assert_eq!(references.target("https://example.com/a"), None);
        assert!(references.leads(&root, "#/definitions/D"));
        assert!(!references.leads(&root, "#"), "nobody refers to that definition");
        assert_eq!(definition("#/$defs/a~1b%20c").as_deref(), Some("a/b c"));
        assert_eq!(definition("#/definitions/D"), None);
        assert_eq!(definition("#/$defs/a/items"), None);
    }
}
