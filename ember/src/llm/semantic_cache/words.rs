//! Words as the guards see them: numbers, units, times, negations, opposites, names.
//!
//! The lists are ours, and short on purpose: each entry is a word whose exchange changes the
//! answer. What is in no list is compared by the guard for single words.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, OnceLock};

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

/// Names and the words that stand for them.
struct Table {
    rows: &'static [(&'static str, &'static str)],
    names: OnceLock<HashMap<&'static str, &'static str>>,
}

impl Table {
    const fn new(rows: &'static [(&'static str, &'static str)]) -> Self {
        Self { rows, names: OnceLock::new() }
    }
}

fn find(table: &'static Table, word: &str) -> Option<&'static str> {
    let names = table.names.get_or_init(|| {
        let words = table.rows.iter();
        words.flat_map(|(name, words)| words.split(' ').map(move |word| (word, *name))).collect()
    });
    names.get(word).copied()
}

/// From two upwards.
const NUMBERS: &[&[&str]] = &[
    &["two", "twice", "second", "both", "zwei", "zweite", "deux", "dos"],
    &["three", "third", "drei", "dritte", "trois", "tres"],
    &["four", "fourth", "vier", "quatre", "cuatro"],
    &["five", "fifth", "fünf", "cinq", "cinco"],
    &["six", "sixth", "sechs", "seis"],
    &["seven", "seventh", "sieben", "sept", "siete"],
    &["eight", "eighth", "acht", "huit", "ocho"],
    &["nine", "ninth", "neun", "neuf", "nueve"],
    &["ten", "tenth", "zehn", "dix", "diez"],
    &["eleven", "elf", "onze", "once-"],
    &["twelve", "dozen", "zwölf", "douze", "doce"],
    &["thirteen"],
    &["fourteen"],
    &["fifteen"],
    &["sixteen"],
    &["seventeen"],
    &["eighteen"],
    &["nineteen"],
    &["twenty", "zwanzig", "vingt", "veinte"],
];

const LARGE_NUMBERS: &[(&[&str], &str)] = &[
    (&["thirty"], "30"),
    (&["forty"], "40"),
    (&["fifty"], "50"),
    (&["sixty"], "60"),
    (&["seventy"], "70"),
    (&["eighty"], "80"),
    (&["ninety"], "90"),
    (&["half", "halves"], "1/2"),
    (&["quarter-"], "1/4"),
    (&["hundred", "hundert", "cent", "cien"], "100"),
    (&["thousand", "tausend", "mille", "mil"], "1000"),
    (&["million", "millions", "millionen"], "1000000"),
    (&["billion", "billions"], "1000000000"),
];

static UNITS: Table = Table::new(&[
    ("km", "km kilometer kilometers kilometre kilometres kilomètres kilómetros"),
    ("m", "meter meters metre metres mètres metros"),
    ("cm", "cm centimeter centimeters centimetre centimetres"),
    ("mm", "mm millimeter millimeters millimetre millimetres"),
    ("mile", "mile miles mi meilen millas"),
    ("ft", "ft foot feet"),
    ("inch", "inch inches"),
    ("yard", "yard yards"),
    ("acre", "acre acres"),
    ("hectare", "hectare hectares ha"),
    ("kg", "kg kilo kilos kilogram kilograms"),
    ("g", "gram grams gramm"),
    ("mg", "mg milligram milligrams"),
    ("lb", "lb lbs pound pounds"),
    ("oz", "oz ounce ounces"),
    ("stone", "stones"),
    ("ton", "ton tons tonne tonnes"),
    ("l", "liter liters litre litres"),
    ("ml", "ml milliliter milliliters millilitre millilitres"),
    ("gallon", "gallon gallons"),
    ("pint", "pint pints"),
    ("cup", "cup cups"),
    ("tablespoon", "tablespoon tablespoons tbsp"),
    ("teaspoon", "teaspoon teaspoons tsp"),
    ("celsius", "celsius °c centigrade"),
    ("fahrenheit", "fahrenheit °f"),
    ("kelvin", "kelvin"),
    ("usd", "usd $ dollar dollars"),
    ("eur", "eur € euro euros"),
    ("gbp", "gbp £ sterling"),
    ("yen", "yen jpy"),
    ("franc", "franc francs chf franken"),
    ("percent", "% percent prozent"),
    ("ms", "ms millisecond milliseconds"),
    ("s", "sec secs seconds sekunden"),
    ("min", "min mins minute minutes minuten minutos"),
    ("h", "hour hours hr hrs hourly stunde stunden heures horas"),
    ("day", "day days daily tag tage täglich jour jours día días"),
    ("week", "week weeks weekly woche wochen wöchentlich semaine semaines semana semanas"),
    ("month", "month months monthly monat monate monatlich mois mes meses"),
    ("year", "year years yearly annual annually jahr jahre jährlich année années ans año años"),
    ("decade", "decade decades"),
    ("century", "century centuries"),
    ("byte", "byte bytes"),
    ("bit", "bits"),
    ("kb", "kb kilobyte kilobytes"),
    ("mb", "mb megabyte megabytes"),
    ("gb", "gb gigabyte gigabytes"),
    ("tb", "tb terabyte terabytes"),
    ("mph", "mph"),
    ("kmh", "km/h kmh kph"),
    ("watt", "watt watts"),
    ("kw", "kw kilowatt kilowatts"),
    ("kwh", "kwh"),
    ("volt", "volt volts"),
    ("amp", "amp amps ampere amperes"),
    ("calorie", "calorie calories kcal"),
    ("joule", "joule joules"),
]);

static SHORT_UNITS: Table = Table::new(&[
    ("m", "m"),
    ("g", "g"),
    ("l", "l"),
    ("h", "h"),
    ("s", "s"),
    ("celsius", "c"),
    ("fahrenheit", "f"),
    ("inch", "in"),
    ("watt", "w"),
    ("volt", "v"),
]);

static TIMES: Table = Table::new(&[
    ("monday", "monday mondays montag montags lundi lunes"),
    ("tuesday", "tuesday tuesdays dienstag mardi martes"),
    ("wednesday", "wednesday wednesdays mittwoch mercredi miércoles"),
    ("thursday", "thursday thursdays donnerstag jeudi jueves"),
    ("friday", "friday fridays freitag vendredi viernes"),
    ("saturday", "saturday saturdays samstag samedi sábado"),
    ("sunday", "sunday sundays sonntag dimanche domingo"),
    ("weekend", "weekend weekends wochenende"),
    ("weekday", "weekday weekdays"),
    ("january", "january jan januar janvier enero"),
    ("february", "february feb februar février febrero"),
    ("march", "march märz mars marzo"),
    ("april", "april avril abril"),
    ("may", "mai mayo"),
    ("june", "june juni juin junio"),
    ("july", "july juli juillet julio"),
    ("august", "august août agosto"),
    ("september", "september septembre septiembre"),
    ("october", "october oct oktober octobre octubre"),
    ("november", "november nov novembre noviembre"),
    ("december", "december dec dezember décembre diciembre"),
    ("spring", "spring frühling frühjahr printemps primavera"),
    ("summer", "summer sommer été verano"),
    ("autumn", "autumn herbst automne otoño"),
    ("winter", "winter hiver invierno"),
    ("yesterday", "yesterday gestern hier-soir ayer"),
    ("today", "today heute aujourd'hui hoy tonight"),
    ("tomorrow", "tomorrow morgen demain mañana"),
    ("morning", "morning mornings vormittag matin"),
    ("noon", "noon midday mittag midi mediodía"),
    ("afternoon", "afternoon nachmittag après-midi"),
    ("evening", "evening evenings abend soir"),
    ("night", "night nights midnight nacht nuit noche"),
    ("am", "a.m"),
    ("pm", "pm p.m"),
    ("christmas", "christmas weihnachten noël navidad"),
    ("easter", "easter ostern pâques"),
]);

static RELATIVES: Table = Table::new(&[
    ("last", "last previous past letzte letzten vergangene"),
    ("next", "next coming following nächste nächsten"),
    ("this", "this current diese diesen"),
]);

static NEGATIONS: Table = Table::new(&[
    (
        "not",
        "not cannot no nobody nothing none neither nor n ne pas nicht kein keine keinen keiner nichts niemand aucun aucune rien ningún ninguna ninguno nada nadie",
    ),
    ("without", "without ohne sans sin"),
    ("never", "never nie niemals jamais nunca jamás"),
    ("except", "except excluding besides außer sauf excepto"),
    ("only", "only solely just-only nur seulement solo sólo"),
    ("hardly", "hardly barely rarely seldom"),
    ("unable", "unable impossible"),
    ("non", "non"),
]);

static DIRECTIONS: Table = Table::new(&[
    ("from", "from von aus de-"),
    ("to", "to into nach towards"),
    ("than", "than als"),
    ("by", "by durch"),
    ("over", "over above"),
    ("under", "under below"),
    ("instead", "instead"),
]);

static QUESTIONS: Table = Table::new(&[
    ("who", "who whom whose wer wen wem qui quién quien"),
    ("when", "when wann quand cuándo"),
    ("where", "where wo wohin woher où dónde"),
    ("why", "why warum wieso weshalb pourquoi"),
    ("how", "how wie comment cómo"),
    ("how much", "wieviel combien cuánto cuánta"),
    ("how many", "wieviele cuántos cuántas"),
    (
        "what",
        "what which que quel quelle quels quelles quoi qué cuál cuáles welche welcher welches welchen",
    ),
]);

static HOW: Table = Table::new(&[
    ("how many", "many viele"),
    ("how much", "much viel expensive teuer"),
    ("how long", "long lange longtemps"),
    ("how often", "often frequently oft"),
    ("how far", "far weit"),
    ("how old", "old alt"),
]);

/// What `what` asks for by the words after it.
static WHAT: Table = Table::new(&[
    ("when", "year time date day month jahr année año"),
    ("where", "place city country location address town"),
    ("why", "reason reasons cause causes purpose point makes"),
    ("who", "person people author inventor founder name man woman"),
    ("how much", "price cost costs fee fees amount rate salary"),
    ("how many", "number count population quantity"),
    ("how long", "duration length lifespan period"),
    ("how far", "distance"),
    ("how old", "age"),
    ("how often", "frequency interval"),
]);

/// Words of which one excludes the other, by their stems.
const OPPOSITES: &[[&str; 2]] = &[
    ["enable activate", "disable deactivate"],
    ["before", "after"],
    ["increase raise", "decrease reduce lower"],
    ["on", "off"],
    ["in", "out"],
    ["up", "down"],
    ["start begin", "stop end finish"],
    ["open", "close"],
    ["add", "remove delete subtract"],
    ["create", "delete destroy"],
    ["install", "uninstall"],
    ["lock", "unlock"],
    ["encrypt", "decrypt"],
    ["encode", "decode"],
    ["compress zip", "decompress extract unzip"],
    ["upload", "download"],
    ["import", "export"],
    ["buy purchase", "sell"],
    ["lend", "borrow"],
    ["give", "receive take"],
    ["send", "receive"],
    ["push", "pull pop"],
    ["accept approve", "reject decline deny"],
    ["allow permit", "forbid block deny ban prohibit"],
    ["legal", "illegal"],
    ["safe", "unsafe dangerous"],
    ["possible", "impossible"],
    ["healthy", "unhealthy"],
    ["true", "false"],
    ["yes", "no"],
    ["first", "last"],
    ["best", "worst"],
    ["good", "bad"],
    ["better", "worse"],
    ["most", "least fewest"],
    ["more", "less fewer"],
    ["max maximum", "min minimum"],
    ["highest tallest", "lowest shortest"],
    ["high", "low"],
    ["largest biggest", "smallest"],
    ["big large", "small"],
    ["longest", "shortest"],
    ["long", "short"],
    ["fast", "slow"],
    ["fastest", "slowest"],
    ["hot", "cold"],
    ["hottest", "coldest"],
    ["oldest", "newest youngest"],
    ["old", "new young"],
    ["cheap cheapest", "expensive dearest"],
    ["early", "late"],
    ["earliest", "latest"],
    ["arrive arrival", "depart departure leave"],
    ["win", "lose"],
    ["gain", "lose"],
    ["left", "right"],
    ["north", "south"],
    ["east", "west"],
    ["northern", "southern"],
    ["eastern", "western"],
    ["above", "below"],
    ["over", "under"],
    ["inside", "outside"],
    ["internal", "external"],
    ["public", "private"],
    ["local", "remote"],
    ["client", "server"],
    ["read", "write"],
    ["input", "output"],
    ["include", "exclude"],
    ["with", "without"],
    ["advantage pro benefit", "disadvantage con drawback"],
    ["cause", "cure prevent"],
    ["strength", "weakness"],
    ["success succeed", "failure fail"],
    ["pass", "fail"],
    ["male man men", "female woman women"],
    ["mother mom", "father dad"],
    ["husband", "wife"],
    ["boy", "girl"],
    ["brother", "sister"],
    ["adult", "child kid"],
    ["he his him", "she her"],
    ["my", "your"],
    ["positive", "negative"],
    ["plus", "minus"],
    ["multiply", "divide"],
    ["odd", "even"],
    ["ascending", "descending"],
    ["horizontal", "vertical"],
    ["synchronous sync", "asynchronous async"],
    ["mutable", "immutable"],
    ["optional", "required mandatory"],
    ["must", "can may might"],
    ["should", "can may might"],
    ["visible show", "hidden hide"],
    ["mute", "unmute"],
    ["subscribe", "unsubscribe"],
    ["follow", "unfollow"],
    ["connect", "disconnect"],
    ["freeze", "thaw"],
    ["melt", "freeze"],
    ["rise", "fall set"],
    ["import imported", "export exported"],
    ["acid acidic", "alkaline basic"],
    ["liquid", "solid"],
    ["raw", "cooked"],
    ["wet", "dry"],
    ["full", "empty"],
    ["same", "different"],
    ["always", "never sometimes"],
    ["all every", "some any"],
    ["indoor", "outdoor"],
    ["employer", "employee"],
    ["teacher", "student"],
    ["landlord", "tenant"],
    ["seller", "buyer"],
    ["lender", "borrower"],
    ["credit", "debit"],
    ["income", "expense"],
    ["gross", "net"],
    ["debit", "deposit"],
    ["deposit", "withdraw withdrawal"],
    ["forward", "backward"],
    ["inhale", "exhale"],
    ["hyper hypertension", "hypo hypotension"],
    ["immigrate immigrant immigration", "emigrate emigrant emigration"],
    ["inductive", "deductive"],
    ["synonym", "antonym"],
    ["prefix", "suffix"],
    ["odd", "even"],
    ["day", "night"],
    ["ein", "aus"],
    ["vor", "nach"],
    ["aktivieren", "deaktivieren"],
    ["größte", "kleinste"],
    ["hoch", "niedrig"],
    ["kaufen", "verkaufen"],
    ["öffnen", "schließen"],
    ["avant", "après"],
    ["activer", "désactiver"],
    ["acheter", "vendre"],
    ["ouvrir", "fermer"],
    ["plus", "moins"],
    ["antes", "después"],
    ["activar", "desactivar"],
    ["comprar", "vender"],
    ["abrir", "cerrar"],
    ["más", "menos"],
    ["mayor", "menor"],
];

/// Words that may stand for each other in a question.
const SYNONYMS: &[&str] = &[
    "big large huge",
    "small little tiny",
    "fast quick quickly rapidly",
    "begin start commence",
    "end finish conclude",
    "buy purchase",
    "repair fix mend",
    "car automobile vehicle",
    "film movie",
    "cost price fee",
    "job occupation profession",
    "house home",
    "kid child children",
    "physician doctor",
    "mistake error bug",
    "way method approach",
    "make create build produce",
    "change modify alter edit update",
    "remove delete erase",
    "get obtain receive acquire",
    "fetch retrieve",
    "show display",
    "choose select pick",
    "purpose goal aim",
    "reason cause",
    "meaning definition",
    "mean define definition",
    "different distinct",
    "difference distinction",
    "important significant",
    "main primary chief",
    "happen occur",
    "invent create",
    "discover find",
    "find locate",
    "phone telephone smartphone",
    "tv television",
    "photo picture image",
    "sick ill",
    "disease illness",
    "cancel terminate",
    "account profile",
    "password passcode",
    "recover restore",
    "reset restore",
    "bill invoice",
    "trip journey",
    "lawyer attorney",
    "store shop",
    "folder directory",
    "function method",
    "argument parameter",
    "rapid fast",
    "smart intelligent clever",
    "rich wealthy",
    "begin initiate",
    "famous popular known",
    "tall high",
    "best ideal optimal",
    "good great",
    "cook prepare",
    "treat cure",
    "stop quit",
    "use utilize",
    "work function operate",
    "benefit advantage",
    "drawback disadvantage downside",
    "ocean sea",
    "nation country",
    "city town",
    "autumn fall",
    "holiday vacation",
    "flat apartment",
    "lift elevator",
    "petrol gas gasoline",
    "biggest largest",
    "quickest fastest",
    "speak talk",
    "learn study",
    "reply answer respond",
    "error exception",
    "symptom sign",
    "average mean typical",
    "author writer",
    "wrote written write",
    "locate situated",
    "found establish",
    "require need",
    "assist help support",
    "safe secure",
    "weight weigh",
    "tall height",
    "deep depth",
    "old age",
    "long length",
    "wide width",
    "prevent avoid",
    "contact reach",
    "return refund",
    "shipping delivery",
    "order purchase",
    "total sum",
    "sum add",
    "install setup",
    "run execute",
    "launch start open",
    "combine merge join",
    "sort order",
    "convert turn transform",
    "copy duplicate",
    "recipe way",
    "population inhabitants people",
    "currency money",
    "language tongue",
    "subscription membership plan",
    "improve enhance better",
    "lower reduce decrease",
    "grow increase",
];

/// Words with a capital that begin sentences without being names.
const STARTERS: &[&str] = &[
    "list",
    "name",
    "define",
    "calculate",
    "compute",
    "convert",
    "translate",
    "compare",
    "find",
    "write",
    "create",
    "summarize",
    "summarise",
    "suggest",
    "recommend",
    "plan",
    "make",
    "build",
    "generate",
    "count",
    "sort",
    "print",
    "meaning",
    "definition",
    "difference",
    "capital",
    "best",
    "ways",
    "way",
    "steps",
    "reasons",
    "reason",
    "benefits",
    "cost",
    "price",
    "recipe",
    "symptoms",
    "causes",
    "cause",
    "number",
    "population",
    "author",
    "flights",
    "flight",
    "weather",
    "instructions",
    "tips",
    "advice",
    "examples",
    "example",
    "guide",
    "enable",
    "disable",
    "reset",
    "cancel",
    "change",
    "delete",
    "add",
    "remove",
    "install",
    "update",
    "open",
    "close",
    "set",
    "turn",
    "get",
    "use",
    "using",
    "run",
    "running",
    "hours",
    "distance",
    "time",
    "date",
    "height",
    "depth",
    "length",
    "age",
    "increasing",
];

/// Words that ask, join and are polite.
const FILLERS: &[&str] = &[
    "a an the this that these those it its it's there here of in on at by for from to with about into as is are was were be been being am",
    "do does did done doing have has had having can could would should will shall may might must let's let",
    "i i'm i'd i've me my mine you your yours we us our they them their he she his her one ones oneself myself",
    "and or but if so then than too also just really actually exactly please kindly thanks thank hi hello hey ok okay",
    "what which who whom whose when where why how many much long often far old",
    "tell explain describe show give know want need help understand say wonder wondering looking question asking ask called",
    "quickly briefly simple simply terms detail details some any all every possible able go going get got like",
    "der die das den dem des ein eine einen einem einer ist sind war wie was wer wo wann warum ich du er sie es wir mein meine mir kann kannst muss man und oder im am zu zum zur von mit für auf bitte",
    "le la les un une des du de et ou est sont je tu il elle on nous vous mon ma mes comment que qui quoi quel quelle peut puis à au aux en pour sur avec ce cette",
    "el los las una unos y o es son yo mi mis cómo qué cuál quién dónde puedo puede en para por con del al se",
];

const LANGUAGES: &[(&str, &str)] = &[
    (
        "de",
        "der die das den ist sind wie ich und nicht ein eine mein meine kann wann wo wer warum im zu von mit für auf wir hat werden",
    ),
    (
        "en",
        "the is are what how do does of to my i can and for when where who why in which should it a was did you",
    ),
    (
        "es",
        "el los las es son y cómo qué un una mi puedo cuál dónde quién por para del se hay está tiene",
    ),
    (
        "fr",
        "le les est et je un une des du comment quel quelle mon ma puis où qui pour sur avec ce cette dans quels est-ce",
    ),
];
