//! What must not differ between two questions that are to have one answer.
//!
//! Embeddings are blind where questions differ by little and mean something else: "in 2023" and "in 2024" are
//! near each other, and so are "enable" and "disable". So the words are looked at as well. A guard
//! that is wrong costs a call of the model; a guard that is missing costs a wrong answer. Where
//! they are in doubt, they keep apart.
//!
//! English is known best; of German, French and Spanish the negations, opposites, question words,
//! days and months are known. In any language, numbers, names, quotes and code are compared.

use super::words::{self, Question, Word};
use std::collections::BTreeSet;
use std::fmt;

/// What keeps two questions apart that are near each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// They are of two languages.
    Language,
    /// Their numbers differ, or the order of them.
    Number,
    /// Their units differ: kilometres and miles, monthly and yearly.
    Unit,
    /// Their days, months or times differ: yesterday and tomorrow.
    Time,
    /// One is negated in a way that the other is not.
    Negation,
    /// One has a word whose opposite the other has: before and after.
    Opposite,
    /// They ask for different things: who and when.
    Question,
    /// One has a name, a quote or a piece of code that the other lacks.
    Name,
    /// What is said to be from, to, or than what is exchanged: from euros to dollars.
    Direction,
    /// They are the same but for one word, which is no synonym: the height and the weight of it.
    Word,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Language => "language",
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Time => "time",
            Self::Negation => "negation",
            Self::Opposite => "opposite",
            Self::Question => "question",
            Self::Name => "name",
            Self::Direction => "direction",
            Self::Word => "word",
        })
    }
}

/// What of a question must not differ.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Marks {
    language: Option<&'static str>,
    numbers: Vec<String>,
    units: BTreeSet<&'static str>,
    times: BTreeSet<&'static str>,
    negations: BTreeSet<&'static str>,
    question: Option<Question>,
    /// In order; quotes and code are exact, names are in small letters.
    names: Vec<String>,
    exact: Vec<String>,
    /// The words after `from`, `to`, `than` and the like, each with which.
    directions: BTreeSet<(&'static str, String)>,
    /// All words in small letters, and those that carry meaning, by their stems.
    words: BTreeSet<String>,
    content: Vec<String>,
}

impl Marks {
    pub(super) fn of(text: &str) -> Self {
        let (plain, exact) = words::without_quotes(text);
        let words = words::split(&plain);
        let mut marks = Self { exact, language: words::language(&words), ..Self::default() };
        marks.question = words::question(&words);
        let shouted = words.iter().filter(|word| word.is_name_like()).count() * 4 > words.len() * 3;
        for (place, word) in words.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| words[place].lower.as_str());
            marks.take(word, before, shouted && words.len() > 1);
        }
        for (place, word) in words.iter().enumerate() {
            let mut rest = words[place + 1..].iter().map(|word| &word.lower);
            if let Some(direction) = words::direction(&word.lower)
                && let Some(target) = rest.find(|word| !words::is_filler(word))
            {
                marks.directions.insert((direction, words::stem(target)));
            }
        }
        marks
    }

    fn take(&mut self, word: &Word, before: Option<&str>, shouted: bool) {
        let lower = word.lower.as_str();
        self.words.insert(lower.to_owned());
        self.words.insert(words::stem(lower));
        if let Some(negation) = words::negation(lower) {
            self.negations.insert(negation);
        }
        let number = words::number(lower);
        // `What year` asks for a time, and measures nothing.
        let asks = before.is_some_and(|before| ["what", "which"].contains(&before));
        let unit = words::unit(lower).filter(|_| !asks);
        let time = words::time(lower, before);
        if let Some((number, unit)) = &number {
            self.numbers.push(number.clone());
            self.units.extend(unit.iter());
        }
        self.units.extend(unit);
        self.times.extend(time);
        self.times.extend(words::relative(lower, before));
        let known = number.is_some() || unit.is_some() || time.is_some();
        if !known && word.is_name(shouted) {
            self.names.push(lower.to_owned());
        }
        if !known && !words::is_filler(lower) && words::negation(lower).is_none() {
            self.content.push(words::stem(lower));
        }
    }

    /// What keeps two questions apart, if anything does.
    pub(super) fn conflict(&self, other: &Self) -> Option<Guard> {
        let languages = (self.language, other.language);
        if matches!(languages, (Some(own), Some(others)) if own != others) {
            return Some(Guard::Language);
        }
        if self.numbers != other.numbers {
            return Some(Guard::Number);
        }
        if self.units != other.units {
            return Some(Guard::Unit);
        }
        if self.times != other.times {
            return Some(Guard::Time);
        }
        if self.negations != other.negations {
            return Some(Guard::Negation);
        }
        if words::opposed(&self.words, &other.words) {
            return Some(Guard::Opposite);
        }
        if words::different_questions(self.question, other.question) {
            return Some(Guard::Question);
        }
        if self.exact != other.exact || self.lacks_name_of(other) || other.lacks_name_of(self) {
            return Some(Guard::Name);
        }
        if self.exchanges(other) || other.exchanges(self) || self.reorders_names(other) {
            return Some(Guard::Direction);
        }
        self.replaces_word(other).then_some(Guard::Word)
    }

    /// Tells whether the other has a name that occurs nowhere here, in capitals or not.
    fn lacks_name_of(&self, other: &Self) -> bool {
        let has =
            |name: &String| self.words.contains(name) || self.words.contains(&words::stem(name));
        !other.names.iter().all(|name| self.names.contains(name) || has(name))
    }

    /// Tells whether what is under one direction here is under its opposite there.
    fn exchanges(&self, other: &Self) -> bool {
        let opposite = |direction| match direction {
            "from" => "to",
            "to" => "from",
            direction => direction,
        };
        self.directions.iter().any(|(direction, target)| {
            let has = |direction| other.directions.contains(&(direction, target.clone()));
            let turned = opposite(direction);
            let has_another = other.directions.iter().any(|(theirs, _)| theirs == direction);
            let elsewhere = has_another && other.words.contains(target);
            !has(direction) && (turned != *direction && has(turned) || elsewhere)
        })
    }

    /// Tells whether two names or more stand in another order.
    fn reorders_names(&self, other: &Self) -> bool {
        let sorted = |names: &[String]| -> BTreeSet<String> { names.iter().cloned().collect() };
        self.names.len() > 1
            && self.names != other.names
            && sorted(&self.names) == sorted(&other.names)
    }

    /// Tells whether the meaning words are the same, in order, but for one that is no synonym.
    fn replaces_word(&self, other: &Self) -> bool {
        if self.content.len() != other.content.len() {
            return false;
        }
        let mut differing =
            self.content.iter().zip(&other.content).filter(|(own, others)| own != others);
        match (differing.next(), differing.next()) {
            (Some((own, others)), None) => !words::are_synonyms(own, others),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(a: &str, b: &str) -> Option<Guard> {
        let (a, b) = (Marks::of(a), Marks::of(b));
        assert_eq!(a.conflict(&b), b.conflict(&a), "the guards look both ways");
        assert_eq!(a.conflict(&a), None);
        a.conflict(&b)
    }

    #[test]
    fn what_differs_keeps_apart() {
        use Guard::{
            Direction, Language, Name, Negation, Number, Opposite, Question, Time, Unit, Word,
        };
        for (guard, a, b) in [
            (Number, "What is 15% of 80?", "What is 20% of 80?"),
            (Number, "Plan three days in Rome", "Plan five days in Rome"),
            (Number, "Is 1.5 larger than 1,500?", "Is 1.5 larger than 1500.5?"),
            (Number, "Count from 10 to 20", "Count from 20 to 10"),
            (Unit, "How far is 5 km?", "How far is 5 miles?"),
            (Unit, "How much is 5kg?", "How much is 5lb?"),
            (Unit, "the monthly price", "the yearly price"),
            (Time, "Was it open yesterday?", "Is it open tomorrow?"),
            (Time, "flights in March", "flights in May"),
            (Time, "What did we sell last week?", "What did we sell this week?"),
            (Time, "Hat das Amt am Montag offen?", "Hat das Amt am Dienstag offen?"),
            (Negation, "Which foods contain gluten?", "Which foods do not contain gluten?"),
            (Negation, "Can I travel with a visa?", "Can I travel without a visa?"),
            (Negation, "Why isn't it working", "Why is it working"),
            (Negation, "Ist das erlaubt?", "Ist das nicht erlaubt?"),
            (Negation, "Est-ce que c'est permis", "Est-ce que ce n'est pas permis"),
            (Negation, "¿Puedo viajar con perro?", "¿Puedo viajar sin perro?"),
            (Opposite, "How do I enable logging?", "How do I disable logging?"),
            (Opposite, "What to do before surgery", "What to do after surgery"),
            (Opposite, "increasing the limit", "decreasing the limit"),
            (Opposite, "What is the highest mountain?", "What is the lowest mountain?"),
            (Opposite, "Wie schalte ich es ein?", "Wie schalte ich es aus?"),
            (Question, "Who invented the radio?", "When was the radio invented?"),
            (Question, "How many people live there?", "How long do people live there?"),
            (Question, "Wer hat das gebaut?", "Wann wurde das gebaut?"),
            (Name, "What is the capital of France?", "What is the capital of Peru?"),
            (Name, "Explain `Vec::push`", "Explain `Vec::pop`"),
            (Name, "What does \"ennui\" mean?", "What does \"angst\" mean?"),
            (Name, "Paris weather", "London weather"),
            (Name, "what does max_entries do", "what does max_bytes do"),
            (Direction, "Convert euros to dollars", "Convert dollars to euros"),
            (Direction, "flight from paris to rome", "flight from rome to paris"),
            (Direction, "Is Rust faster than Java?", "Is Java faster than Rust?"),
            (Word, "what is the capital of france", "what is the capital of peru"),
            (Word, "how is cheese made", "how is butter made"),
            (Language, "What is the weather like?", "Wie ist das Wetter?"),
        ] {
            assert_eq!(conflict(a, b), Some(guard), "{a} | {b}");
        }
    }

    #[test]
    fn what_means_the_same_does_not() {
        for (a, b) in [
            ("How do I reset my password?", "how can I reset my password"),
            ("What's the capital of France?", "capital of france?"),
            ("What is the capital of France?", "Tell me the capital of France."),
            ("Explain photosynthesis", "Describe photosynthesis"),
            ("How big is a 1,000 sq ft flat?", "How large is a 1000 sq ft flat?"),
            ("It takes 5 km", "It takes 5 kilometres"),
            ("It takes 5km", "It takes five kilometers"),
            ("Why can't I log in?", "Why can I not log in?"),
            ("Why cannot I log in?", "Why can't I log in?"),
            ("When was Rome founded?", "What year was Rome founded?"),
            ("How do I cancel my subscription?", "How to cancel my subscription"),
            ("What is the colour of the sky?", "What is the color of the sky?"),
            ("Is it open on Mondays?", "Is it open on Monday?"),
            ("What does `a.b()` do?", "Explain what `a.b()` does"),
            ("Wie setze ich mein Passwort zurück?", "Wie kann ich mein Passwort zurücksetzen?"),
        ] {
            assert_eq!(conflict(a, b), None, "{a} | {b}");
        }
    }

    #[test]
    fn nothing_and_anything_can_be_asked() {
        for text in [
            "",
            " ",
            "?",
            "`",
            "\"",
            "''",
            "🦀🦀",
            "5",
            "\u{300}\u{301}",
            "ß İ ﬀ",
            "---",
            "a\0b",
            "\"`\"`",
        ] {
            assert_eq!(conflict(text, text), None);
            let _ = conflict(text, "What is it?");
        }
    }
}
