use super::json;
use crate::llm::error::{Error, ErrorKind};
use serde::Deserialize;

/// How many unreadable events in a row are taken for noise.
const LIMIT: usize = 10;

/// Counts the events of a stream that cannot be read: a few are skipped.
#[derive(Debug, Default)]
pub(super) struct Garbage(usize);

impl Garbage {
    /// Reads an event; `None` stands for one that is skipped.
    ///
    /// # Errors
    /// When there were too many in a row that cannot be read.
    pub(super) fn read<'a, T: Deserialize<'a>>(
        &mut self,
        provider: &str,
        data: &'a str,
    ) -> Result<Option<T>, Error> {
        match json::read(data) {
            Ok(event) => {
                self.0 = 0;
                Ok(Some(event))
            }
            Err(error) => self.note(provider, error).map(|()| None),
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

/// The last event, which may lack its blank line; half of one is not JSON.
pub(super) fn last<'a, T: Deserialize<'a>>(rest: Option<&'a str>) -> Option<T> {
    json::read(rest?).ok()
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
        for _ in 0..3 {
            for _ in 1..LIMIT {
                assert_eq!(garbage.read::<u8>("test", "x").unwrap(), None);
            }
            assert_eq!(garbage.read::<u8>("test", "7").unwrap(), Some(7));
        }
        for _ in 1..LIMIT {
            assert_eq!(garbage.read::<u8>("test", "x").unwrap(), None);
        }
        assert_eq!(garbage.read::<u8>("test", "x").unwrap_err().kind(), ErrorKind::Decode);
    }
}
