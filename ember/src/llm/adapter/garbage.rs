use super::json::{self, Fill};
use crate::llm::error::{Error, ErrorKind};
use serde::Deserialize;

/// How many unreadable events in a row are taken for noise.
const LIMIT: usize = 10;

/// Counts the events of a stream that cannot be read: a few are skipped.
#[derive(Debug, Default)]
pub(super) struct Garbage(usize);

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
                self.0 = 0;
                Ok(true)
            }
            Err(error) => self.note(provider, error).map(|()| false),
        }
    }

    fn note(&mut self, provider: &str, error: serde_json::Error) -> Result<(), Error> {
        self.0 += 1;
        tracing::warn!(provider, %error, "an unreadable event was skipped");
        if self.0 < LIMIT {
            return Ok(());
        }
        let unreadable = Error::new(ErrorKind::Decode, "the stream is unreadable");
        Err(unreadable.with_source(error).with_provider(provider))
    }
}

/// The error of an answer of which a part that must not be missed cannot be read.
pub(super) fn unreadable(provider: &str, what: &str, error: serde_json::Error) -> Error {
    let message = format!("{what} of the answer cannot be read");
    Error::new(ErrorKind::Decode, message).with_source(error).with_provider(provider)
}

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
}
