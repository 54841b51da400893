use super::json::{self, Fill};
use crate::llm::chat::{Finish, FinishReason};
use crate::llm::error::{Error, ErrorKind};
use serde::Deserialize;

/// How many unreadable events in a row are taken for noise.
const LIMIT: usize = 10;

/// Counts the events of a stream that cannot be read: a few are skipped.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// How many there were in a row.
    row: usize,
    /// Whether any was skipped, which may have been noise, or a piece of the answer.
    skipped: bool,
}

impl Garbage {
    /// Reads an event into its place; tells whether it is there, and not skipped.
    ///
    /// # Errors
    /// When there were too many in a row that cannot be read.
    pub(super) fn read<'a, T: Fill<'a> + Deserialize<'a>>(
        &mut self,
        provider: &str,
        event: &mut T,
        data: &'a str,
    ) -> Result<bool, Error> {
        match json::read_into(event, data) {
            Ok(()) => {
                self.row = 0;
                Ok(true)
            }
            Err(error) => self.note(provider, error).map(|()| false),
        }
    }

    fn note(&mut self, provider: &str, error: serde_json::Error) -> Result<(), Error> {
        self.row += 1;
        self.skipped = true;
        tracing::warn!(provider, %error, "an unreadable event was skipped");
        if self.row < LIMIT {
            return Ok(());
        }
        let unreadable = Error::new(ErrorKind::Decode, "the stream is unreadable");
        Err(unreadable.with_source(error).with_provider(provider))
    }

    /// How the answer has ended: as the provider says, unless it has calls and something was skipped.
    ///
    /// A text is of use without one of its pieces. Arguments may be others without one of theirs, and a call with
    /// such arguments must not run.
    pub(super) fn end(&self, provider: &str, finish: Finish, has_calls: bool) -> Finish {
        if !(self.skipped && has_calls && finish.reason.is_whole()) {
            return finish;
        }
        tracing::warn!(provider, "calls of an answer that lacks an event do not run");
        Finish { reason: FinishReason::Error, ..finish }
    }
}

/// The error of an answer of which a part that must not be missed cannot be read.
#[cfg(any(feature = "anthropic", feature = "gemini"))]
pub(super) fn unreadable(provider: &str, what: &str, error: serde_json::Error) -> Error {
    let message = format!("{what} of the answer cannot be read");
    Error::new(ErrorKind::Decode, message).with_source(error).with_provider(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_skipped_until_it_is_too_much() {
        let mut garbage = Garbage::default();
        let mut read = |data| {
            let mut event = 0_u64;
            garbage.read("test", &mut event, data).map(|is_there| is_there.then_some(event))
        };
        for _ in 0..3 {
            for _ in 1..LIMIT {
                assert_eq!(read("x").unwrap(), None);
            }
            assert_eq!(read("7").unwrap(), Some(7));
        }
        for _ in 1..LIMIT {
            assert_eq!(read("x").unwrap(), None);
        }
        assert_eq!(read("x").unwrap_err().kind(), ErrorKind::Decode);
    }

    #[test]
    fn calls_of_an_answer_that_lacks_an_event_do_not_run() {
        use FinishReason::{Error, Length, Stop, ToolCalls};
        for (noise, has_calls, said, reason) in [
            (false, true, ToolCalls, ToolCalls),
            (true, false, Stop, Stop),
            (true, true, ToolCalls, Error),
            (true, true, Stop, Error),
            (true, true, Length, Length),
        ] {
            let mut garbage = Garbage::default();
            let data = if noise { "x" } else { "7" };
            garbage.read("test", &mut 0_u64, data).unwrap();
            garbage.read("test", &mut 0_u64, "7").unwrap();
            let finish = garbage.end("test", Finish::new(said, "raw"), has_calls);
            assert_eq!(finish, Finish::new(reason, "raw"));
        }
    }
}
