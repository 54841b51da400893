use super::json::{Filled, Reader, Refused};
use crate::llm::stream::ChatEvent;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

/// Reads an event by the one before it.
///
/// Most events of an answer differ from the one before in a text alone. So the last event that told a piece
/// of text and nothing else is kept. If the next one has the same bytes around that piece, it is the same
/// document with another text at the same place, and says the same but for that text: only the text is
/// read, and checked, as any other. What else may differ are a few members that nobody reads, which an
/// adapter names.
pub(super) struct Repeat {
    /// Members of the event itself that nobody reads, and whose texts or numbers may differ.
    unread: &'static [&'static str],
    /// The event that is kept.
    event: String,
    /// What may differ in it, in its order; nothing, if no event is kept.
    holes: Vec<Hole>,
    tell: Tell,
    /// How many events in a row were kept, and the next one was none like it.
    in_vain: u8,
    was_read: bool,
}

/// A text or a number of the event.
#[derive(Debug)]
struct Hole {
    at: Range<usize>,
    /// Whether it is the piece of text.
    is_piece: bool,
}

/// What an event tells that tells one piece of text, and would tell that piece and nothing else if it came again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The text, as it stands in the event.
    pub(super) text: &'a str,
    /// What is told.
    pub(super) tell: Tell,
}

/// Makes an event of a piece of text.
pub(super) type Tell = fn(String) -> ChatEvent;

/// How many bytes an event may have that is kept. Those with one piece of text have some hundred.
const LARGEST: usize = 16 << 10;

/// After how many events that were kept in vain no more is kept: this server changes more than a text.
const PATIENCE: u8 = 8;

impl Repeat {
    /// Nothing is kept. The names are those of members of the event itself that nobody reads.
    pub(super) fn new(unread: &'static [&'static str]) -> Self {
        Self {
            unread,
            event: String::new(),
            holes: Vec::new(),
            tell: ChatEvent::Text,
            in_vain: 0,
            was_read: false,
        }
    }

    /// Reads an event, if it is like the one that is kept; tells whether it is.
    pub(super) fn read(&mut self, event: &str, out: &mut VecDeque<ChatEvent>) -> bool {
        let Some(text) = self.piece_of(event) else { return false };
        self.was_read = true;
        if !text.is_empty() {
            out.push_back((self.tell)(text.into_owned()));
        }
        true
    }

    /// Keeps an event that was read in another way, if it tells a piece; or else none.
    pub(super) fn keep(&mut self, event: &str, piece: Option<Piece<'_>>) {
        if !self.holes.is_empty() {
            self.in_vain = if self.was_read { 0 } else { self.in_vain.saturating_add(1) };
            self.holes.clear();
        }
        let Some(Piece { text, tell }) = piece else { return };
        let is_worth_it = self.in_vain < PATIENCE && event.len() <= LARGEST;
        if is_worth_it && self.find_holes(event, text).is_ok() {
            self.event.clear();
            self.event.push_str(event);
            self.tell = tell;
            self.was_read = false;
        } else {
            self.holes.clear();
            if self.in_vain >= PATIENCE {
                // It would take its room for as long as the stream is open.
                self.event = String::new();
            }
        }
    }

    fn piece_of<'e>(&self, event: &'e str) -> Option<Cow<'e, str>> {
        let mut reader = Reader::new(event);
        let (mut piece, mut from) = (None, 0);
        for Hole { at, is_piece } in &self.holes {
            reader.literal(self.event.get(from..at.start)?).ok()?;
            if *is_piece {
                piece = Some(reader.text().ok()?);
            } else {
                reader.pass_scalar().ok()?;
            }
            from = at.end;
        }
        // The end is the same if what is left is.
        piece.filter(|_| reader.rest() == &self.event.as_bytes()[from..])
    }

    fn find_holes(&mut self, event: &str, text: &str) -> Filled<()> {
        self.holes.push(Hole { at: place(event, text).ok_or(Refused)?, is_piece: true });
        if !self.unread.is_empty() {
            Reader::new(event).object(|reader, name| match self.unread.contains(&name) {
                true => {
                    let at = reader.pass_scalar()?;
                    self.holes.push(Hole { at, is_piece: false });
                    Ok(())
                }
                false => reader.pass(),
            })?;
            self.holes.sort_unstable_by_key(|hole| hole.at.start);
        }
        Ok(())
    }
}

impl fmt::Debug for Repeat {
    /// What is kept is no part of what a decoder knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeat").finish_non_exhaustive()
    }
}

/// Where a text stands with its quotes that was borrowed from an event.
fn place(event: &str, text: &str) -> Option<Range<usize>> {
    let before = text.as_ptr().addr().checked_sub(event.as_ptr().addr())?;
    let at = before.checked_sub(1)?..before.checked_add(text.len())?.checked_add(1)?;
    let quoted = event.get(at.clone())?.strip_prefix('"')?.strip_suffix('"')?;
    (quoted == text).then_some(at)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::EventDecoder;
    use super::super::json::tests::{Chance, mutated, recorded};
    use super::*;

    const EVENT: &str = r#"{"n": 1, "delta": {"text": "Hi"}, "pad": "xy", "id": "a"}"#;

    /// Keeps an event that tells the first text of these bytes.
    fn kept(event: &str, text: &str) -> Repeat {
        let mut repeat = Repeat::new(&["n", "pad"]);
        let start = event.find(&format!("\"{text}\"")).unwrap() + 1;
        let text = &event[start..start + text.len()];
        repeat.keep(event, Some(Piece { text, tell: ChatEvent::Text }));
        repeat
    }

    #[track_caller]
    fn check(event: &str, expected: Option<&str>) {
        let mut out = VecDeque::new();
        let is_read = kept(EVENT, "Hi").read(event, &mut out);
        assert_eq!(is_read, expected.is_some(), "{event}");
        let text = expected.filter(|text| !text.is_empty());
        assert!(out.into_iter().eq(text.map(|text| ChatEvent::Text(text.to_owned()))), "{event}");
        if is_read {
            assert!(serde_json::from_str::<serde_json::Value>(event).is_ok(), "{event}");
        }
    }

    #[test]
    fn an_event_with_another_text_is_read() {
        check(EVENT, Some("Hi"));
        for (text, read) in [
            ("", ""),
            (" a much longer text", " a much longer text"),
            ("Grüße 東京", "Grüße 東京"),
            (r#"a \"word\"\n"#, "a \"word\"\n"),
            ("\\ud83d\\ude00", "😀"),
        ] {
            check(&EVENT.replace("Hi", text), Some(read));
        }
    }

    #[test]
    fn what_nobody_reads_may_differ() {
        for number in ["0", "12345", "-1.5e+3", "null", "\"1\"", " 1"] {
            check(&EVENT.replace('1', number), Some("Hi"));
        }
        for pad in ["", "abcdefgh", "a\\\"b", "é"] {
            check(&EVENT.replace("xy", pad), Some("Hi"));
        }
        for value in ["[1]", "{}", "01", "1x", "nul", "", "\"", "1, \"m\": 2"] {
            check(&EVENT.replace('1', value), None);
        }
    }

    #[test]
    fn whatever_else_differs_is_read_as_ever() {
        for (from, to) in [
            ("\"a\"", "\"b\""),
            ("\"Hi\"", "null"),
            ("\"Hi\"", "[\"Hi\"]"),
            ("Hi", "H\ni"),
            ("Hi", "\\ud800"),
            ("Hi", "\\x"),
            ("Hi\"", "Hi"),
            ("Hi", "Hi\", \"b\": \"c"),
            ("delta", "Delta"),
            ("}", ""),
            ("}", "}}"),
            ("{\"n\"", "\"n\""),
        ] {
            check(&EVENT.replacen(from, to, 1), None);
        }
        (0..EVENT.len()).for_each(|end| check(&EVENT[..end], None));
        check("", None);
        check(&format!("{EVENT} "), None);
        check(&format!(" {EVENT}"), None);
    }

    #[test]
    fn nothing_is_read_where_nothing_is_kept() {
        let mut out = VecDeque::new();
        assert!(!Repeat::new(&[]).read("", &mut out));
        let mut repeat = kept(EVENT, "Hi");
        repeat.keep(EVENT, None);
        assert!(!repeat.read(EVENT, &mut out));
        let large = EVENT.replace("xy", &"x".repeat(LARGEST));
        assert!(!kept(&large, "Hi").read(&large, &mut out));
        // With an escape, a text does not stand in the event as it is.
        let escaped = EVENT.replace("Hi", "\\u0041");
        repeat.keep(&escaped, Some(Piece { text: "A", tell: ChatEvent::Text }));
        assert!(!repeat.read(&escaped, &mut out));
        // A member that is named may be anything, but must have the form of a text or a number.
        let nested = EVENT.replace("\"xy\"", "{}");
        assert!(!kept(&nested, "Hi").read(&nested, &mut out));
    }

    #[test]
    fn where_more_than_a_text_differs_nothing_is_kept_for_long() {
        let mut repeat = Repeat::new(&[]);
        let events: Vec<_> = (0..20).map(|n| EVENT.replace('1', &n.to_string())).collect();
        let keeps = events.iter().filter(|event| {
            let start = event.find("Hi").unwrap();
            let text = &event[start..start + 2];
            repeat.keep(event, Some(Piece { text, tell: ChatEvent::Text }));
            !repeat.holes.is_empty()
        });
        assert_eq!(keeps.count(), usize::from(PATIENCE));
    }

    /// Reads the streams that were recorded of a provider, as they are and with something wrong, and each event
    /// as well by a decoder that keeps none: they must tell the same, and then know the same.
    #[track_caller]
    pub(in crate::llm::adapter) fn repeats_change_nothing<D: EventDecoder + fmt::Debug>(
        folder: &str,
        decoder: impl Fn() -> D,
        repeat: impl Fn(&mut D) -> &mut Repeat,
    ) {
        let (mut chance, mut read, mut repeated) = (Chance(11), 0, 0);
        for stream in recorded(folder) {
            for round in 0..4 {
                let (mut one, mut other) = (decoder(), decoder());
                let mut events = stream.clone();
                for _ in 0..round * stream.len() / 3 {
                    let at = chance.below(events.len());
                    events.insert(at, mutated(&events[at], &mut chance));
                }
                for event in events {
                    let is_repeated = repeat(&mut one).piece_of(&event).is_some();
                    let (mut out, mut expected) = (VecDeque::new(), VecDeque::new());
                    let outcome = one.event(&event, &mut out);
                    repeat(&mut other).keep("", None);
                    let expected_outcome = other.event(&event, &mut expected);
                    assert_eq!(out, expected, "{event}");
                    assert_eq!(format!("{outcome:?}"), format!("{expected_outcome:?}"), "{event}");
                    assert_eq!(format!("{one:?}"), format!("{other:?}"), "{event}");
                    if outcome.is_err() || out.iter().any(|e| matches!(e, ChatEvent::Finish(_))) {
                        break;
                    }
                    read += usize::from(round == 0);
                    repeated += usize::from(round == 0 && is_repeated);
                }
            }
        }
        assert!(repeated > 0, "none of {read}");
    }
}
