use super::json::{self, Fill};
use crate::llm::error::{Error, ErrorKind};
use serde::Deserialize;

/// Reads the last event, which may lack its blank line; half of one is not JSON.
pub(super) fn last<'a, T: Fill<'a> + Deserialize<'a>>(
    event: &mut T,
    rest: Option<&'a str>,
) -> bool {
    rest.is_some_and(|rest| json::read_into(event, rest).is_ok())
}

/// The error of a stream that lacks its end.
pub(super) fn cut(provider: &str) -> Error {
    let message = "the stream ended before the answer was complete";
    Error::new(ErrorKind::Truncated, message).with_provider(provider)
}
