use serde::{Deserialize, Serialize};

/// A provider's mark on a part: to be sent back unchanged, with that part, to that provider only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signature {
    /// The adapter that understands it.
    pub provider: String,
    /// The mark itself.
    pub value: String,
}

impl Signature {
    /// A mark of a provider.
    pub fn new(provider: impl Into<String>, value: impl Into<String>) -> Self {
        Self { provider: provider.into(), value: value.into() }
    }
}
