use std::fmt::Write as _;

/// Writes a text as JSON has it, in quotes (RFC 8259, 7), as serde_json does.
///
/// serde_json looks at each byte by itself. Here eight are looked at together, as most of them may stand as they
/// are; of answers, which are mostly one long text, that is most of the work.
pub(crate) fn write_json_text(text: &str, json: &mut String) {
    json.reserve(text.len() + 2);
    json.push('"');
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_at_checked(plain_json_length(rest.as_bytes())) {
        json.push_str(plain);
        let mut special = behind.chars();
        let Some(character) = special.next() else { break };
        write_escape(character, json);
        rest = special.as_str();
    }
    json.push('"');
}

fn write_escape(character: char, json: &mut String) {
    json.push('\\');
    match character {
        '"' | '\\' => json.push(character),
        '\n' => json.push('n'),
        '\r' => json.push('r'),
        '\t' => json.push('t'),
        '\u{8}' => json.push('b'),
        '\u{c}' => json.push('f'),
        // Writing to a string cannot fail.
        _ => drop(write!(json, "u{:04x}", u32::from(character))),
    }
}

/// How many bytes stand before the first that may not stand in a text of JSON as it is: a quote, a backslash,
/// or a control character.
///
/// It looks at eight bytes at a time ("Determine if a word has a zero byte", Bit Twiddling Hacks).
pub(crate) fn plain_json_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    const QUOTES: u64 = ONES * b'"' as u64;
    const ESCAPES: u64 = ONES * b'\\' as u64;
    // The high bit of the first byte below a limit is set, and of no byte before it; behind it they may err.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let (mut rest, mut length) = (bytes, 0);
    while let Some((eight, behind)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let found = below(word ^ QUOTES, 1) | below(word ^ ESCAPES, 1) | below(word, 0x20);
        let found = found & HIGH;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
        rest = behind;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    length + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_serde_json_writes_it() {
        let all: String = (0..=0x17f).filter_map(char::from_u32).collect();
        let mut texts = vec![String::new(), all, "\u{2028}東京 😀 \"\\/".to_owned()];
        // Each character that is special, or next to one that is, at each place of a word.
        for character in
            ['"', '!', '#', '\\', '[', ']', '\0', '\u{1f}', ' ', '\u{7f}', '\u{a2}', 'é']
        {
            for before in 0..17 {
                let (before, behind) = ("a".repeat(before), "b".repeat(before % 5));
                texts.push(format!("{before}{character}{behind}"));
                texts.push(format!("{before}{character}{character}é{behind}\n"));
            }
        }
        for text in texts {
            let mut written = "before".to_owned();
            write_json_text(&text, &mut written);
            let expected = serde_json::to_string(&text).unwrap();
            assert_eq!(written, format!("before{expected}"));
        }
    }
}
