//! What the `Accept` header of a request says of streams (RFC 9110 §12.5.1).

use super::StreamDialect;
use crate::base::{Error, ErrorKind};
use http::HeaderMap;
use http::header::ACCEPT;

/// What a client can read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::ai) struct Accepted {
    /// Events in this dialect.
    pub(in crate::ai) dialect: Option<StreamDialect>,
    /// Rather a document in JSON than events.
    pub(in crate::ai) document: bool,
}

impl Accepted {
    /// Reads the header.
    ///
    /// A document is preferred only where `application/json` is named and weighs more than events:
    /// many clients accept JSON first and everything else as well, and those are streamed to.
    ///
    /// # Errors
    /// Status 406 where only dialects are named that do not exist.
    pub(in crate::ai) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let (mut best, mut unknown) = (None::<(f32, Option<StreamDialect>)>, None);
        let (mut events, mut json) = (Weight::default(), 0.0_f32);
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let Range { essence, weight, dialect } = Range::of(range);
            events.note(&essence, weight);
            if essence == "application/json" {
                json = json.max(weight);
            }
            if essence != "text/event-stream" || weight == 0.0 {
                continue;
            }
            let dialect = match dialect {
                None => None,
                Some(name) => match StreamDialect::of_name(name) {
                    Some(dialect) => Some(dialect),
                    None => {
                        unknown = Some(name);
                        continue;
                    }
                },
            };
            if best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, dialect));
            }
        }
        let document = json > events.weight;
        match (best, unknown) {
            (None, Some(unknown)) if !document => Err(no_dialect(unknown)),
            (best, _) => Ok(Self { dialect: best.and_then(|(_, dialect)| dialect), document }),
        }
    }
}

/// The weight of events, by the range that says most about them.
#[derive(Default)]
struct Weight {
    weight: f32,
    precision: u8,
}

impl Weight {
    fn note(&mut self, essence: &str, weight: f32) {
        let precision = match essence {
            "*/*" => 1,
            "text/*" => 2,
            "text/event-stream" => 3,
            _ => return,
        };
        if precision > self.precision {
            *self = Self { weight, precision };
        } else if precision == self.precision {
            self.weight = self.weight.max(weight);
        }
    }
}

/// One media range.
struct Range<'a> {
    essence: String,
    weight: f32,
    dialect: Option<&'a str>,
}

impl<'a> Range<'a> {
    fn of(range: &'a str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut dialect) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                // A weight that is no number says nothing.
                "q" => weight = value.parse().unwrap_or(1.0_f32).clamp(0.0, 1.0),
                "dialect" => dialect = Some(value),
                _ => {}
            }
        }
        Self { essence, weight, dialect }
    }
}

fn no_dialect(name: &str) -> Error {
    let known: Vec<_> = StreamDialect::NAMES.iter().map(|(name, _)| format!("`{name}`")).collect();
    let known = known.join(", ");
    // What the client has sent is quoted as far as it can be a name.
    let name: String = name.chars().take(32).collect();
    Error::new(
        ErrorKind::NotAcceptable,
        format!("There is no dialect `{name}` of event streams; there are {known}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, dialect: Option<StreamDialect>, document: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(Accepted::of(&headers).unwrap(), Accepted { dialect, document }, "{accept}");
    }

    #[test]
    fn a_dialect_is_a_parameter_of_the_media_type() {
        use StreamDialect::{Events, Tokens, UiMessages};
        check("text/event-stream; dialect=events", Some(Events), false);
        check("Text/Event-Stream;Dialect=\"UI-Messages\"", Some(UiMessages), false);
        check("text/event-stream; dialect=tokens", Some(Tokens), false);
        check(
            "text/event-stream;dialect=events;q=0.5, text/event-stream;dialect=ui-messages",
            Some(UiMessages),
            false,
        );
        check(
            "text/event-stream; dialect=later, text/event-stream; dialect=events",
            Some(Events),
            false,
        );
        check("text/event-stream", None, false);
        check("text/event-stream; dialect=events; q=0", None, false);
        check("*/*", None, false);
    }

    #[test]
    fn a_document_is_for_those_who_prefer_it() {
        check("application/json", None, true);
        check("application/json, text/event-stream;q=0.5", None, true);
        check("application/json, text/event-stream", None, false);
        check("application/json, text/plain, */*", None, false);
        check("application/json, */*;q=0.1", None, true);
        check("application/json;q=0", None, false);
        check("text/event-stream;q=0, application/json, */*", None, true);
    }

    #[test]
    fn a_dialect_that_does_not_exist_is_not_acceptable() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, "text/event-stream; dialect=klingon".parse().unwrap());
        let error = Accepted::of(&headers).unwrap_err();
        assert_eq!(error.status(), 406);
        assert!(error.message().contains("`klingon`") && error.message().contains("`ui-messages`"));
    }
}
