use super::registry::{Descriptor, Duplicate};
use std::fmt;

/// Something that the start-up check found wrong: a sentence, and the places it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, and what to do about it.
    pub message: String,
    /// The items it is about, each with file and line where they are known.
    pub places: Vec<String>,
}

impl Finding {
    /// A finding about no place in particular.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), places: Vec::new() }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.places.push(place.to_string());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.places.iter().try_for_each(|place| write!(f, "\n    at {place}"))
    }
}

impl<T: Descriptor> From<Duplicate<T>> for Finding {
    fn from(duplicate: Duplicate<T>) -> Self {
        let finding = Self::new(duplicate.to_string());
        duplicate.entries.iter().fold(finding, |finding, entry| finding.at(entry.location()))
    }
}
