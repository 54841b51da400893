use memchr::memchr2;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What a decoder found in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event was complete.
    Event {
        /// Its type; `message` where the stream named none.
        event: &'a str,
        /// Its data; several lines are joined with `\n`.
        data: &'a str,
        /// The last event id that the stream has set so far.
        id: &'a str,
    },
    /// The stream asked for a reconnection time.
    Retry(Duration),
}

/// The bytes of a stream do not fit the decoder's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    limit: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is larger than {} bytes", self.limit)
    }
}

impl std::error::Error for DecodeError {}

/// Decodes the bytes of an event stream, however they are cut.
///
/// Follows the WHATWG standard: lines end with LF, CR or CRLF, one byte order mark
/// at the start is skipped, one space after the colon is dropped, an id with NUL is
/// ignored, a retry time must be digits, bytes that are not UTF-8 become U+FFFD, and
/// an event without data is not dispatched.
///
/// An event that lies in one chunk is handed on without a copy; only what a cut
/// leaves unfinished is buffered, up to a bound.
///
/// ```
/// use ember::base::sse::{Decoder, Frame};
///
/// let mut texts = Vec::new();
/// let mut decoder = Decoder::new();
/// for chunk in ["data: Hel", "lo\n", "\ndata: world\n\n"] {
///     decoder.decode(chunk.as_bytes(), |frame| {
///         if let Frame::Event { data, .. } = frame { texts.push(data.to_owned()) }
///     })?;
/// }
/// assert_eq!(texts, ["Hello", "world"]);
/// # Ok::<(), ember::base::sse::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    limit: usize,
    /// The line that the last chunk left unfinished.
    line: Vec<u8>,
    /// The data lines of the event under way, each followed by LF.
    data: Vec<u8>,
    event: Vec<u8>,
    id: String,
    last_id: String,
    /// How much of the byte order mark at the start has been seen; `None` once that is decided.
    mark: Option<usize>,
    /// The last byte was CR: an LF that follows belongs to it.
    after_cr: bool,
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Decoder {
    /// The default bound of a line and of an event: 8 MiB.
    pub const DEFAULT_LIMIT: usize = 8 << 20;

    /// A decoder at the start of a stream, with the default bound.
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// A decoder that refuses lines and events of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            event: Vec::new(),
            id: String::new(),
            last_id: String::new(),
            mark: Some(0),
            after_cr: false,
        }
    }

    /// Reads the next bytes and hands on every event that they complete.
    ///
    /// # Errors
    /// When a line or an event exceeds the bound. The stream is then of no more use.
    pub fn decode(
        &mut self,
        chunk: &[u8],
        mut on_frame: impl FnMut(Frame<'_>),
    ) -> Result<(), DecodeError> {
        let mut rest = self.skip_mark(chunk);
        // The only data line of the event so far, if it still lies in this chunk.
        let mut borrowed: Option<&[u8]> = None;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            // Every second line is empty.
            let end = match rest[0] {
                b'\n' | b'\r' => Some(0),
                _ => memchr2(b'\n', b'\r', rest),
            };
            let Some(end) = end else { break };
            let line = &rest[..end];
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if self.line.is_empty() {
                if line.is_empty() {
                    self.dispatch(borrowed.take(), &mut on_frame);
                    continue;
                }
                self.check(line.len())?;
                match split(line) {
                    (b"data", value) if borrowed.is_none() && self.data.is_empty() => {
                        borrowed = Some(value)
                    }
                    field => {
                        self.keep(borrowed.take())?;
                        self.field(field, &mut on_frame)?;
                    }
                }
            } else {
                self.check(self.line.len() + line.len())?;
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.field(split(&whole), &mut on_frame)?;
                // The allocation serves the next cut.
                whole.clear();
                self.line = whole;
            }
        }
        self.keep(borrowed)?;
        self.check(self.line.len() + rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the stream and returns the data of an event that was still under way.
    ///
    /// The standard discards it. Providers that leave out the last blank line make it
    /// worth a look, but it may be cut anywhere: whoever uses it must check that it is whole.
    pub fn finish(mut self) -> Option<String> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.field(split(&line), &mut |_| {}).ok()?;
        }
        self.data.pop();
        (!self.data.is_empty()).then(|| String::from_utf8_lossy(&self.data).into_owned())
    }

    /// Skips the byte order mark, which may itself be cut.
    fn skip_mark<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let Some(seen) = self.mark else { return chunk };
        let new = MARK[seen..].iter().zip(chunk).take_while(|(mark, byte)| mark == byte).count();
        if seen + new == MARK.len() {
            self.mark = None;
        } else if new < chunk.len() {
            // It was no mark: what looked like one belongs to the first line.
            self.mark = None;
            self.line.extend_from_slice(&MARK[..seen]);
            return chunk;
        } else {
            self.mark = Some(seen + new);
        }
        &chunk[new..]
    }

    fn field(
        &mut self,
        (name, value): (&[u8], &[u8]),
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), DecodeError> {
        match name {
            b"data" => self.keep(Some(value))?,
            b"event" => {
                self.event.clear();
                self.event.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => {
                self.id.clear();
                self.id.push_str(&text(value));
            }
            b"retry" => {
                let digits = value.iter().all(u8::is_ascii_digit);
                let text = str::from_utf8(value).ok().filter(|_| digits);
                if let Some(milliseconds) = text.and_then(|text| text.parse().ok()) {
                    on_frame(Frame::Retry(Duration::from_millis(milliseconds)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Appends a data line to the event under way.
    fn keep(&mut self, value: Option<&[u8]>) -> Result<(), DecodeError> {
        if let Some(value) = value {
            self.check(self.data.len() + value.len())?;
            self.data.extend_from_slice(value);
            self.data.push(b'\n');
        }
        Ok(())
    }

    fn dispatch(&mut self, borrowed: Option<&[u8]>, on_frame: &mut impl FnMut(Frame<'_>)) {
        if self.last_id != self.id {
            self.last_id.clone_from(&self.id);
        }
        let data = match borrowed {
            Some(data) => Some(data),
            None => self.data.strip_suffix(b"\n"),
        };
        if let Some(data) = data {
            let event = match &self.event[..] {
                b"" => Cow::Borrowed("message"),
                name => text(name),
            };
            on_frame(Frame::Event { event: &event, data: &text(data), id: &self.last_id });
        }
        self.data.clear();
        self.event.clear();
    }

    fn check(&self, size: usize) -> Result<(), DecodeError> {
        if size > self.limit { Err(DecodeError { limit: self.limit }) } else { Ok(()) }
    }

    /// The last event id that the stream has set.
    pub fn last_event_id(&self) -> &str {
        &self.last_id
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes as text. Nearly all are, and telling that of all at once is many times as fast as the search
/// for the ones that are not.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Splits a line into field name and value. A comment has an empty name.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    // Nearly every line is data; the general search is for the others.
    if let Some(value) = line.strip_prefix(b"data:") {
        return (b"data", value.strip_prefix(b" ").unwrap_or(value));
    }
    match memchr::memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]]) -> Vec<(String, String, String)> {
        let mut decoder = Decoder::new();
        let mut events = Vec::new();
        for chunk in chunks {
            let push = |frame: Frame<'_>| {
                if let Frame::Event { event, data, id } = frame {
                    events.push((event.to_owned(), data.to_owned(), id.to_owned()));
                }
            };
            decoder.decode(chunk, push).unwrap();
        }
        events
    }

    #[track_caller]
    fn check(stream: &[u8], expected: &[(&str, &str, &str)]) {
        let own =
            |(a, b, c): &(&str, &str, &str)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned());
        let expected: Vec<_> = expected.iter().map(own).collect();
        assert_eq!(decode(&[stream]), expected, "in one piece");
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(decode(&bytes), expected, "byte by byte");
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(decode(&[head, tail]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn events_do_not_depend_on_the_cut() {
        check(b"data: a\n\n", &[("message", "a", "")]);
        check(b"data: a\r\rdata: b\r\n\r\n", &[("message", "a", ""), ("message", "b", "")]);
        check(b"event: x\nid: 1\ndata: a\ndata: b\n\n", &[("x", "a\nb", "1")]);
        check("data: é—😀\n\n".as_bytes(), &[("message", "é—😀", "")]);
        check(b"\xEF\xBB\xBFdata: a\n\n", &[("message", "a", "")]);
        check(b"\xEF\xBBdata: a\n\ndata: b\n\n", &[("message", "b", "")]);
        check(b"data: \xFF\n\n", &[("message", "\u{FFFD}", "")]);
        check(b": ping\n\ndata\n\n", &[("message", "", "")]);
        check(
            b"id: 1\n\ndata: a\n\nid: a\0b\ndata: b\n\n",
            &[("message", "a", "1"), ("message", "b", "1")],
        );
        check(b"data: a\ndata: unfinished", &[]);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let mut decoder = Decoder::with_limit(10);
        assert!(decoder.decode(b"data: 1234\n\n", |_| {}).is_ok());
        assert!(decoder.clone().decode(b"data: 12345\n", |_| {}).is_err());
        assert!(decoder.clone().decode(b"data: 12", |_| {}).is_ok());
        let mut many_lines = decoder.clone();
        let outcome: Result<(), _> =
            (0..9).try_for_each(|_| many_lines.decode(b"data: 1\n", |_| {}));
        assert!(outcome.is_err());
        let mut one_line = decoder;
        let outcome: Result<(), _> = (0..12).try_for_each(|_| one_line.decode(b"x", |_| {}));
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "an event of the stream is larger than 10 bytes"
        );
    }

    #[test]
    fn the_unfinished_event_is_returned_at_the_end() {
        let mut decoder = Decoder::new();
        decoder.decode(b"data: {\"a\":\ndata: 1}", |_| {}).unwrap();
        assert_eq!(decoder.finish().unwrap(), "{\"a\":\n1}");
        let mut decoder = Decoder::new();
        decoder.decode(b"data: done\n\n: bye", |_| {}).unwrap();
        assert_eq!(decoder.finish(), None);
    }
}
