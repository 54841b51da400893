//! Reasoning in the forms that some vendors insist on seeing again, as they gave them.
//!
//! OpenRouter has `reasoning_details`, which hold signatures and encrypted thoughts of the models
//! behind it; Mistral has parts of the content whose type is `thinking`. Either becomes the mark of
//! a part of reasoning, and goes back to the vendor that it came from.

use crate::llm::adapter::turns::own;
use crate::llm::message::Signature;
use serde_json::{Map, Value, json};

/// The member of messages that OpenRouter keeps reasoning in.
const DETAILS: &str = "reasoning_details";

/// The type of the parts that Mistral keeps reasoning in.
const THINKING: &str = "thinking";

/// What is to go back of an answer's reasoning.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Of the thoughts that can be read.
    shown: Vec<Value>,
    /// Of those that are encrypted, which stand apart: they may come after everything else.
    hidden: Vec<Value>,
    thinking: Vec<Value>,
}

impl Kept {
    /// Keeps a detail, or a part that thinks. `pieces` says that it may go on with the one before.
    pub(super) fn keep(&mut self, value: Value, pieces: bool) {
        match kind(&value) {
            THINKING => push(&mut self.thinking, value, pieces),
            "reasoning.encrypted" => self.hidden.push(value),
            _ => push(&mut self.shown, value, pieces),
        }
    }

    /// Tells whether anything belongs to the thoughts that can be read.
    pub(super) fn is_shown(&self) -> bool {
        !self.shown.is_empty() || !self.thinking.is_empty()
    }

    /// The mark of the thoughts that can be read.
    pub(super) fn take_shown(&mut self, provider: &str) -> Option<Signature> {
        let mut members = Map::new();
        for (name, values) in [(DETAILS, &mut self.shown), (THINKING, &mut self.thinking)] {
            if !values.is_empty() {
                members.insert(name.into(), std::mem::take(values).into());
            }
        }
        let value = (!members.is_empty()).then(|| Value::Object(members).to_string())?;
        Some(Signature::new(provider, value))
    }

    /// The mark of what is left at the end.
    pub(super) fn take_rest(&mut self, provider: &str) -> Option<Signature> {
        self.shown.append(&mut self.hidden);
        self.take_shown(provider)
    }
}

/// What the marks of a message have kept, as it is sent.
#[derive(Debug, Default)]
pub(super) struct Returned {
    pub(super) details: Vec<Value>,
    pub(super) thinking: Vec<Value>,
}

impl Returned {
    /// Takes in the mark of a part; tells whether it is one of this vendor's.
    pub(super) fn take(&mut self, mark: Option<&Signature>, provider: &str) -> bool {
        let Some(Ok(mut members)) = own(mark, provider).map(serde_json::from_str::<Map<_, _>>)
        else {
            return false;
        };
        for (name, values) in [(DETAILS, &mut self.details), (THINKING, &mut self.thinking)] {
            if let Some(Value::Array(more)) = members.remove(name) {
                values.extend(more);
            }
        }
        // They are numbered, and must come back in their order.
        self.details.sort_by_key(|detail| detail.get("index").and_then(Value::as_u64));
        true
    }
}

/// The text of a detail, or of a part that thinks.
pub(super) fn text(value: &Value) -> String {
    match value.get(THINKING) {
        Some(Value::Array(thoughts)) => {
            thoughts.iter().filter_map(|thought| thought.get("text")?.as_str()).collect()
        }
        Some(Value::String(thought)) => thought.clone(),
        _ => {
            let text = value.get("text").or_else(|| value.get("summary"));
            text.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    }
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Adds a value to a list, or a piece to the last value of it.
fn push(values: &mut Vec<Value>, value: Value, pieces: bool) {
    let same = |last: &Value| kind(last) == kind(&value) && last.get("index") == value.get("index");
    match (values.last_mut().filter(|last| pieces && same(last)), value) {
        (Some(Value::Object(known)), Value::Object(piece)) => merge(known, piece),
        (_, value) => values.push(value),
    }
}

/// Adds a piece to a value: texts grow, lists as well, and everything else is set.
fn merge(known: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (name, piece) in piece {
        match (known.get_mut(&name), piece) {
            (_, Value::Null) => {}
            (Some(Value::String(known)), Value::String(piece))
                if ["text", "summary"].contains(&name.as_str()) =>
            {
                known.push_str(&piece);
            }
            (Some(Value::Array(known)), Value::Array(pieces)) => {
                pieces.into_iter().for_each(|piece| push(known, piece, true));
            }
            (_, piece) => drop(known.insert(name, piece)),
        }
    }
}

/// A part of the content that is text, as it stands beside parts that think.
pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_what_they_are_pieces_of() {
        let mut kept = Kept::default();
        for piece in [
            json!({"type": "reasoning.text", "index": 0, "text": "a", "signature": null}),
            json!({"type": "reasoning.text", "index": 0, "text": "b"}),
            json!({"type": "reasoning.text", "index": 0, "signature": "s"}),
            json!({"type": "reasoning.text", "index": 2, "text": "c"}),
            json!({"type": "reasoning.encrypted", "index": 1, "data": "d"}),
        ] {
            kept.keep(piece, true);
        }
        let shown = kept.take_shown("openrouter");
        let rest = kept.take_rest("openrouter");
        assert!(!kept.is_shown() && kept.take_rest("openrouter").is_none());
        let mut returned = Returned::default();
        assert!(!returned.take(shown.as_ref(), "elsewhere"), "others never see it");
        assert!(
            returned.take(shown.as_ref(), "openrouter")
                && returned.take(rest.as_ref(), "openrouter")
        );
        assert_eq!(
            returned.details,
            [
                json!({"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"}),
                json!({"type": "reasoning.encrypted", "index": 1, "data": "d"}),
                json!({"type": "reasoning.text", "index": 2, "text": "c"}),
            ]
        );
    }

    #[test]
    fn parts_that_think_grow() {
        let mut kept = Kept::default();
        let part =
            |text: &str| json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]});
        kept.keep(part("a"), true);
        kept.keep(part("b"), true);
        kept.keep(json!({"type": "thinking", "thinking": [], "closed": true}), true);
        let mut returned = Returned::default();
        returned.take(kept.take_shown("mistral").as_ref(), "mistral");
        let whole = json!({"type": "thinking", "thinking": [{"type": "text", "text": "ab"}], "closed": true});
        assert_eq!((text(&whole), returned.thinking), ("ab".to_owned(), vec![whole]));
        assert_eq!(text(&json!({"type": "reasoning.summary", "summary": "s"})), "s");
    }
}
