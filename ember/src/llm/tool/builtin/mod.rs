//! Tools that many models are given: the time, pages of the web, files of a folder.
//!
//! Each is made by a function and set by methods; settings that are not made are read from the
//! environment at each call. What they return is cut at a limit of bytes, and whatever goes wrong
//! is told to the model.
//!
//! ```
//! use ember::llm::tool::builtin;
//! use ember::llm::{Client, FakeProvider};
//!
//! let client = Client::new(FakeProvider::new()).tools(builtin::all("docs"));
//! # let _ = client;
//! ```

mod time;
mod address;
mod http;
mod file;

pub use self::http::{HttpGet, http_get};
pub use file::{ReadFile, read_file};
pub use time::{GetCurrentTime, get_current_time};

use super::{Arguments, ParameterSchema, Tool, ToolError};
use serde_json::Value;
use std::path::PathBuf;

/// All of them; files are read from this folder.
pub fn all(root: impl Into<PathBuf>) -> [Tool; 3] {
    [get_current_time().into(), http_get().into(), read_file(root).into()]
}

/// A tool of ours, whose name and schema are known to be right.
fn tool<F, Fut>(
    name: &'static str,
    description: &'static str,
    parameter: ParameterSchema,
    function: F,
) -> Tool
where
    F: Fn(Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, ToolError>> + Send + 'static,
{
    let parameters = ParameterSchema::object([parameter]);
    #[expect(clippy::expect_used, reason = "the names are ours, and a test makes each tool")]
    Tool::new(name, description, parameters, function).expect("a valid name")
}

/// Takes one argument, the only one that a tool has.
fn only<T: serde::de::DeserializeOwned>(
    arguments: Value,
    name: &'static str,
) -> Result<T, ToolError> {
    let mut arguments = Arguments::new(arguments)?;
    match arguments.take(name) {
        Some(value) => arguments.finish().map(|()| value),
        None => Err(arguments.refuse()),
    }
}

/// Cuts a text at a limit of bytes, where a character ends, and says so in it.
fn cut(bytes: &[u8], limit: usize) -> String {
    let mut end = bytes.len().min(limit);
    if end < bytes.len() {
        // No character is split: a byte that continues one does not begin the rest.
        while end > 0 && bytes[end] & 0b1100_0000 == 0b1000_0000 {
            end -= 1;
        }
    }
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    if bytes.len() > limit { format!("{text}\n[cut after {end} bytes]") } else { text }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aä".as_bytes(), 3), "aä");
        assert_eq!(cut("aäb".as_bytes(), 2), "a\n[cut after 1 bytes]");
        assert_eq!(cut(b"\xff", 9), "\u{fffd}");
    }
}
