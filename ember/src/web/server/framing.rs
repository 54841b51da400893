//! Where one HTTP/1 message ends and the next begins, told from the bytes before hyper sees them.
//!
//! A proxy in front of the server and the server itself must agree about that, or one client
//! can put a request into the connection of another ("request smuggling", RFC 9112 §11.2). hyper
//! is lenient in some of the cases where implementations differ, and has resolved them before a
//! handler could notice. So the bytes are watched on their way in, and what is not plainly right
//! is refused:
//!
//! - a line that does not end in CR LF (§2.2 lets a recipient accept a lone LF; not all do);
//! - more than one `Content-Length`, even if equal, or one that is not digits only (§6.3);
//! - `Content-Length` together with `Transfer-Encoding` (§6.1 and §6.3: "ought to be handled as an error");
//! - a `Transfer-Encoding` that is anything but the one word `chunked` (§6.1);
//! - lines that continue the one before (§5.2);
//! - chunks whose size is not hexadecimal, exceeds 64 bits, or does not fit their data (§7.1), and
//!   extensions or trailers beyond the size of a header section.
//!
//! Everything else that can be wrong with a message is hyper's to refuse, or that of
//! [`refuse`](super::refuse).

use super::activity::MORE;
use memchr::memchr;
use std::ops::ControlFlow;

/// Follows the messages of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    expect: Expect,
    /// A line that is not yet complete.
    line: Vec<u8>,
    /// Bytes of the header section, or of the lines within a chunked body, so far.
    section: usize,
    limit: usize,
    /// Bytes of the extensions of all chunks of a body, which would add up unseen.
    extensions: usize,
    length: Option<u64>,
    chunked: bool,
    /// The request says nothing about the connection but that it stays open.
    persists: bool,
    /// Messages that have passed whole.
    whole: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    RequestLine,
    Field,
    /// This many bytes of a body.
    Body(u64),
    ChunkSize,
    /// This many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailer,
    /// The header section is larger than allowed. hyper has been given all of it, and says so to the client.
    TooLarge,
    /// It is no longer HTTP/1 that passes through.
    Anything,
}

/// Something that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Within a header section, which can still be answered.
    Head,
    /// Within a body, which can only be broken off.
    Body,
}

impl Framing {
    /// At the start of a connection, with the largest size of a header section.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            expect: Expect::RequestLine,
            line: Vec::new(),
            section: 0,
            limit,
            extensions: 0,
            length: None,
            chunked: false,
            persists: true,
            whole: 0,
        }
    }

    /// Lets everything pass from now on.
    pub(super) fn ignore(&mut self) {
        self.expect = Expect::Anything;
    }

    /// Tells whether a header section has begun and is not complete.
    pub(super) fn within_head(&self) -> bool {
        match self.expect {
            Expect::RequestLine => !self.line.is_empty(),
            Expect::Field => true,
            _ => false,
        }
    }

    /// Returns how many messages have passed, if there was nothing else and the connection stays open
    /// after the last one; otherwise [`MORE`].
    pub(super) fn arrived(&self) -> u32 {
        let between = self.expect == Expect::RequestLine && self.line.is_empty();
        if between && self.persists { self.whole } else { MORE }
    }

    /// Gives back what is kept for lines to come; a line that is not complete stays.
    pub(super) fn rest(&mut self) {
        if self.line.is_empty() {
            self.line = Vec::new();
        }
    }

    /// Follows the next bytes.
    ///
    /// # Errors
    /// How many of them may be passed on, and where the refused one stands.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(), (usize, Refusal)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.expect {
                Expect::Body(left) | Expect::Chunk(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= count as u64;
                    at += count;
                    match self.expect {
                        Expect::Body(0) => self.next_message(),
                        Expect::Chunk(0) => self.expect = Expect::ChunkEnd,
                        _ => {}
                    }
                }
                Expect::TooLarge | Expect::Anything => return Ok(()),
                _ => {
                    let passed = self.head_lines(rest);
                    at += passed.map_err(|end| (at + end, Refusal::Head))?;
                    if passed != Ok(0) {
                        continue;
                    }
                    let Some(end) = memchr(b'\n', rest) else {
                        self.section += rest.len();
                        if self.section > self.limit {
                            return self.too_large().map_err(|refusal| (at, refusal));
                        }
                        self.line.extend_from_slice(rest);
                        return Ok(());
                    };
                    if self.line(&rest[..end]).is_break() {
                        return Err((at + end, self.place()));
                    }
                    at += end + 1;
                }
            }
        }
        Ok(())
    }

    /// Follows the lines of a header section that are here whole, as most are, and returns how many
    /// bytes they take.
    ///
    /// # Errors
    /// Where the one ends that is refused.
    fn head_lines(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let mut at = 0;
        while at < bytes.len()
            && self.line.is_empty()
            && matches!(self.expect, Expect::RequestLine | Expect::Field)
        {
            let rest = &bytes[at..];
            let end = memchr(b'\n', rest).filter(|end| self.section + end < self.limit);
            let Some(end) = end else { break };
            self.section += end + 1;
            // Most of them are fields that say nothing about the framing.
            let line = &rest[..end];
            let passes = self.expect == Expect::Field && is_of_no_account(line);
            if !passes && self.whole_line(line).is_break() {
                return Err(at + end);
            }
            at += end + 1;
        }
        Ok(at)
    }

    fn place(&self) -> Refusal {
        match self.expect {
            Expect::RequestLine | Expect::Field => Refusal::Head,
            _ => Refusal::Body,
        }
    }

    fn too_large(&mut self) -> Result<(), Refusal> {
        match self.place() {
            Refusal::Head => {
                self.expect = Expect::TooLarge;
                self.line = Vec::new();
                Ok(())
            }
            Refusal::Body => Err(Refusal::Body),
        }
    }

    /// Follows a line, of which `end` is what has not been kept yet, without its LF.
    fn line(&mut self, end: &[u8]) -> ControlFlow<()> {
        self.section += end.len() + 1;
        if self.section > self.limit {
            return match self.too_large() {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
        }
        if self.line.is_empty() {
            return self.whole_line(end);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        let flow = self.whole_line(&line);
        // The allocation serves the next cut.
        line.clear();
        self.line = line;
        flow
    }

    #[inline]
    fn whole_line(&mut self, line: &[u8]) -> ControlFlow<()> {
        let Some(line) = line.strip_suffix(b"\r") else {
            return ControlFlow::Break(());
        };
        let fine = match self.expect {
            Expect::RequestLine => {
                // Empty lines before a request are skipped (RFC 9112 §2.2). They are no part of its header
                // section: hyper is not given all of them, and must not find one small that is too large here.
                match line.is_empty() {
                    true => self.section = 0,
                    false => (self.expect, self.persists) = (Expect::Field, true),
                }
                true
            }
            Expect::Field if line.is_empty() => {
                self.body();
                true
            }
            Expect::Field => self.field(line),
            Expect::ChunkSize => self.chunk_size(line),
            Expect::ChunkEnd => {
                self.expect = Expect::ChunkSize;
                line.is_empty()
            }
            Expect::Trailer if line.is_empty() => {
                self.next_message();
                true
            }
            _ => true,
        };
        if fine { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn field(&mut self, line: &[u8]) -> bool {
        match line[0] {
            b' ' | b'\t' => return false,
            b'c' | b'C' | b't' | b'T' => {}
            _ => return true,
        }
        let Some(colon) = memchr(b':', line) else { return true };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value);
            let first = self.length.is_none() && !self.chunked;
            self.length = length;
            first && length.is_some()
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let first = self.length.is_none() && !self.chunked;
            self.chunked = true;
            first && value.eq_ignore_ascii_case(b"chunked")
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.persists &= value.eq_ignore_ascii_case(b"keep-alive");
            true
        } else {
            true
        }
    }

    /// The header section is complete.
    fn body(&mut self) {
        self.section = 0;
        match self.length {
            _ if self.chunked => self.expect = Expect::ChunkSize,
            Some(length) if length > 0 => self.expect = Expect::Body(length),
            _ => self.next_message(),
        }
    }

    fn chunk_size(&mut self, line: &[u8]) -> bool {
        let (size, extension) = match memchr(b';', line) {
            Some(end) => (line[..end].trim_ascii_end(), &line[end..]),
            None => (line, &[][..]),
        };
        let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        self.extensions += extension.len();
        if extension.iter().any(control) || self.extensions > self.limit {
            return false;
        }
        self.section = 0;
        match hexadecimal(size) {
            None => return false,
            Some(0) => self.expect = Expect::Trailer,
            Some(size) => self.expect = Expect::Chunk(size),
        }
        true
    }

    fn next_message(&mut self) {
        self.expect = Expect::RequestLine;
        self.section = 0;
        self.extensions = 0;
        self.length = None;
        self.chunked = false;
        self.whole = self.whole.saturating_add(1);
    }
}

/// Tells whether a line with its CR is a field that has nothing to do with the framing.
fn is_of_no_account(line: &[u8]) -> bool {
    matches!(line, [first, .., b'\r'] if !matches!(first, b' ' | b'\t' | b'c' | b'C' | b't' | b'T'))
}

fn digits(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(str::from_utf8(text).ok().filter(|_| digits)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 256;

    /// What becomes of the bytes; however they are cut, it is the same.
    fn follow(text: &str) -> Result<Expect, (usize, Refusal)> {
        let whole = {
            let mut framing = Framing::new(LIMIT);
            framing.follow(text.as_bytes()).map(|()| framing.expect)
        };
        let mut framing = Framing::new(LIMIT);
        for (at, byte) in text.bytes().enumerate() {
            match framing.follow(&[byte]) {
                Ok(()) => {}
                Err((_, refusal)) => {
                    let (place, same) = whole.unwrap_err();
                    assert!(same == refusal && at <= place, "{text:?}");
                    return whole;
                }
            }
        }
        assert_eq!(whole, Ok(framing.expect), "{text:?}");
        whole
    }

    #[test]
    fn messages_follow_each_other() {
        for text in [
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\na\nbGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length:0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\na\n\r\nA ;x=\"y\"\r\n0123456789\r\n0\r\nt: 1\r\n\r\n",
        ] {
            assert_eq!(follow(text), Ok(Expect::RequestLine), "{text:?}");
        }
        assert_eq!(follow("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\na"), Ok(Expect::Body(2)));
    }

    #[test]
    fn empty_lines_do_not_make_a_header_section_large() {
        let empty = "\r\n".repeat(LIMIT);
        let head = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        assert_eq!(follow(&format!("{empty}{head}{empty}{head}")), Ok(Expect::RequestLine));
        assert!(follow(&format!("{empty}GET / HTTP/1.1\n")).is_err(), "it is still watched");
        let large = format!("{empty}GET /{} HTTP/1.1\r\n", "x".repeat(LIMIT));
        assert_eq!(follow(&large), Ok(Expect::TooLarge));
    }

    #[test]
    fn what_others_might_read_otherwise_is_refused() {
        for head in [
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1\r\nhost: x\n",
            "GET / HTTP/1.1\r\na: b\r\n c\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 3\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 3, 3\r\n",
            "GET / HTTP/1.1\r\ncontent-length: +3\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n",
            "GET / HTTP/1.1\r\ncontent-length:\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n",
        ] {
            assert_eq!(follow(head), Err((head.len() - 1, Refusal::Head)), "{head:?}");
        }
    }

    #[test]
    fn chunks_are_taken_at_their_word() {
        let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for body in [
            "g\r\n",
            "-1\r\n",
            "0x3\r\n",
            "3 \r\n",
            "\r\n",
            "fffffffffffffffff\r\n",
            "3\n",
            "3;a\rb\r\n",
            "3\r\nabc\n",
            "3\r\nabcd\r\n",
            "0\r\nt: 1\n",
        ] {
            let text = format!("{head}{body}");
            assert!(matches!(follow(&text), Err((_, Refusal::Body))), "{body:?}");
        }
        let extension = format!("{head}1;{}\r\n", "x".repeat(LIMIT));
        assert!(matches!(follow(&extension), Err((_, Refusal::Body))));
        let extensions = format!("{head}{}", "1;extension\r\nx\r\n".repeat(LIMIT));
        assert!(matches!(follow(&extensions), Err((_, Refusal::Body))));
        let trailer = format!("{head}0\r\nt: {}\r\n", "x".repeat(LIMIT));
        assert!(matches!(follow(&trailer), Err((_, Refusal::Body))));
        let many = format!("{head}{}0\r\n\r\n", "1\r\nx\r\n".repeat(LIMIT));
        assert_eq!(follow(&many), Ok(Expect::RequestLine), "chunks are not limited in number");
    }

    #[track_caller]
    fn check_arrived(text: &str, expected: u32) {
        for cut in 0..=text.len() {
            let mut framing = Framing::new(LIMIT);
            framing.follow(&text.as_bytes()[..cut]).unwrap();
            framing.follow(&text.as_bytes()[cut..]).unwrap();
            assert_eq!(framing.arrived(), expected, "{text:?} cut at {cut}");
        }
    }

    #[test]
    fn it_is_known_how_many_requests_have_arrived_whole() {
        const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        check_arrived("", 0);
        check_arrived(GET, 1);
        check_arrived(&GET.repeat(3), 3);
        check_arrived(&format!("{GET}\r\n"), 1);
        check_arrived(&format!("{GET}G"), MORE);
        check_arrived(&format!("{GET}GET / HTTP/1.1\r\n"), MORE);
        let post = "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab";
        check_arrived(post, MORE);
        check_arrived(&format!("{post}c"), 1);
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
        check_arrived(chunked, MORE);
        check_arrived(&format!("{chunked}\r\n"), 1);
    }

    #[test]
    fn it_is_known_whether_a_connection_is_to_stay_open() {
        for (value, persists) in [
            ("keep-alive", true),
            ("Keep-Alive", true),
            ("close", false),
            ("keep-alive, close", false),
            ("Upgrade", false),
            ("", false),
        ] {
            let request = format!("GET / HTTP/1.1\r\nConnection: {value}\r\n\r\n");
            check_arrived(&request, if persists { 1 } else { MORE });
        }
        let last = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nconnection: close\r\n\r\n";
        check_arrived(last, MORE);
    }

    #[test]
    fn nothing_is_kept_while_nothing_comes() {
        let mut framing = Framing::new(LIMIT);
        let path = "x".repeat(LIMIT / 2);
        framing.follow(format!("GET /{path}").as_bytes()).unwrap();
        framing.rest();
        assert!(!framing.line.is_empty(), "the line is not complete");
        framing.follow(b" HTTP/1.1\r\n\r\n").unwrap();
        framing.rest();
        assert_eq!((framing.arrived(), framing.line.capacity()), (1, 0));
    }

    #[test]
    fn nothing_is_kept_of_a_header_section_that_is_too_large() {
        let mut framing = Framing::new(LIMIT);
        for _ in 0..LIMIT {
            framing.follow(b"GET ").unwrap();
        }
        assert_eq!((framing.expect, framing.line.capacity()), (Expect::TooLarge, 0));
    }
}
