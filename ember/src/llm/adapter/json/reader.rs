use super::number;
use super::raw::RAW;
use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// How deep arrays and objects may stand in each other here; serde_json allows twice as much.
const MAX_DEPTH: u8 = 64;

/// Reads a document from its beginning to its end.
pub(super) struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
}

/// The document is not taken. Why, serde_json says.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the document is not taken")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Result<T> = std::result::Result<T, Refused>;

/// A text between quotes.
pub(super) enum Quoted<'de> {
    Plain(&'de str),
    /// It has escapes, which are taken out.
    Unescaped(String),
}

impl<'de> Reader<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Tells whether nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
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

    fn word(&mut self, word: &str) -> Result<()> {
        let rest = self.text.as_bytes().get(self.at..).ok_or(Refused)?;
        if !rest.starts_with(word.as_bytes()) {
            return Err(Refused);
        }
        self.at += word.len();
        Ok(())
    }

    fn slice(&self, from: usize) -> Result<&'de str> {
        self.text.get(from..self.at).ok_or(Refused)
    }

    /// Moves to the end of the text that begins here, behind its first quote. Tells whether it is without escapes.
    fn pass_quoted(&mut self) -> Result<bool> {
        let bytes = self.text.as_bytes();
        let mut plain = true;
        loop {
            self.at = special(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => return Ok(plain),
                Some(b'\\') => {
                    plain = false;
                    // What follows is looked at by whoever takes the escape out.
                    self.at += 2;
                }
                // A control character, or the end.
                _ => return Err(Refused),
            }
        }
    }

    /// Reads a text, of which the next byte is the quote.
    fn quoted(&mut self) -> Result<Quoted<'de>> {
        self.at += 1;
        let start = self.at;
        let plain = self.pass_quoted()?;
        let text = self.slice(start)?;
        self.at += 1;
        match plain {
            true => Ok(Quoted::Plain(text)),
            false => unescaped(text).map(Quoted::Unescaped),
        }
    }

    /// Passes over a text, of which the next byte is the quote.
    fn pass_text(&mut self) -> Result<()> {
        self.at += 1;
        let start = self.at;
        let plain = self.pass_quoted()?;
        if !plain {
            check_escapes(self.slice(start)?)?;
        }
        self.at += 1;
        Ok(())
    }

    /// Passes over a value.
    fn pass(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.pass_text(),
            Some(b'n') => self.word("null"),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'{') => self.nested(|reader| {
                let mut is_first = true;
                while reader.next_item(&mut is_first, b'}')? {
                    if reader.peek() != Some(b'"') {
                        return Err(Refused);
                    }
                    reader.pass_text()?;
                    reader.expect(b':')?;
                    reader.pass()?;
                }
                Ok(())
            }),
            Some(b'[') => self.nested(|reader| {
                let mut is_first = true;
                while reader.next_item(&mut is_first, b']')? {
                    reader.pass()?;
                }
                Ok(())
            }),
            _ => self.number().map(drop),
        }
    }

    /// Goes into an array or an object, of which the next byte is the bracket.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(Refused);
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Moves to the next item, or behind the bracket that ends them; tells whether there is one.
    fn next_item(&mut self, is_first: &mut bool, end: u8) -> Result<bool> {
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ if std::mem::take(is_first) => Ok(true),
            Some(b',') => {
                self.at += 1;
                // A comma before the end is none of JSON.
                if self.peek() == Some(end) { Err(Refused) } else { Ok(true) }
            }
            _ => Err(Refused),
        }
    }

    /// Passes over a number.
    fn number(&mut self) -> Result<&'de str> {
        let start = self.at;
        let length = number::length(&self.text.as_bytes()[start..]).ok_or(Refused)?;
        self.at += length;
        self.slice(start)
    }
}

/// Where the first byte stands that ends a text, begins an escape, or must not be in one; the
/// length, if there is none.
fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    // The lowest bit that is set belongs to the first byte that is 0; those above it may err.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(Ok(eight)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(eight);
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let escapes = zeros(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quotes | escapes | controls;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Takes the escapes out of a text.
fn unescaped(text: &str) -> Result<String> {
    // It is never longer than before.
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        whole.push_str(before);
        let (character, length) = character(escape.as_bytes())?;
        whole.push(character);
        rest = escape.get(length..).ok_or(Refused)?;
    }
    whole.push_str(rest);
    Ok(whole)
}

fn check_escapes(text: &str) -> Result<()> {
    let mut rest = text;
    while let Some((_, escape)) = rest.split_once('\\') {
        let (_, length) = character(escape.as_bytes())?;
        rest = escape.get(length..).ok_or(Refused)?;
    }
    Ok(())
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
                return Ok((char::from_u32(first).ok_or(Refused)?, 5));
            }
            let Some(b"\\u") = escape.get(5..7) else { return Err(Refused) };
            let units = [first, unit(&escape[7..])?].map(|unit| unit as u16);
            let both = char::decode_utf16(units).next();
            return Ok((both.and_then(std::result::Result::ok).ok_or(Refused)?, 11));
        }
        _ => return Err(Refused),
    };
    Ok((character, 1))
}

/// Four hexadecimal digits.
fn unit(digits: &[u8]) -> Result<u32> {
    let digits = digits.get(..4).ok_or(Refused)?;
    digits.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(Refused)?;
        Ok(unit << 4 | value)
    })
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => match self.quoted()? {
                Quoted::Plain(text) => visitor.visit_borrowed_str(text),
                Quoted::Unescaped(text) => visitor.visit_string(text),
            },
            Some(b'{') => self.nested(|reader| {
                let mut members = Items { reader, is_first: true, end: b'}', is_over: false };
                let value = visitor.visit_map(&mut members)?;
                members.is_over.then_some(value).ok_or(Refused)
            }),
            Some(b'[') => self.nested(|reader| {
                let mut items = Items { reader, is_first: true, end: b']', is_over: false };
                let value = visitor.visit_seq(&mut items)?;
                // Whoever wants so many items and no more has not asked for the end.
                let is_over = items.is_over || !items.next()?;
                is_over.then_some(value).ok_or(Refused)
            }),
            Some(b'n') => {
                self.word("null")?;
                visitor.visit_unit()
            }
            Some(b't') => {
                self.word("true")?;
                visitor.visit_bool(true)
            }
            Some(b'f') => {
                self.word("false")?;
                visitor.visit_bool(false)
            }
            _ => number::visit(self.number()?, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'n') => {
                self.word("null")?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        self.peek();
        let start = self.at;
        self.pass()?;
        visitor.visit_borrowed_str(self.slice(start)?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.pass()?;
        visitor.visit_unit()
    }

    /// No answer has one.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value> {
        Err(Refused)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The members of an object, or the items of an array.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
    end: u8,
    is_over: bool,
}

impl Items<'_, '_> {
    fn next(&mut self) -> Result<bool> {
        let is_there = self.reader.next_item(&mut self.is_first, self.end)?;
        self.is_over = !is_there;
        Ok(is_there)
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.is_over || !self.next()? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(Refused);
        }
        let name = match self.reader.quoted()? {
            Quoted::Plain(name) => seed.deserialize(BorrowedStrDeserializer::new(name))?,
            Quoted::Unescaped(name) => seed.deserialize(StringDeserializer::new(name))?,
        };
        self.reader.expect(b':')?;
        Ok(Some(name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.is_over || !self.next()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}
