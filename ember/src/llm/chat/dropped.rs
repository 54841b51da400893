/// Something in a request that the provider has no way to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// What it was, for example `seed` or `messages[2].content[0]`.
    pub what: String,
    /// Why it could not be sent.
    pub why: String,
}

impl Dropped {
    /// Something that was left out, and why.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}
