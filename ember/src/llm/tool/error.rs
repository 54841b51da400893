use crate::base;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// Why a tool failed, in words for the model.
///
/// `?` makes one of any error: its message, with its causes, is what the model reads. What the
/// model must not see does not belong into an error of a tool.
///
/// ```
/// use ember::prelude::*;
///
/// /// Reads a number.
/// #[tool]
/// async fn number(text: String) -> Result<i64, ToolError> {
///     if text.is_empty() {
///         return Err(ToolError::new("there is no text"));
///     }
///     Ok(text.parse()?)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolError {
    message: Cow<'static, str>,
}

impl ToolError {
    /// A failure, told in one sentence.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into() }
    }

    /// What the model reads.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: StdError> From<E> for ToolError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        for cause in causes.map(ToString::to_string) {
            // Many errors repeat their cause in their own message.
            if !message.contains(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        Self::new(message)
    }
}

/// The public half only: the private one is not for the model either.
impl From<base::Error> for ToolError {
    fn from(error: base::Error) -> Self {
        Self::new(error.message().to_owned())
    }
}
