use crate::llm::error::{Error, ErrorKind};

/// How many unreadable events in a row are taken for noise.
const LIMIT: usize = 10;

/// Counts the events of a stream that cannot be read: a few are skipped.
#[derive(Debug, Default)]
pub(super) struct Garbage(usize);

impl Garbage {
    /// An event could be read.
    pub(super) fn clear(&mut self) {
        self.0 = 0;
    }

    /// An event could not be read.
    ///
    /// # Errors
    /// When there were too many of them in a row.
    pub(super) fn note(&mut self, provider: &str, error: serde_json::Error) -> Result<(), Error> {
        self.0 += 1;
        tracing::warn!(provider, %error, "an unreadable event was skipped");
        if self.0 < LIMIT {
            return Ok(());
        }
        let unreadable = Error::new(ErrorKind::Decode, "the stream is unreadable");
        Err(unreadable.with_source(error).with_provider(provider))
    }
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
        let error = || serde_json::from_str::<u8>("x").unwrap_err();
        for _ in 0..3 {
            for _ in 1..LIMIT {
                garbage.note("test", error()).unwrap();
            }
            garbage.clear();
        }
        for _ in 1..LIMIT {
            garbage.note("test", error()).unwrap();
        }
        assert_eq!(garbage.note("test", error()).unwrap_err().kind(), ErrorKind::Decode);
    }
}
