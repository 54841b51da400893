use std::fmt;

/// Who makes a request, as far as authentication has found out.
///
/// Middleware that authenticates puts one into the extensions of the request. What belongs to
/// somebody, such as a conversation, belongs to the principal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Principal {
    /// The name that tells one principal from another.
    pub id: String,
}

impl Principal {
    /// A principal of this name.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}
