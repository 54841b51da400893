/// What becomes of a limit while the store that it is counted in cannot be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// Nothing passes: the answer is status 503 with `Retry-After`.
    #[default]
    Deny,
    /// Everything passes, and is not counted. While a server hangs, which is not the same as being away, some
    /// requests wait for as long as the store does.
    Allow,
}
