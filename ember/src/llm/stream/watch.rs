use super::event::ChatEvent;
use crate::llm::error::Error;

/// Looks at what a stream tells, as it passes.
///
/// A stream around the stream could do the same, but would be asked, and would hand on, once more for each
/// event and each wait.
pub(in crate::llm) trait Watch: Send {
    /// Something passes: an event, or the error that ends the stream.
    fn look(&mut self, item: &Result<ChatEvent, Error>);
}
