use super::Event;
use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr2, memchr3};

/// Encodes events into a buffer that is taken in one piece.
///
/// No text can break a frame: each line of the data gets a field of its own, and
/// line breaks and NUL are taken out of ids and event names, where the format has
/// no way to express them. An empty text still makes an event.
///
/// ```
/// use ember::base::sse::SseWriter;
///
/// let mut writer = SseWriter::new();
/// writer.data("Hello");
/// writer.data("");
/// writer.comment("keep-alive");
/// assert_eq!(writer.take(), "data: Hello\n\ndata: \n\n: keep-alive\n\n");
/// ```
#[doc(alias = "SSEWriter")]
#[derive(Debug, Default)]
pub struct SseWriter {
    buffer: BytesMut,
    /// How many bytes were taken since the buffer was new.
    taken: usize,
}

/// How many bytes may have been taken from a buffer that is kept for later.
const KEPT: usize = 1024;

impl SseWriter {
    /// A writer with an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an event.
    pub fn event(&mut self, event: &Event) {
        if let Some(comment) = &event.comment {
            self.lines(b": ", comment);
        }
        if let Some(id) = &event.id {
            self.single(b"id: ", id);
        }
        if let Some(name) = &event.event {
            self.single(b"event: ", name);
        }
        if let Some(retry) = event.retry {
            self.single(b"retry: ", &retry.as_millis().to_string());
        }
        if let Some(data) = &event.data {
            self.lines(b"data: ", data);
        }
        self.buffer.put_u8(b'\n');
    }

    /// Appends an event that has nothing but data.
    pub fn data(&mut self, data: &str) {
        self.lines(b"data: ", data);
        self.buffer.put_u8(b'\n');
    }

    /// Appends a comment.
    pub fn comment(&mut self, text: &str) {
        self.lines(b": ", text);
        self.buffer.put_u8(b'\n');
    }

    /// Returns how many bytes wait to be taken.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Tells whether nothing waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes everything that was encoded since the last call.
    pub fn take(&mut self) -> Bytes {
        self.taken = self.taken.saturating_add(self.buffer.len());
        self.buffer.split().freeze()
    }

    /// Gives back the buffer if it may be a large one, and nothing waits to be taken.
    ///
    /// What was taken shares it; the room for the largest burst would be kept until the next one.
    pub(crate) fn rest(&mut self) {
        if self.taken > KEPT && self.buffer.is_empty() {
            *self = Self::new();
        }
    }

    /// One field for each line of the text; CR, LF and CRLF all end a line, as they do for the reader.
    fn lines(&mut self, field: &[u8], text: &str) {
        let mut rest = text.as_bytes();
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            self.line(field, &rest[..end]);
            let crlf = rest[end..].starts_with(b"\r\n");
            rest = &rest[end + 1 + usize::from(crlf)..];
        }
        self.line(field, rest);
    }

    /// One field whose value is a single line without NUL.
    fn single(&mut self, field: &[u8], text: &str) {
        if memchr3(b'\n', b'\r', 0, text.as_bytes()).is_none() {
            self.line(field, text.as_bytes());
        } else {
            self.line(field, text.replace(['\n', '\r', '\0'], "").as_bytes());
        }
    }

    fn line(&mut self, field: &[u8], text: &[u8]) {
        self.buffer.reserve(field.len() + text.len() + 2);
        self.buffer.put_slice(field);
        self.buffer.put_slice(text);
        self.buffer.put_u8(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: Event, expected: &str) {
        assert_eq!(event.to_string(), expected);
    }

    #[test]
    fn frames_stay_whole() {
        check(Event::data("a"), "data: a\n\n");
        check(Event::data(""), "data: \n\n");
        check(Event::data("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
        check(Event::data(" led by a space"), "data:  led by a space\n\n");
        check(Event::comment("still here"), ": still here\n\n");
        check(
            Event::data("x").event("a\nb").id("1\0\r2").retry(Duration::from_millis(1500)),
            "id: 12\nevent: ab\nretry: 1500\ndata: x\n\n",
        );
    }

    use std::time::Duration;
}
