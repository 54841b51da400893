use super::kept::CachedResponse;
use super::rules::{CacheRules, host_for_everybody};
use crate::web::request::Request;
use crate::web::response::Response;
use foldhash::fast::RandomState;
use http::Method;
use http::request::Parts;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

/// Keeps the first answer for good, and gives it before anything else runs.
///
/// An answer that is kept costs no allocation, no middleware, no hook and no handler: it is for
/// what is the same for everybody until the next start. What middleware adds to answers is not on
/// it, and what middleware refuses is not refused; a request with `Authorization`, `Cookie` or
/// `Range` goes the whole way.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cache::StaticCache;
///
/// #[get("/about", cache = StaticCache::new())]
/// async fn about() -> Html<&'static str> {
///     Html("<h1>About us</h1>")
/// }
/// ```
///
/// A clone keeps the same answers, and can forget them.
#[derive(Clone)]
pub struct StaticCache {
    by_host: Arc<RwLock<Entries>>,
    max_entries: usize,
}

/// By host, then by path and query: both can be looked up as they stand in the request.
///
/// Clients choose the keys, and cannot know the seed of the hash; where `max_entries` is not large, even keys
/// which collide would be found soon.
#[derive(Default)]
struct Entries {
    by_host: HashMap<Box<str>, HashMap<Box<str>, CachedResponse, RandomState>, RandomState>,
    count: usize,
}

impl StaticCache {
    /// Keeps at most 1,024 answers, of 1 MiB each. When they are there, no other is kept.
    pub fn new() -> Self {
        Self { by_host: Arc::default(), max_entries: 1024 }
    }

    /// Sets how many answers are kept.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Forgets all answers; the next ones are kept.
    pub fn clear(&self) {
        *self.by_host.write().unwrap_or_else(PoisonError::into_inner) = Entries::default();
    }

    /// Forgets the answers under a path with its query, on all hosts.
    pub fn invalidate(&self, path_and_query: &str) {
        let entries = &mut *self.by_host.write().unwrap_or_else(PoisonError::into_inner);
        // Hosts come from clients, so that one without an answer is not kept.
        entries.by_host.retain(|_, paths| {
            entries.count -= usize::from(paths.remove(path_and_query).is_some());
            !paths.is_empty()
        });
    }

    /// The answer that is kept, written where the headers of the request stood.
    pub(crate) fn hit(&self, head: &mut Parts) -> Option<Response> {
        let (host, target) = place(head)?;
        let entries = self.by_host.read().unwrap_or_else(PoisonError::into_inner);
        let kept = entries.by_host.get(host)?.get(target)?;
        Some(kept.to_response_in(std::mem::take(&mut head.headers)))
    }

    /// Runs the handler, and keeps its answer if it is the first.
    pub(super) async fn keep<F>(&self, request: Request, run: impl FnOnce(Request) -> F) -> Response
    where
        F: Future<Output = Response>,
    {
        let place = place(request.head())
            .filter(|_| request.method() == Method::GET)
            .map(|(host, target)| (Box::<str>::from(host), Box::<str>::from(target)));
        let response = run(request).await;
        let Some((host, path)) = place.filter(|_| CacheRules::new().may_keep(&response)) else {
            return response;
        };
        match CachedResponse::of(response).await {
            Ok((kept, response)) => {
                self.insert(host, path, kept);
                response
            }
            Err(broken) => broken,
        }
    }

    fn insert(&self, host: Box<str>, path: Box<str>, kept: CachedResponse) {
        let entries = &mut *self.by_host.write().unwrap_or_else(PoisonError::into_inner);
        if entries.count < self.max_entries {
            let paths = entries.by_host.entry(host).or_default();
            entries.count += usize::from(!paths.contains_key(&path));
            paths.entry(path).or_insert(kept);
        }
    }
}

/// The host, and the path and query, of a request whose answer is the same for everybody.
fn place(head: &Parts) -> Option<(&str, &str)> {
    let host = host_for_everybody(head)?;
    head.uri.path_and_query().map(|target| (host, target.as_str()))
}

impl Default for StaticCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StaticCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.by_host.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("StaticCache").field("entries", &entries.count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::response::IntoResponse as _;

    #[tokio::test]
    async fn a_host_without_answers_is_not_kept() {
        let cache = StaticCache::new();
        for (host, path) in [("a", "/x"), ("b", "/x"), ("b", "/y")] {
            let (kept, _) = CachedResponse::of("Hello".into_response()).await.unwrap();
            cache.insert(host.into(), path.into(), kept);
        }
        let size = || {
            let entries = cache.by_host.read().unwrap();
            (entries.by_host.len(), entries.count)
        };
        assert_eq!(size(), (2, 3));
        cache.invalidate("/x");
        assert_eq!(size(), (1, 1));
        cache.invalidate("/y");
        assert_eq!(size(), (0, 0));
    }
}
