//! Numbers, units, times, negations and words that ask, and the words that stand for each.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Names and the words that stand for them.
pub(super) struct Table {
    rows: &'static [(&'static str, &'static str)],
    names: OnceLock<HashMap<&'static str, &'static str>>,
}

impl Table {
    const fn new(rows: &'static [(&'static str, &'static str)]) -> Self {
        Self { rows, names: OnceLock::new() }
    }
}

pub(super) fn find(table: &'static Table, word: &str) -> Option<&'static str> {
    let names = table.names.get_or_init(|| {
        let words = table.rows.iter();
        words.flat_map(|(name, words)| words.split(' ').map(move |word| (word, *name))).collect()
    });
    names.get(word).copied()
}

/// From two upwards.
pub(super) const NUMBERS: &[&[&str]] = &[
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

pub(super) const LARGE_NUMBERS: &[(&[&str], &str)] = &[
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

pub(super) static UNITS: Table = Table::new(&[
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

pub(super) static SHORT_UNITS: Table = Table::new(&[
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

pub(super) static TIMES: Table = Table::new(&[
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

pub(super) static RELATIVES: Table = Table::new(&[
    ("last", "last previous past letzte letzten vergangene"),
    ("next", "next coming following nächste nächsten"),
    ("this", "this current diese diesen"),
]);

pub(super) static NEGATIONS: Table = Table::new(&[
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

pub(super) static DIRECTIONS: Table = Table::new(&[
    ("from", "from von aus de-"),
    ("to", "to into nach towards"),
    ("than", "than als"),
    ("by", "by durch"),
    ("over", "over above"),
    ("under", "under below"),
    ("instead", "instead"),
]);

pub(super) static QUESTIONS: Table = Table::new(&[
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

pub(super) static HOW: Table = Table::new(&[
    ("how many", "many viele"),
    ("how much", "much viel expensive teuer"),
    ("how long", "long lange longtemps"),
    ("how often", "often frequently oft"),
    ("how far", "far weit"),
    ("how old", "old alt"),
]);

/// What `what` asks for by the words after it.
pub(super) static WHAT: Table = Table::new(&[
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
