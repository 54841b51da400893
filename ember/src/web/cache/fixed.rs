use super::kept::CachedResponse;
use super::rules::{CacheRules, host_for_everybody};
use crate::web::request::{OriginalUri, Request};
use crate::web::response::Response;
use foldhash::fast::RandomState;
use http::Method;
use http::request::Parts;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

/// Keeps the first answer for good, and gives it before anything else runs.
///
/// An answer that is kept costs no allocation, no middleware, no hook and no handler: it is for
/// what is the same for everybody until the next start. What middleware adds to answers is not on
/// it, and what middleware refuses is not refused; a request with `Authorization`, `Cookie`,
/// `Range` or a body goes the whole way.
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
    entries: Arc<RwLock<Entries>>,
    max_entries: usize,
    max_bytes: u64,
}

/// By path and query.
type ByTarget = HashMap<Box<str>, CachedResponse, RandomState>;

/// By host, then by path and query: both can be looked up as they stand in the request. Where the application is
/// mounted, the prefix is a part of the host.
///
/// Clients choose the keys, and cannot know the seed of the hash; where `max_entries` is not large, even keys
/// which collide would be found soon.
#[derive(Default)]
struct Entries {
    by_host: HashMap<Box<str>, ByTarget, RandomState>,
    count: usize,
    bytes: u64,
    /// How often something was forgotten: an answer that was begun before that is not kept.
    forgotten: u64,
    told_full: bool,
}

impl StaticCache {
    /// How many bytes all answers together have at most where nothing else is said: 64 MiB.
    pub const DEFAULT_MAX_BYTES: u64 = 64 << 20;

    /// Keeps at most 1,024 answers of [`StaticCache::DEFAULT_MAX_BYTES`] together, of 1 MiB each.
    ///
    /// When they are there, no other is kept, and the log says so once. The query is a part of what an answer is
    /// kept under: clients that make up queries fill the cache, and the answers that it has stay.
    pub fn new() -> Self {
        Self { entries: Arc::default(), max_entries: 1024, max_bytes: Self::DEFAULT_MAX_BYTES }
    }

    /// Sets how many answers are kept.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets how many bytes all answers together may have, targets and headers included.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Forgets all answers; the next ones are kept, but for those that were begun before.
    pub fn clear(&self) {
        let entries = &mut *self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = entries.forgotten + 1;
        *entries = Entries { forgotten, ..Entries::default() };
    }

    /// Forgets the answers under a path with exactly this query, on all hosts and wherever the application is
    /// mounted: `/items` is another than `/items?page=2`. Answers that were begun before are not kept.
    pub fn invalidate(&self, path_and_query: &str) {
        self.forget(|paths| paths.remove_entry(path_and_query).into_iter().collect());
    }

    /// Forgets the answers under all paths with their queries that begin like this, on all hosts and wherever the
    /// application is mounted. Answers that were begun before are not kept.
    pub fn invalidate_prefix(&self, prefix: &str) {
        self.forget(|paths| paths.extract_if(|path, _| path.starts_with(prefix)).collect());
    }

    /// Forgets what is taken from the answers of each host.
    fn forget(&self, take: impl Fn(&mut ByTarget) -> Vec<(Box<str>, CachedResponse)>) {
        let entries = &mut *self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.forgotten += 1;
        // Hosts come from clients, so that one without an answer is not kept.
        entries.by_host.retain(|_, paths| {
            for (path, kept) in take(paths) {
                entries.count -= 1;
                entries.bytes -= weight(&path, &kept);
            }
            !paths.is_empty()
        });
    }

    /// The answer that is kept, written where the headers of the request stood.
    pub(crate) fn hit(&self, head: &mut Parts) -> Option<Response> {
        let (host, target) = place(head)?;
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let kept = entries.by_host.get(&*host)?.get(target)?;
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
        let forgotten = self.entries.read().unwrap_or_else(PoisonError::into_inner).forgotten;
        let response = run(request).await;
        let Some((host, path)) = place.filter(|_| CacheRules::new().may_keep(&response)) else {
            return response;
        };
        match CachedResponse::of(response).await {
            Ok((kept, response)) => {
                self.insert(host, path, kept, forgotten);
                response
            }
            Err(broken) => broken,
        }
    }

    /// Keeps an answer, if nothing was forgotten since it was begun.
    fn insert(&self, host: Box<str>, path: Box<str>, kept: CachedResponse, forgotten: u64) {
        let entries = &mut *self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.forgotten != forgotten {
            return;
        }
        let bytes = entries.bytes + weight(&path, &kept);
        if entries.count >= self.max_entries || bytes > self.max_bytes {
            if !std::mem::replace(&mut entries.told_full, true) {
                tracing::warn!(%path, answers = entries.count, "a `StaticCache` is full and keeps no further answers");
            }
            return;
        }
        if let Entry::Vacant(place) = entries.by_host.entry(host).or_default().entry(path) {
            place.insert(kept);
            (entries.count, entries.bytes) = (entries.count + 1, bytes);
        }
    }
}

/// About how many bytes an answer takes.
fn weight(path: &str, kept: &CachedResponse) -> u64 {
    path.len() as u64 + kept.weight()
}

/// The host, and the path and query, of a request whose answer is the same for everybody.
fn place(head: &Parts) -> Option<(Cow<'_, str>, &str)> {
    let host = host_for_everybody(head)?;
    let host = match OriginalUri::prefix(head) {
        "" => Cow::Borrowed(host),
        // No host has a line break.
        prefix => Cow::Owned(format!("{host}\n{prefix}")),
    };
    head.uri.path_and_query().map(|target| (host, target.as_str()))
}

impl Default for StaticCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StaticCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("StaticCache").field("entries", &entries.count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::response::IntoResponse as _;

    async fn insert(cache: &StaticCache, host: &str, path: &str, forgotten: u64) {
        let (kept, _) = CachedResponse::of("Hello".into_response()).await.unwrap();
        cache.insert(host.into(), path.into(), kept, forgotten);
    }

    fn size(cache: &StaticCache) -> (usize, usize) {
        let entries = cache.entries.read().unwrap();
        let mut kept = entries.by_host.values().flatten();
        let counted = (entries.by_host.values().map(HashMap::len).sum(), kept.by_ref().count());
        assert_eq!(counted, (entries.count, entries.count));
        assert_eq!(entries.bytes == 0, entries.count == 0);
        (entries.by_host.len(), entries.count)
    }

    #[tokio::test]
    async fn a_host_without_answers_is_not_kept() {
        let cache = StaticCache::new();
        for (host, path) in [("a", "/x"), ("b", "/x"), ("b", "/y"), ("b", "/y")] {
            insert(&cache, host, path, 0).await;
        }
        cache.invalidate("/nothing");
        assert_eq!(size(&cache), (2, 3));
        cache.invalidate("/x");
        assert_eq!(size(&cache), (1, 1));
        cache.invalidate("/y");
        assert_eq!(size(&cache), (0, 0));
        for path in ["/x", "/x?page=2", "/y"] {
            insert(&cache, "a", path, 3).await;
        }
        cache.invalidate_prefix("/x");
        assert_eq!(size(&cache), (1, 1));
    }

    #[tokio::test]
    async fn a_full_cache_keeps_what_it_has() {
        let (few, small) = (StaticCache::new().max_entries(2), StaticCache::new().max_bytes(90));
        for path in ["/a", "/b", "/c", "/a"] {
            insert(&few, "x", path, 0).await;
            insert(&small, "x", path, 0).await;
        }
        assert_eq!(size(&few), (1, 2));
        let one = weight("/a", &few.entries.read().unwrap().by_host["x"]["/a"]);
        assert_eq!(size(&small), (1, usize::try_from(90 / one).unwrap()));
        few.clear();
        assert_eq!(size(&few), (0, 0));
    }

    #[tokio::test]
    async fn an_answer_that_was_begun_before_something_was_forgotten_is_not_kept() {
        let cache = StaticCache::new();
        let forget: [&dyn Fn(); 2] = [&|| cache.clear(), &|| cache.invalidate("/x")];
        for forget in forget {
            let request = http::Request::get("/x").header("host", "a").body(()).unwrap();
            let run = |_| async {
                // Somebody changes what the handler has just read.
                forget();
                "old".into_response()
            };
            cache.keep(request.into(), run).await;
            assert_eq!(size(&cache), (0, 0));
        }
        let request = http::Request::get("/x").header("host", "a").body(()).unwrap();
        cache.keep(request.into(), |_| async { "new".into_response() }).await;
        assert_eq!(size(&cache), (1, 1));
    }
}
