use crate::base::nearest;
use std::error::Error as StdError;
use std::fmt;

/// What is wrong with a prompt, or with the values that were to fill it; all of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptError(Vec<String>);

impl PromptError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(vec![reason.into()])
    }

    /// Something that is wrong at a place of the text, both counted from 1.
    pub(super) fn at(text: &str, offset: usize, reason: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[start..].chars().count() + 1;
        Self::new(format!("line {line}, column {column}: {reason}"))
    }

    /// All that is wrong, if anything is.
    pub(super) fn of(reasons: Vec<String>) -> Result<(), Self> {
        if reasons.is_empty() { Ok(()) } else { Err(Self(reasons)) }
    }

    /// What is wrong, one by one.
    pub fn reasons(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the prompt cannot be used: {}", self.0.join("; "))
    }
}

impl StdError for PromptError {}

/// ` (did you mean …?)`, if a known name is near.
pub(super) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(known, name);
    near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}
