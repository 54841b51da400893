//! The semantic cache on routes: whose it is, and what the response says of it.

use crate::llm::{CacheOutcome, Client};
use crate::web::{Principal, RequestParts};
use http::header::{HeaderName, HeaderValue};
use std::sync::{Arc, Mutex, PoisonError};

/// The header that says what became of a request in the semantic cache: `hit; similarity=0.97`,
/// `miss`, or `skip; reason=anonymous`. Of several questions in one request, the last one counts.
pub const SEMANTIC_CACHE: HeaderName = HeaderName::from_static("x-semantic-cache");

/// Gives the cache of a client, if it has one, to the caller of a request alone, whoever has set
/// it, and has the response tell what became of the question.
pub(super) fn told_of_cache(client: Client, parts: &mut RequestParts) -> Client {
    let Some(cache) = client.its_semantic_cache().cloned() else { return client };
    let caller = parts.extensions().get::<Principal>().map(|principal| principal.id.clone());
    let last = Arc::new(Mutex::new(None));
    let told = last.clone();
    let cache = cache.for_caller(caller.as_deref()).watched(move |outcome| {
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    });
    parts.on_response(move |response| {
        let outcome = *last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = outcome.and_then(header_value) {
            response.headers_mut().insert(SEMANTIC_CACHE, value);
        }
    });
    client.semantic_cache(cache)
}

fn header_value(outcome: CacheOutcome) -> Option<HeaderValue> {
    let text = match outcome {
        CacheOutcome::Hit { similarity } => format!("hit; similarity={similarity:.2}"),
        CacheOutcome::Miss => "miss".to_owned(),
        CacheOutcome::Skipped(why) => format!("skip; reason={why}"),
    };
    HeaderValue::from_str(&text).ok()
}
