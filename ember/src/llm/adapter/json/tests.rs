//! That what is read is what serde_json reads.

use super::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use smallvec::SmallVec;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// A generator of numbers that look random: xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
pub(in crate::llm::adapter) struct Chance(pub(in crate::llm::adapter) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(in crate::llm::adapter) fn below(&mut self, limit: usize) -> usize {
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
pub(in crate::llm::adapter) fn mutated(document: &str, chance: &mut Chance) -> String {
    const PIECES: [&str; 24] = [
        "\"", "\\", ",", ":", "{", "}", "[", "]", "0", "-", ".", "e", "+", "n", "null", "\u{1}",
        "\n", "\u{7f}", "é", "\\u", "\\ud800", "\\udc00", "\\x", "\u{feff}",
    ];
    let places: Vec<_> =
        document.char_indices().map(|(at, _)| at).chain([document.len()]).collect();
    let mut ends = [chance.below(places.len()), chance.below(places.len())];
    ends.sort_unstable();
    // Mostly a little is taken out.
    let end = if chance.below(4) > 0 { (ends[0] + chance.below(2)).min(ends[1]) } else { ends[1] };
    let (before, after) = (&document[..places[ends[0]]], &document[places[end]..]);
    let piece = if chance.below(3) > 0 { chance.one_of(&PIECES) } else { "" };
    format!("{before}{piece}{after}")
}

/// What is made of a document must be what serde_json makes of it, if it is taken; tells whether it is.
#[track_caller]
pub(in crate::llm::adapter) fn agrees<'a, T>(text: &'a str) -> bool
where
    T: Fill<'a> + Deserialize<'a> + Default + Debug,
{
    let mut value = T::default();
    if fill_all(&mut value, text).is_err() {
        return false;
    }
    let expected = serde_json::from_str::<T>(text);
    assert_eq!(format!("{value:?}"), format!("{:?}", expected.unwrap()), "{text}");
    true
}

/// Compares by the events of a provider, as they were recorded, whole and with something wrong.
#[track_caller]
pub(in crate::llm::adapter) fn agrees_on_recordings(folder: &str, agrees: impl Fn(&str) -> bool) {
    let (mut taken, mut events) = (0, 0);
    let mut chance = Chance(7);
    for event in recorded(folder).into_iter().flatten() {
        events += 1;
        taken += usize::from(agrees(&event));
        for _ in 0..8 {
            agrees(&mutated(&event, &mut chance));
        }
    }
    assert!(events > 0 && taken == events, "{taken} of {events}");
}

wire! {
    /// One of each kind of place.
    struct Wire<'a> {
        #[serde(borrow)]
        text: Option<WireText<'a>> = "text",
        #[serde(borrow)]
        kind: Option<AnyText<'a>> = "type" | "Grüße 東京",
        #[serde(borrow)]
        delta: Option<Raw<'a>> = "delta",
        content: u64 = "content",
        #[serde(borrow)]
        items: Option<SmallVec<[Option<WireText<'a>>; 1]>> = "0123456",
        #[serde(borrow)]
        later: Option<Later<'a, Vec<Value>>> = "01234567",
        #[serde(borrow)]
        wires: Option<SmallVec<[Inner<'a>; 1]>> = "012345678",
    }
}

wire! {
    struct Inner<'a> {
        #[serde(borrow)]
        text: Option<AnyText<'a>> = "text",
        delta: Option<u64> = "delta",
    }
}

/// Compares by all kinds of places; tells whether it is taken as a value.
fn compare(text: &str) -> bool {
    agrees::<AnyText<'_>>(text);
    agrees::<Wire<'_>>(text);
    agrees::<Option<SmallVec<[Wire<'_>; 1]>>>(text);
    agrees::<Option<u64>>(text);
    agrees::<SmallVec<[u64; 1]>>(text);
    agrees::<SmallVec<[Option<WireText<'_>>; 1]>>(text);
    agrees::<Later<'_, Vec<Value>>>(text);
    agrees::<Raw<'_>>(text)
}

#[test]
fn documents_are_what_serde_json_says() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut taken = 0;
    for _ in 0..4_000 {
        let text = document(&mut chance, 4);
        taken += usize::from(compare(&text));
        for _ in 0..8 {
            compare(&mutated(&text, &mut chance));
        }
    }
    // Names with escapes are left to serde_json.
    assert!(taken > 2_000, "{taken}");
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
        "{\"\\n\":1}",
    ] {
        assert!(!compare(text), "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(compare(&nested(64)) && !compare(&nested(65)));
    let (deep, endless) = (nested(100), "[".repeat(1 << 20));
    let mut raw = Raw::default();
    assert!(read_into(&mut raw, &deep).is_ok(), "serde_json takes it");
    assert!(read_into(&mut raw, &endless).is_err());
}

#[test]
fn errors_are_those_of_serde_json() {
    let error = |text| read_into(&mut Inner::default(), text).unwrap_err().to_string();
    assert_eq!(
        error("{\"delta\": \"a\"}"),
        "invalid type: string \"a\", expected u64 at line 1 column 13"
    );
    assert_eq!(error("{\"delta\": 1"), "EOF while parsing an object at line 1 column 11");
    assert_eq!(
        error("{\"delta\": 1, \"delta\": 2}"),
        "duplicate field `delta` at line 1 column 20"
    );
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

/// The streams that were recorded of a provider: of each, the events that are JSON.
pub(in crate::llm::adapter) fn recorded(folder: &str) -> Vec<Vec<String>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        here.join("../tests/fixtures").join(folder),
        here.join("../../shared/recordings").join(folder),
    ];
    let mut paths = Vec::new();
    folders.iter().filter(|folder| folder.exists()).for_each(|folder| files(folder, &mut paths));
    let mut streams = Vec::new();
    for path in paths {
        let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let Some(body) = recording["response"]["body"].as_str() else { continue };
        let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
        let is_json = |data: &&str| serde_json::from_str::<IgnoredAny>(data).is_ok();
        let events: Vec<_> = data.filter(is_json).map(str::to_owned).collect();
        streams.extend((!events.is_empty()).then_some(events));
    }
    streams
}
