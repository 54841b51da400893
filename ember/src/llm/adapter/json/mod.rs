//! JSON of answers, read where it lies.
//!
//! The events of a stream are short and many, and most of what stands in them says nothing new.
//! [`read`] fills the same types as serde_json, by their `Deserialize`, with a third of its
//! work: it knows that the text is UTF-8, passes over what no type asks for eight bytes at a
//! time, and makes no error message, as nobody would read it. Whatever it does not take is read again by
//! serde_json, which has the last word on what is JSON and on what is wrong with it. So this reader
//! may refuse what it likes, but what it takes must be what serde_json takes, with the same
//! values; tests compare the two.

mod number;
mod raw;
mod reader;
mod text;

pub(super) use raw::{Later, Raw};
pub(super) use text::{AnyText, WireText, some};

use reader::Reader;
use serde::Deserialize;

/// Reads a document.
///
/// # Errors
/// Those of serde_json.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    match read_fast(text) {
        Some(value) => Ok(value),
        None => serde_json::from_str(text),
    }
}

/// Reads a document that should be UTF-8.
///
/// # Errors
/// Those of serde_json.
pub(super) fn read_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    match str::from_utf8(bytes) {
        Ok(text) => read(text),
        Err(_) => serde_json::from_slice(bytes),
    }
}

/// Reads a document, unless anything about it is wrong or out of the ordinary.
fn read_fast<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader).ok()?;
    reader.is_at_end().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;
    use serde_json::{Map, Value};
    use std::borrow::Cow;
    use std::fmt::Debug;
    use std::path::{Path, PathBuf};

    /// A generator of numbers that look random: xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
    struct Chance(u64);

    impl Chance {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, limit: usize) -> usize {
            usize::try_from(self.next() % limit as u64).unwrap()
        }

        fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
            choices[self.below(choices.len())]
        }
    }

    const TEXTS: [&str; 16] = [
        "",
        "text",
        "type",
        "delta",
        "content",
        "a\\nb",
        "\\u00e9\\u20AC",
        "\\ud83d\\ude00",
        "Grüße 東京",
        "\\\"",
        "\\\\",
        "\\/\\b\\f\\r\\t",
        "0123456",
        "01234567",
        "012345678",
        "a text that is longer than sixteen bytes",
    ];
    const SCALARS: [&str; 18] = [
        "null",
        "true",
        "false",
        "0",
        "7",
        "-7",
        "-0",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "999999999999999999",
        "1.5",
        "-0.0",
        "1e3",
        "1E-400",
        "2.5e+7",
        "1e999",
        "123456789012345678901234567890",
    ];
    const BLANKS: [&str; 6] = ["", "", "", " ", "\n", " \t\r\n"];

    /// A document.
    fn document(chance: &mut Chance, depth: usize) -> String {
        let blank = chance.one_of(&BLANKS);
        let kind = chance.below(if depth == 0 { 2 } else { 4 });
        let count = chance.below(4);
        let inner = match kind {
            0 => chance.one_of(&SCALARS).to_owned(),
            1 => format!("\"{}\"", chance.one_of(&TEXTS)),
            2 => {
                let items: Vec<_> = (0..count).map(|_| document(chance, depth - 1)).collect();
                format!("[{}{}]", items.join(","), chance.one_of(&BLANKS))
            }
            _ => {
                let members: Vec<_> = (0..count)
                    .map(|_| {
                        let (space, name) = (chance.one_of(&BLANKS), chance.one_of(&TEXTS));
                        format!("{space}\"{name}\"{space}:{}", document(chance, depth - 1))
                    })
                    .collect();
                format!("{{{}{}}}", members.join(","), chance.one_of(&BLANKS))
            }
        };
        format!("{blank}{inner}{}", chance.one_of(&BLANKS))
    }

    /// The same with something wrong, mostly.
    fn mutated(document: &str, chance: &mut Chance) -> String {
        const PIECES: [&str; 24] = [
            "\"", "\\", ",", ":", "{", "}", "[", "]", "0", "-", ".", "e", "+", "n", "null",
            "\u{1}", "\n", "\u{7f}", "é", "\\u", "\\ud800", "\\udc00", "\\x", "\u{feff}",
        ];
        let places: Vec<_> =
            document.char_indices().map(|(at, _)| at).chain([document.len()]).collect();
        let mut ends = [chance.below(places.len()), chance.below(places.len())];
        ends.sort_unstable();
        // Mostly a little is taken out.
        let end =
            if chance.below(4) > 0 { (ends[0] + chance.below(2)).min(ends[1]) } else { ends[1] };
        let (before, after) = (&document[..places[ends[0]]], &document[places[end]..]);
        let piece = if chance.below(3) > 0 { chance.one_of(&PIECES) } else { "" };
        format!("{before}{piece}{after}")
    }

    /// What one type makes of a document must be what serde_json makes of it, if it is taken.
    #[track_caller]
    fn agrees<'a, T: Deserialize<'a> + Debug>(text: &'a str) -> bool {
        let Some(value) = read_fast::<T>(text) else { return false };
        let expected = serde_json::from_str::<T>(text);
        assert_eq!(format!("{value:?}"), format!("{:?}", expected.unwrap()), "{text}");
        true
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "what was read is compared as it is printed")]
    struct Wire<'a> {
        #[serde(borrow)]
        text: Option<WireText<'a>>,
        #[serde(borrow, alias = "type")]
        content: Option<AnyText<'a>>,
        #[serde(borrow)]
        delta: Option<Raw<'a>>,
        #[serde(default)]
        a: u64,
        #[serde(flatten)]
        rest: Map<String, Value>,
    }

    /// Compares by all kinds of types; tells whether it is taken as a value.
    fn compare(text: &str) -> bool {
        agrees::<Raw<'_>>(text);
        agrees::<AnyText<'_>>(text);
        agrees::<IgnoredAny>(text);
        agrees::<Wire<'_>>(text);
        agrees::<Vec<Wire<'_>>>(text);
        agrees::<Option<f64>>(text);
        agrees::<i8>(text);
        agrees::<Vec<u64>>(text);
        agrees::<Vec<Option<Cow<'_, str>>>>(text);
        agrees::<(Value, bool)>(text);
        agrees::<std::collections::BTreeMap<String, Vec<Value>>>(text);
        agrees::<Later<'_, Vec<Value>>>(text);
        agrees::<Value>(text)
    }

    #[test]
    fn documents_are_what_serde_json_says() {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        for _ in 0..4_000 {
            let text = document(&mut chance, 4);
            // A number that is too large for any is the only thing that is no value.
            let is_value = serde_json::from_str::<Value>(&text).is_ok();
            assert_eq!(compare(&text), is_value, "{text}");
            for _ in 0..8 {
                compare(&mutated(&text, &mut chance));
            }
        }
    }

    #[test]
    fn what_is_no_json_is_not_taken() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "1e+",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "\"a",
            "\"\\",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"a\nb\"",
            "'a'",
            "[1]]",
            "{\"a\":1}x",
            "\u{feff}1",
            "tru",
            "[truefalse]",
            "\"\\é\"",
        ] {
            assert!(read_fast::<Value>(text).is_none(), "{text}");
            assert_eq!(compare(text), serde_json::from_str::<Value>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(compare(&nested(64)) && !compare(&nested(65)));
        assert!(read::<Value>(&nested(100)).is_ok(), "serde_json takes it");
        assert!(read::<Value>(&nested(200)).is_err());
        assert!(read::<IgnoredAny>(&"[".repeat(1 << 20)).is_err());
    }

    #[test]
    fn errors_are_those_of_serde_json() {
        let error = |text| read::<Vec<u8>>(text).unwrap_err().to_string();
        assert_eq!(
            error("[1, 300]"),
            "invalid value: integer `300`, expected u8 at line 1 column 7"
        );
        assert_eq!(error("[1 "), "EOF while parsing a list at line 1 column 3");
        let error = read_bytes::<Value>(b"\"\xff\"").unwrap_err().to_string();
        assert!(error.starts_with("invalid unicode code point"), "{error}");
    }

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }

    #[test]
    fn recorded_events_are_what_serde_json_says() {
        let of_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings");
        let mut paths = Vec::new();
        for folder in [of_tests, beside].iter().filter(|folder| folder.exists()) {
            files(folder, &mut paths);
        }
        let (mut taken, mut events) = (0, 0);
        let mut chance = Chance(7);
        for path in paths {
            let text = std::fs::read_to_string(path).unwrap();
            compare(&text);
            let recording: Value = serde_json::from_str(&text).unwrap();
            let Some(body) = recording["response"]["body"].as_str() else { continue };
            let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
            for event in data.filter(|event| serde_json::from_str::<Value>(event).is_ok()) {
                events += 1;
                taken += usize::from(compare(event));
                compare(&mutated(event, &mut chance));
            }
        }
        assert!(events > 50 && taken == events, "{taken} of {events}");
    }
}
