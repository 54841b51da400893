//! Words as the guards see them: numbers, units, times, negations, opposites, names.
//!
//! The lists are ours, and short on purpose: each entry is a word whose exchange changes the
//! answer. What is in no list is compared by the guard for single words.

mod tables;
mod meanings;
mod small_words;

use self::meanings::{OPPOSITES, SYNONYMS};
use self::small_words::{FILLERS, LANGUAGES, STARTERS};
use self::tables::{
    DIRECTIONS, HOW, LARGE_NUMBERS, NEGATIONS, NUMBERS, QUESTIONS, RELATIVES, SHORT_UNITS, TIMES,
    UNITS, WHAT, find,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// A word of a question.
#[derive(Debug)]
pub(super) struct Word {
    raw: String,
    /// In small letters, without `'s`.
    pub(super) lower: String,
    /// Whether a sentence begins with it, so that a capital says nothing.
    first: bool,
}

/// Takes quotes and code out of a text; they are told apart to the letter.
pub(super) fn without_quotes(text: &str) -> (String, Vec<String>) {
    let (mut plain, mut quotes, mut rest) = (String::new(), Vec::new(), text);
    while let Some((start, open)) = rest.char_indices().find(|(_, char)| "`\"“„«".contains(*char))
    {
        let after = &rest[start + open.len_utf8()..];
        let closes = |char: char| match open {
            '“' => char == '”',
            '„' => "“”".contains(char),
            '«' => char == '»',
            open => char == open,
        };
        let Some(end) = after.find(closes) else { break };
        plain.push_str(&rest[..start]);
        plain.push(' ');
        let quote = after[..end].trim();
        if !quote.is_empty() {
            quotes.push(quote.to_owned());
        }
        let close = after[end..].chars().next().map_or(0, char::len_utf8);
        rest = &after[end + close..];
    }
    plain.push_str(rest);
    (plain, quotes)
}

/// The words of a text.
pub(super) fn split(text: &str) -> Vec<Word> {
    let text = text.replace(['’', '‘'], "'");
    let (mut words, mut first) = (Vec::new(), true);
    for token in text.split(|char: char| char.is_whitespace() || "—–…;()[]{}".contains(char))
    {
        let ends = token.trim_end_matches(['"', '\'', '»']).ends_with(['.', '?', '!', ':']);
        // French leaves out vowels: `l'année`, `qu'il`.
        let (before, after) = token.split_once('\'').unwrap_or(("", token));
        let elided = ["l", "d", "n", "c", "j", "m", "qu"].contains(&before.to_lowercase().as_str());
        let parts = if elided && after.len() > 1 { [before, after] } else { ["", token] };
        for part in parts {
            let trimmed = trimmed(part);
            if trimmed.is_empty() {
                continue;
            }
            let lower = trimmed.to_lowercase();
            let lower = lower.strip_suffix("'s").unwrap_or(&lower).to_owned();
            words.push(Word { raw: trimmed.to_owned(), lower, first });
            first = false;
        }
        first = first || ends;
    }
    words
}

/// A token without the punctuation around it; `$5`, `-5`, `50%`, `C++` and `@name` keep theirs.
fn trimmed(token: &str) -> &str {
    let end = |char: char| !char.is_alphanumeric() && !"%+#_".contains(char);
    let token = token.trim_end_matches(end);
    let start = token
        .trim_start_matches(|char: char| !char.is_alphanumeric() && !"$€£@#_/~".contains(char));
    let negative = start.starts_with(|char: char| char.is_ascii_digit());
    let cut = token.len() - start.len();
    if negative && cut > 0 && token.as_bytes()[cut - 1] == b'-' { &token[cut - 1..] } else { start }
}

impl Word {
    /// Tells whether it is written with a capital, or as no plain word is.
    pub(super) fn is_name_like(&self) -> bool {
        self.is_code() || self.raw.starts_with(char::is_uppercase)
    }

    /// Tells whether it is a name: a capital where a sentence does not ask for one, or code.
    /// `shouted` says that all words have capitals.
    pub(super) fn is_name(&self, shouted: bool) -> bool {
        if is_filler(&self.lower) || negation(&self.lower).is_some() {
            return false;
        }
        self.is_code()
            || self.raw.starts_with(char::is_uppercase)
                && !shouted
                && !(self.first && STARTERS.contains(&self.lower.as_str()))
    }

    /// `max_entries`, `a.b`, `C++`, `GPT-4`, `iPhone`, `--force`.
    fn is_code(&self) -> bool {
        let inner = self.raw.chars().skip(1);
        let mixed =
            inner.clone().any(char::is_uppercase) && self.raw.chars().any(char::is_lowercase);
        let signs = self.raw.chars().any(|char| "_.:/\\@#+=<>~$*&|".contains(char));
        mixed || signs || self.raw.chars().any(|char| char.is_ascii_digit())
    }
}

/// What is left of a word without its endings, and with American spelling.
pub(super) fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    if !stem.is_ascii() || stem.len() < 4 {
        return stem;
    }
    let cut = |stem: &mut String, suffix: &str, least: usize, by: &str| {
        let fits = stem.ends_with(suffix) && stem.len() >= least + suffix.len();
        if fits {
            stem.truncate(stem.len() - suffix.len());
            stem.push_str(by);
        }
        fits
    };
    let kept = ["ss", "us", "is", "ous"].iter().any(|suffix| stem.ends_with(suffix));
    if !cut(&mut stem, "ies", 2, "y") && !kept {
        cut(&mut stem, "s", 3, "");
    }
    let _ = cut(&mut stem, "ing", 3, "") || cut(&mut stem, "ed", 3, "");
    let _ = cut(&mut stem, "our", 2, "or") || cut(&mut stem, "tre", 3, "ter");
    let _ = cut(&mut stem, "is", 5, "iz") || cut(&mut stem, "ise", 4, "iz");
    cut(&mut stem, "e", 2, "");
    let bytes = stem.as_bytes();
    let doubled = bytes.len() > 3 && bytes[bytes.len() - 1] == bytes[bytes.len() - 2];
    if doubled {
        stem.pop();
    }
    stem
}

/// A number, and the unit that is written with it.
pub(super) fn number(word: &str) -> Option<(String, Option<&'static str>)> {
    if let Some(place) = NUMBERS.iter().position(|names| names.contains(&word)) {
        return Some(((place + 2).to_string(), None));
    }
    if let Some((_, number)) = LARGE_NUMBERS.iter().find(|(names, _)| names.contains(&word)) {
        return Some(((*number).to_owned(), None));
    }
    let currency = ["$", "€", "£"].iter().find(|sign| word.starts_with(**sign));
    let plain = currency.map_or(word, |sign| &word[sign.len()..]);
    let digits = plain.strip_prefix('-').unwrap_or(plain);
    if !digits.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let end = plain.rfind(|char: char| char.is_ascii_digit()).map_or(0, |end| end + 1);
    let (figure, suffix) = plain.split_at(end);
    let unit = match suffix {
        "" => currency.and_then(|sign| unit(sign)),
        suffix => match short_unit(suffix).or_else(|| self::unit(suffix)) {
            Some(unit) => Some(unit),
            None => return Some((plain.to_owned(), currency.and_then(|sign| self::unit(sign)))),
        },
    };
    // `1,000` is a thousand; `1,5` may be anything.
    let groups: Vec<_> = figure.split(',').collect();
    let grouped = groups.len() > 1
        && groups[1..].iter().all(|group| {
            let whole = group.split('.').next().unwrap_or(group);
            whole.len() == 3 && whole.bytes().all(|byte| byte.is_ascii_digit())
        });
    Some((if grouped { groups.concat() } else { figure.to_owned() }, unit))
}

/// Which unit a word names.
pub(super) fn unit(word: &str) -> Option<&'static str> {
    find(&UNITS, word)
}

/// Which unit a suffix of a number names, which is no word by itself.
fn short_unit(suffix: &str) -> Option<&'static str> {
    find(&SHORT_UNITS, suffix)
}

/// Which day, month or time a word names.
pub(super) fn time(word: &str, before: Option<&str>) -> Option<&'static str> {
    // `may` is a month only where it can be nothing else.
    if word == "may" {
        let month = ["in", "on", "of", "by", "since", "until", "last", "next", "this", "during"];
        return before.filter(|before| month.contains(before)).map(|_| "may");
    }
    find(&TIMES, word)
}

/// Which of the last, this and the next a period or day is: `last week`.
pub(super) fn relative(word: &str, before: Option<&str>) -> Option<&'static str> {
    let is_period = unit(word).is_some() || time(word, before).is_some() || word == "quarter";
    before.filter(|_| is_period).and_then(|before| find(&RELATIVES, before))
}

/// In which way a word negates.
pub(super) fn negation(word: &str) -> Option<&'static str> {
    if word.ends_with("n't") {
        return Some("not");
    }
    find(&NEGATIONS, word)
}

/// Which direction the next word is of.
pub(super) fn direction(word: &str) -> Option<&'static str> {
    find(&DIRECTIONS, word)
}

/// What a question asks for, and what else its words could mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Question {
    asked: &'static str,
    also: Option<&'static str>,
}

/// What a question asks for, by the first of its words that asks.
pub(super) fn question(words: &[Word]) -> Option<Question> {
    let is_early = |place: usize| place < 2;
    let found = words.iter().enumerate().find_map(|(place, word)| {
        let asked = find(&QUESTIONS, &word.lower)?;
        // In French these also join sentences.
        let joins = ["que", "qui", "quand"].contains(&word.lower.as_str());
        (!joins || is_early(place)).then_some((place, asked))
    });
    let (place, asked) = found?;
    let before = place.checked_sub(1).map(|before| words[before].lower.as_str());
    let next = words.get(place + 1).map_or("", |word| word.lower.as_str());
    match asked {
        "how" => {
            let asked = find(&HOW, next).unwrap_or("how");
            Some(Question { asked, also: None })
        }
        "what" if before == Some("por") => Some(Question { asked: "why", also: None }),
        "what" => {
            let near = words[place + 1..].iter().take(4);
            let also = near.filter_map(|word| find(&WHAT, &word.lower)).next();
            Some(Question { asked, also })
        }
        asked => Some(Question { asked, also: None }),
    }
}

/// Tells whether two questions ask for different things. How and what can ask for the same.
pub(super) fn different_questions(a: Option<Question>, b: Option<Question>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let loose = |asked: &str| asked == "how" || asked == "what";
    a.asked != b.asked
        && !(loose(a.asked) && loose(b.asked))
        && a.also != Some(b.asked)
        && b.also != Some(a.asked)
}

/// Tells whether one has a word of a pair, and the other has its opposite instead.
pub(super) fn opposed(a: &BTreeSet<String>, b: &BTreeSet<String>) -> bool {
    static PAIRS: LazyLock<Vec<[Vec<String>; 2]>> = LazyLock::new(|| {
        let side = |words: &str| words.split(' ').map(stem).collect();
        OPPOSITES.iter().map(|[left, right]| [side(left), side(right)]).collect()
    });
    let has =
        |set: &BTreeSet<String>, words: &[String]| words.iter().any(|word| set.contains(word));
    PAIRS.iter().any(|[left, right]| {
        let (a, b) = ((has(a, left), has(a, right)), (has(b, left), has(b, right)));
        matches!((a, b), ((true, false), (false, true)) | ((false, true), (true, false)))
    })
}

/// Tells whether two stems are of one meaning.
pub(super) fn are_synonyms(a: &str, b: &str) -> bool {
    static GROUPS: LazyLock<HashMap<String, usize>> = LazyLock::new(|| {
        let groups = SYNONYMS.iter().enumerate();
        groups
            .flat_map(|(group, words)| words.split(' ').map(move |word| (stem(word), group)))
            .collect()
    });
    matches!((GROUPS.get(a), GROUPS.get(b)), (Some(a), Some(b)) if a == b)
}

/// Tells whether a word carries no meaning of its own in a question.
pub(super) fn is_filler(word: &str) -> bool {
    static ALL: LazyLock<std::collections::HashSet<&str>> =
        LazyLock::new(|| FILLERS.iter().flat_map(|words| words.split(' ')).collect());
    ALL.contains(word)
}

/// The language of a text, where its small words tell.
pub(super) fn language(words: &[Word]) -> Option<&'static str> {
    let count = |known: &str| {
        let known: Vec<_> = known.split(' ').collect();
        words.iter().filter(|word| known.contains(&word.lower.as_str())).count()
    };
    let counts = LANGUAGES.iter().map(|(name, known)| (count(known), *name));
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    match counts.as_slice() {
        [.., (second, _), (first, name)] if *first >= 2 && first > second => Some(name),
        _ => None,
    }
}
