//! What clients are told of limits.

use http::{HeaderMap, HeaderName};
use std::time::Duration;

/// Tells a client where it stands: the limit, what is left of it, and how long it takes until all is
/// regained. Of several limits the tightest is told.
///
/// The names are those of draft-ietf-httpapi-ratelimit-headers-06: later drafts put them into one that
/// few clients know.
pub(crate) fn tell_limit(
    headers: &mut HeaderMap,
    limit: u64,
    available: u64,
    until_full: Duration,
) {
    let remaining = HeaderName::from_static("ratelimit-remaining");
    let told = headers.get(&remaining).and_then(|value| value.to_str().ok()?.parse().ok());
    if told.is_some_and(|told: u64| told <= available) {
        // A tighter limit has been told.
        return;
    }
    headers.insert(remaining, available.into());
    headers.insert(HeaderName::from_static("ratelimit-limit"), limit.into());
    let reset = until_full.as_secs().saturating_add(u64::from(until_full.subsec_nanos() > 0));
    headers.insert(HeaderName::from_static("ratelimit-reset"), reset.into());
}
