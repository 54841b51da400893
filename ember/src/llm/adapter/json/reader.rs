use crate::base::json_text::plain_json_length;
use std::borrow::Cow;
use std::ops::Range;

/// How deep arrays and objects may stand in each other here. serde_json allows twice as much.
const MAX_DEPTH: u8 = 64;

/// How many digits always fit into 64 bits.
const MAX_DIGITS: usize = 18;

/// Reads a document from its beginning to its end.
pub(in crate::llm::adapter) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

/// The document is not taken. Why, serde_json says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::llm::adapter) struct Refused;

pub(in crate::llm::adapter) type Result<T> = std::result::Result<T, Refused>;

impl<'a> Reader<'a> {
    pub(in crate::llm::adapter) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Tells whether nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads the members of an object; each value is to be read by the function, which is told the name.
    pub(in crate::llm::adapter) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<()> {
        self.enter(b'{')?;
        if self.peek() != Some(b'}') {
            loop {
                let name = self.plain_text()?;
                self.expect(b':')?;
                member(self, name)?;
                if !self.has_more(b'}')? {
                    break;
                }
            }
        }
        self.leave()
    }

    /// Reads the items of an array, each by the function.
    pub(in crate::llm::adapter) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.enter(b'[')?;
        if self.peek() != Some(b']') {
            loop {
                item(self)?;
                if !self.has_more(b']')? {
                    break;
                }
            }
        }
        self.leave()
    }

    /// Reads a text.
    pub(in crate::llm::adapter) fn text(&mut self) -> Result<Cow<'a, str>> {
        let (text, is_plain) = self.quoted()?;
        if is_plain { Ok(Cow::Borrowed(text)) } else { unescaped(text).map(Cow::Owned) }
    }

    /// Reads a number that is whole and not negative.
    pub(in crate::llm::adapter) fn whole_number(&mut self) -> Result<u64> {
        self.peek();
        let start = self.at;
        self.number()?;
        let digits = self.slice(start)?.as_bytes();
        if digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Refused);
        }
        Ok(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// Passes over `null`, if that is next; tells whether it was.
    pub(in crate::llm::adapter) fn null(&mut self) -> Result<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal("null").map(|()| true)
    }

    /// Tells whether a text is next.
    pub(in crate::llm::adapter) fn is_at_text(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// Reads a value as it is written.
    pub(in crate::llm::adapter) fn raw(&mut self) -> Result<&'a str> {
        self.peek();
        let start = self.at;
        self.pass()?;
        self.slice(start)
    }

    /// Passes over a value.
    pub(in crate::llm::adapter) fn pass(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => match self.quoted()? {
                (_, true) => Ok(()),
                (text, false) => escapes(text, |_, _| {}).map(drop),
            },
            Some(b'n') => self.literal("null"),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'{') => self.object(|reader, _| reader.pass()),
            Some(b'[') => self.array(Self::pass),
            _ => self.number(),
        }
    }

    /// Passes over a value that holds no others, and tells where it stands.
    pub(in crate::llm::adapter) fn pass_scalar(&mut self) -> Result<Range<usize>> {
        if let Some(b'{' | b'[') = self.peek() {
            return Err(Refused);
        }
        let start = self.at;
        self.pass()?;
        Ok(start..self.at)
    }

    /// Passes over what has to stand here as it is.
    pub(in crate::llm::adapter) fn literal(&mut self, literal: &str) -> Result<()> {
        if !self.rest().starts_with(literal.as_bytes()) {
            return Err(Refused);
        }
        self.at += literal.len();
        Ok(())
    }

    /// What has not been read.
    pub(in crate::llm::adapter) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Passes over a byte, with the white space before it.
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self, bracket: u8) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return Err(Refused);
        }
        self.depth += 1;
        self.expect(bracket)
    }

    /// Passes over the bracket that was found.
    fn leave(&mut self) -> Result<()> {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    /// Moves to the next item, or to the bracket that ends them; tells whether there is one.
    fn has_more(&mut self, end: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => Ok(false),
            _ => Err(Refused),
        }
    }

    /// Passes over a number (RFC 8259, 6).
    fn number(&mut self) -> Result<()> {
        let rest = self.rest();
        let mut length = usize::from(rest.first() == Some(&b'-'));
        length += match rest.get(length) {
            Some(b'0') => 1,
            _ => digits(&rest[length..])?,
        };
        if rest.get(length) == Some(&b'.') {
            length += 1;
            length += digits(&rest[length..])?;
        }
        if let Some(b'e' | b'E') = rest.get(length) {
            length += 1;
            length += usize::from(matches!(rest.get(length), Some(b'+' | b'-')));
            length += digits(&rest[length..])?;
        }
        self.at += length;
        Ok(())
    }

    fn slice(&self, from: usize) -> Result<&'a str> {
        self.text.get(from..self.at).ok_or(Refused)
    }

    /// Reads a text without escapes, as names are.
    fn plain_text(&mut self) -> Result<&'a str> {
        match self.quoted()? {
            (text, true) => Ok(text),
            (_, false) => Err(Refused),
        }
    }

    /// Reads what stands between quotes, and tells whether it is without escapes.
    fn quoted(&mut self) -> Result<(&'a str, bool)> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut is_plain = true;
        loop {
            self.at += plain_json_length(bytes.get(self.at..).unwrap_or_default());
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_plain = false;
                    // What it escapes is looked at when it is taken out.
                    self.at += 2;
                }
                // A control character, or the end.
                _ => return Err(Refused),
            }
        }
        let text = self.slice(start)?;
        self.at += 1;
        Ok((text, is_plain))
    }
}

fn digits(bytes: &[u8]) -> Result<usize> {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count > 0 { Ok(count) } else { Err(Refused) }
}

/// Takes the escapes out of a text.
fn unescaped(text: &str) -> Result<String> {
    // It is never longer than before.
    let mut whole = String::with_capacity(text.len());
    let rest = escapes(text, |before, character| {
        whole.push_str(before);
        whole.push(character);
    })?;
    whole.push_str(rest);
    Ok(whole)
}

/// Tells of each escape what stands before it and what it stands for, and returns what is behind the last.
fn escapes(text: &str, mut tell: impl FnMut(&str, char)) -> Result<&str> {
    let mut rest = text;
    // Of what may not stand in a text as it is, it has backslashes only.
    while let Some((before, escape)) = rest.split_at_checked(plain_json_length(rest.as_bytes())) {
        let Some(escape) = escape.strip_prefix('\\') else { break };
        let (character, length) = character(escape.as_bytes())?;
        tell(before, character);
        rest = escape.get(length..).ok_or(Refused)?;
    }
    Ok(rest)
}

/// What an escape stands for, and how many bytes it has behind the backslash (RFC 8259, 7).
fn character(escape: &[u8]) -> Result<(char, usize)> {
    let character = match escape.first() {
        Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let first = unit(&escape[1..])?;
            if !(0xd800..0xe000).contains(&first) {
                return Ok((char::from_u32(first.into()).ok_or(Refused)?, 5));
            }
            let Some(b"\\u") = escape.get(5..7) else { return Err(Refused) };
            let both = char::decode_utf16([first, unit(&escape[7..])?]).next();
            return Ok((both.and_then(std::result::Result::ok).ok_or(Refused)?, 11));
        }
        _ => return Err(Refused),
    };
    Ok((character, 1))
}

/// Four hexadecimal digits.
fn unit(digits: &[u8]) -> Result<u16> {
    let digits = digits.get(..4).ok_or(Refused)?;
    let value = |digit: &u8| char::from(*digit).to_digit(16).ok_or(Refused);
    let unit = digits.iter().try_fold(0, |unit, digit| Ok(unit << 4 | value(digit)?))?;
    u16::try_from(unit).map_err(|_| Refused)
}
