//! What a tool has returned, told apart by its type and not by the name of it: an alias of
//! `Result` is one, too. The method is looked for behind two references first, where only results
//! have it, and then behind one, where everything has.

use crate::llm::ToolError;
use crate::llm::tool::to_text;
use serde::Serialize;
use std::marker::PhantomData;

/// Stands for the type of a result.
#[derive(Debug)]
pub struct ToolOutput<T>(PhantomData<fn() -> T>);

impl<T> ToolOutput<T> {
    /// Takes the type from a value.
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

/// Outputs that can be failures.
pub trait ToolResultKind {
    /// Says what the output is.
    fn kind(&self) -> WriteResult {
        WriteResult
    }
}

impl<T, E> ToolResultKind for &ToolOutput<Result<T, E>> {}

/// All other outputs.
pub trait ToolValueKind {
    /// Says what the output is.
    fn kind(&self) -> WriteValue {
        WriteValue
    }
}

impl<T> ToolValueKind for ToolOutput<T> {}

/// Writes a result.
#[derive(Debug)]
pub struct WriteResult;

impl WriteResult {
    /// Writes the value for the model, or says why there is none.
    pub fn write<T: Serialize, E: IntoToolError>(
        self,
        result: Result<T, E>,
    ) -> Result<String, ToolError> {
        WriteValue.write(result.map_err(IntoToolError::into_tool_error)?)
    }
}

/// Writes a value.
#[derive(Debug)]
pub struct WriteValue;

impl WriteValue {
    /// Writes the value for the model.
    pub fn write<T: Serialize>(self, value: T) -> Result<String, ToolError> {
        Ok(to_text(&value)?)
    }
}

/// Errors that a model can be told.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error of a tool",
    label = "the model cannot be told this",
    note = "an error of a tool is a `ToolError`, or any `std::error::Error`; `ToolError::new(text)` makes one of a text"
)]
pub trait IntoToolError {
    /// Says it in words for the model.
    fn into_tool_error(self) -> ToolError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<ToolError>> IntoToolError for E {
    fn into_tool_error(self) -> ToolError {
        self.into()
    }
}
