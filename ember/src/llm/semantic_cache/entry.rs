//! An answer with its question, as the bytes that processes share.
//!
//! Four bytes that name the form and its version, the length of a head (32 bits), the head as JSON, and the
//! vector of the question as `f32`. All numbers have the least significant byte first. What the guards
//! look at is found out again from the question, so that a newer guard looks at older entries, too.

use super::index::normalised;
use crate::llm::chat::ChatResponse;
use crate::llm::kept_answer::KeptAnswer;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The form, and its version.
const FORM: &[u8; 4] = b"esc1";

/// An answer that a process has shared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// The digest of the whole request.
    pub(super) exact: String,
    /// What was asked, where it is compared by its meaning, and its vector of the length 1.
    pub(super) question: Option<(String, Vec<f32>)>,
    pub(super) answer: ChatResponse,
    pub(super) expires: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Head {
    exact: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    /// Milliseconds since 1970.
    expires: u64,
    answer: KeptAnswer,
}

impl Entry {
    /// The bytes; `None` if the answer holds what cannot be said in JSON.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let since = self.expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = Head {
            exact: self.exact.clone(),
            question: self.question.as_ref().map(|(question, _)| question.clone()),
            expires: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            answer: KeptAnswer::from(&self.answer),
        };
        let head = serde_json::to_vec(&head).ok()?;
        let vector = self.question.as_ref().map_or(&[][..], |(_, vector)| vector);
        let mut bytes = Vec::with_capacity(8 + head.len() + size_of_val(vector));
        bytes.extend_from_slice(FORM);
        bytes.extend_from_slice(&u32::try_from(head.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(&head);
        vector.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        Some(bytes)
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes, without what is in them.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let cut = "it is cut";
        let (form, rest) = bytes.split_first_chunk::<4>().ok_or(cut)?;
        if form != FORM {
            return Err("it is of another form or version");
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(cut)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut)?;
        let (head, vector) = rest.split_at_checked(length).ok_or(cut)?;
        let head: Head =
            serde_json::from_slice(head).map_err(|_| "its head is not of this form")?;
        let (vector, remainder) = vector.as_chunks::<4>();
        if !remainder.is_empty() {
            return Err(cut);
        }
        let vector: Vec<_> = vector.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let question = match head.question {
            Some(question) => {
                Some((question, normalised(vector).ok_or("its vector has no direction")?))
            }
            None if vector.is_empty() => None,
            None => return Err("it has a vector of nothing"),
        };
        let expires = UNIX_EPOCH.checked_add(Duration::from_millis(head.expires));
        Ok(Self {
            exact: head.exact,
            question,
            answer: head.answer.into_answer()?,
            expires: expires.ok_or("it expires at no time")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(question: Option<(String, Vec<f32>)>) -> Entry {
        let expires = UNIX_EPOCH + Duration::from_millis(1_234_567);
        let answer = ChatResponse::text_answer("Grüße");
        Entry { exact: "ab".into(), question, answer, expires }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        for entry in [entry(None), entry(Some(("Was?".into(), vec![0.0, 1.0, 0.0])))] {
            let bytes = entry.write().unwrap();
            assert_eq!(Entry::read(&bytes).unwrap(), entry);
            for end in 0..bytes.len() {
                let is_whole_vector = entry.question.is_some() && end + 4 == bytes.len();
                // The last number of this one is a zero, without which it still has a direction.
                assert_eq!(Entry::read(&bytes[..end]).is_ok(), is_whole_vector, "{end}");
            }
            let mut newer = bytes.clone();
            newer[3] = b'2';
            assert_eq!(Entry::read(&newer), Err("it is of another form or version"));
            let mut longer = bytes;
            longer[4..8].fill(0xff);
            assert_eq!(Entry::read(&longer), Err("it is cut"));
        }
        for vector in [vec![0.0, 0.0], vec![f32::NAN, 1.0], vec![]] {
            let bytes = entry(Some(("Was?".into(), vector))).write().unwrap();
            assert_eq!(Entry::read(&bytes), Err("its vector has no direction"));
        }
    }
}
