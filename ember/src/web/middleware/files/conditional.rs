use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE,
};
use std::time::SystemTime;

/// What a client already has, and under which condition it wants something.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<String>,
    if_unmodified_since: Option<SystemTime>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
}

/// What the conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The file is sent.
    Send,
    /// Status 304.
    NotModified,
    /// Status 412.
    Failed,
}

impl Conditions {
    /// Takes the conditions out of the headers of a request.
    pub(super) fn take(headers: &mut HeaderMap) -> Self {
        Self {
            if_match: take(headers, IF_MATCH),
            if_unmodified_since: take(headers, IF_UNMODIFIED_SINCE).and_then(|text| date(&text)),
            if_none_match: take(headers, IF_NONE_MATCH),
            if_modified_since: take(headers, IF_MODIFIED_SINCE).and_then(|text| date(&text)),
        }
    }

    /// Evaluates them in the order of RFC 9110 §13.2.2.
    pub(super) fn evaluate(&self, tag: Option<&str>, modified: Option<SystemTime>) -> Outcome {
        let failed = match (&self.if_match, self.if_unmodified_since) {
            (Some(list), _) => !lists(list, tag, strongly_equal),
            (None, Some(since)) => modified.is_none_or(|modified| modified > since),
            (None, None) => false,
        };
        if failed {
            return Outcome::Failed;
        }
        let unmodified = match (&self.if_none_match, self.if_modified_since) {
            (Some(list), _) => lists(list, tag, weakly_equal),
            (None, Some(since)) => modified.is_some_and(|modified| modified <= since),
            (None, None) => false,
        };
        if unmodified { Outcome::NotModified } else { Outcome::Send }
    }
}

/// The condition of a range, where there is both: a tag or a date.
pub(super) fn take_if_range(headers: &mut HeaderMap) -> Option<String> {
    take(headers, IF_RANGE).filter(|_| headers.contains_key(RANGE))
}

/// Tells whether a range may be sent, because the client's part is of the same version (RFC 9110 §13.1.5).
pub(super) fn same_version(if_range: &str, tag: Option<&str>, headers: &HeaderMap) -> bool {
    match if_range.starts_with(['"', 'W']) && if_range.ends_with('"') {
        true => tag.is_some_and(|tag| strongly_equal(if_range, tag)),
        // A date must be exactly the one that was told.
        false => {
            headers.get(LAST_MODIFIED).is_some_and(|value| value.as_bytes() == if_range.as_bytes())
        }
    }
}

/// Takes away a range that is not served: several at once, and units other than bytes.
///
/// A server may ignore the header (RFC 9110 §14.2), and then the whole file is sent.
pub(super) fn drop_unserved_range(headers: &mut HeaderMap) {
    let mut ranges = headers.get_all(RANGE).iter();
    let (first, further) = (ranges.next(), ranges.next());
    let text = first.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if further.is_some() || !is_one_range(text) {
        headers.remove(RANGE);
    }
}

/// `bytes=1-2`, `bytes=1-`, `bytes=-2`.
fn is_one_range(text: &str) -> bool {
    let Some((start, end)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'))
    else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number(start), is_number(end)) {
        (true, true) => start.parse::<u64>().ok() <= end.parse::<u64>().ok(),
        (true, false) => end.is_empty(),
        (false, true) => start.is_empty(),
        (false, false) => false,
    }
}

/// Takes all values of a header, as one list.
fn take(headers: &mut HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    let values: Vec<_> = values.map(str::to_owned).collect();
    headers.remove(name)?;
    Some(values.join(", "))
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// Tells whether a list of tags, or `*`, holds one that is equal.
fn lists(list: &str, tag: Option<&str>, equal: fn(&str, &str) -> bool) -> bool {
    // Our own tags have no comma, so that a tag which does cannot be equal to one.
    list.trim() == "*"
        || tag.is_some_and(|tag| list.split(',').any(|other| equal(other.trim(), tag)))
}

fn strongly_equal(one: &str, other: &str) -> bool {
    one == other && !one.starts_with("W/")
}

fn weakly_equal(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[track_caller]
    fn check(conditions: &[(&'static str, &'static str)], expected: Outcome) {
        let mut headers = HeaderMap::new();
        for (name, value) in conditions {
            headers.append(*name, value.parse().unwrap());
        }
        // Thu, 01 Jan 1970 00:01:00 GMT
        let modified = UNIX_EPOCH + Duration::from_secs(60);
        let outcome = Conditions::take(&mut headers).evaluate(Some("\"a\""), Some(modified));
        assert_eq!(outcome, expected, "{conditions:?}");
        assert!(headers.is_empty());
    }

    #[test]
    fn conditions_are_evaluated_in_their_order() {
        let (before, at) = ("Thu, 01 Jan 1970 00:00:59 GMT", "Thu, 01 Jan 1970 00:01:00 GMT");
        check(&[], Outcome::Send);
        check(&[("if-none-match", "\"b\", W/\"a\"")], Outcome::NotModified);
        check(&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], Outcome::NotModified);
        check(&[("if-none-match", "*")], Outcome::NotModified);
        check(&[("if-none-match", "\"b\"")], Outcome::Send);
        check(&[("if-modified-since", at)], Outcome::NotModified);
        check(&[("if-modified-since", before)], Outcome::Send);
        check(&[("if-modified-since", "yesterday")], Outcome::Send);
        check(&[("if-none-match", "\"b\""), ("if-modified-since", at)], Outcome::Send);
        check(&[("if-match", "\"a\"")], Outcome::Send);
        check(&[("if-match", "W/\"a\"")], Outcome::Failed);
        check(&[("if-match", "\"b\"")], Outcome::Failed);
        check(&[("if-unmodified-since", before)], Outcome::Failed);
        check(&[("if-match", "\"a\""), ("if-unmodified-since", before)], Outcome::Send);
        check(&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], Outcome::NotModified);
    }

    #[test]
    fn one_range_of_bytes_is_served() {
        for text in ["bytes=0-0", "bytes=5-", "bytes=-5"] {
            assert!(is_one_range(text), "{text}");
        }
        for text in
            ["", "bytes=", "bytes=-", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=5-1"]
        {
            assert!(!is_one_range(text), "{text}");
        }
    }
}
