use super::{CacheEngine, CacheRules, CachedResponse, EngineId};
use crate::base::{Error, random_id};
#[cfg(feature = "redis")]
use crate::store::MemoryStore;
use crate::store::{BoxStore, Capability, Claims, LenientStore};
use crate::web::request::RequestParts;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How many keys are asked for at a time when some are to be forgotten.
const PAGE: usize = 500;

/// Keeps answers in a [`Store`](crate::store::Store), which many processes may share: an answer that
/// one has made is given by the others.
///
/// However many requests of however many processes want an answer that is not there, one handler runs for
/// them, and the others wait for what it answers: see [`Claims`]. When the store is away, nothing is found and
/// nothing is kept, and handlers run as without a cache.
///
/// ```
/// use ember::prelude::*;
/// use ember::store::BoxStore;
/// use ember::web::Route;
/// use ember::web::cache::StoreCache;
///
/// # fn main() -> ember::Result {
/// let store = BoxStore::from_url("memory")?;
/// let cache = StoreCache::new(store.clone(), secs(30)).key_prefix("rates:");
/// let app = Ember::new().store(store).route(Route::get("/rates", async || "1.08").cache(cache));
/// # app.build().unwrap();
/// # Ok(()) }
/// ```
///
/// An answer is kept for each `Host` apart, as [`CacheRules`] says: processes share it if they are reached by one
/// name, as behind a balancer, and not if each is asked by its own port. Clones are the same cache; where several routes have it, it is connected once, when the application starts.
#[derive(Clone)]
pub struct StoreCache {
    store: LenientStore,
    id: EngineId,
    ttl: Duration,
    prefix: String,
    rules: CacheRules,
    /// Why there is no store.
    fault: Option<Arc<str>>,
}

impl StoreCache {
    /// The largest answer that is kept unless it is told otherwise, in bytes with its headers: 1 MiB.
    pub const DEFAULT_MAX_SIZE: usize = 1 << 20;

    /// Keeps each answer for this time.
    pub fn new(store: impl Into<BoxStore>, ttl: Duration) -> Self {
        let store = store.into();
        let rules = CacheRules::new().max_size(Self::DEFAULT_MAX_SIZE as u64);
        Self {
            id: EngineId::new(store.name()),
            store: LenientStore::new(store),
            ttl,
            prefix: "cache:".to_owned(),
            rules,
            fault: None,
        }
    }

    /// A cache without a store: no application starts with it, and it keeps nothing.
    #[cfg(feature = "redis")]
    pub(super) fn broken(why: String, ttl: Duration) -> Self {
        let nowhere = MemoryStore::new().max_entries(1);
        Self { fault: Some(why.into()), ..Self::new(nowhere, ttl) }
    }

    /// The same cache in another store.
    #[cfg(feature = "memcached")]
    pub(super) fn moved(self, store: impl Into<BoxStore>) -> Self {
        let Self { store, id, .. } = Self::new(store, self.ttl);
        Self { store, id, ..self }
    }

    /// Sets what the keys in the store begin with; `cache:` unless it is told otherwise.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how large an answer may be to be kept, in bytes with its headers. No more than 1 MiB of
    /// body is kept in any case.
    #[must_use]
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.rules = self.rules.max_size(bytes as u64);
        self
    }

    /// Keeps answers under a key of their own; see [`CacheRules::key`].
    #[must_use]
    #[doc(alias = "key_fn")]
    pub fn key(
        mut self,
        key: impl Fn(&RequestParts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.rules = self.rules.key(key);
        self
    }

    /// Keeps an answer for each value of these request headers.
    #[must_use]
    #[doc(alias = "vary_headers")]
    pub fn vary(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.rules = self.rules.vary(headers);
        self
    }

    /// What the store calls an answer.
    ///
    /// A store that cannot list its keys cannot forget by prefix either. There the keys of all answers
    /// have a common part, which is replaced to forget all of them.
    async fn name(&self, key: &str) -> Option<String> {
        let prefix = &self.prefix;
        if self.fault.is_some() {
            return None;
        }
        if self.store.store().can(Capability::Scan) {
            return Some(format!("{prefix}{key}"));
        }
        let key_of_era = self.era();
        let era = match self.store.get(&key_of_era).await? {
            Some(era) => String::from_utf8_lossy(&era).into_owned(),
            None => {
                let fresh = random_id().ok()?;
                let begun = self.store.compare_and_set(
                    &key_of_era,
                    None,
                    fresh.clone().into_bytes(),
                    Duration::MAX,
                );
                // If another was first, that one's counts from the next time on.
                begun.await.filter(|begun| *begun)?;
                fresh
            }
        };
        Some(format!("{prefix}{era}:{key}"))
    }

    fn era(&self) -> String {
        format!("{}era", self.prefix)
    }

    async fn forget_below(&self, prefix: &str) -> Option<()> {
        if self.fault.is_some() {
            return None;
        }
        if !self.store.store().can(Capability::Scan) {
            return self.store.delete(&self.era()).await.map(|_| ());
        }
        let begin = format!("{}{prefix}", self.prefix);
        let mut cursor: Option<String> = None;
        loop {
            let (store, begin) = (self.store.store().clone(), begin.clone());
            let page = async move { store.scan(&begin, cursor.as_deref(), PAGE).await };
            let page = self.store.attempt(page).await?;
            for key in &page.keys {
                self.store.delete(key).await?;
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Some(());
            }
        }
    }
}

impl CacheEngine for StoreCache {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        let name = self.name(key).await?;
        read(&self.store.get(&name).await??)
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        if !self.rules.has_room(response.weight()) {
            return;
        }
        if let Some(name) = self.name(key).await {
            self.store.set(&name, write(&response), self.ttl).await;
        }
    }

    /// Where the store cannot list its keys all answers are forgotten.
    async fn invalidate_prefix(&self, prefix: &str) {
        self.forget_below(prefix).await;
    }

    fn rules(&self) -> CacheRules {
        self.rules.clone()
    }

    fn check(&self) -> Result<(), Error> {
        match &self.fault {
            Some(why) => Err(Error::bad_request(why.to_string())),
            None => Ok(()),
        }
    }

    async fn start(&self) -> Result<Option<String>, Error> {
        CacheEngine::check(self)?;
        self.store.check().await.map(Some)
    }

    async fn stop(&self) {
        self.store.store().close().await;
    }

    fn id(&self) -> Option<EngineId> {
        Some(self.id.clone())
    }

    fn claims(&self) -> Option<Claims> {
        let prefix = format!("claim:{}", self.prefix);
        self.fault.is_none().then(|| Claims::lenient(self.store.clone(), prefix))
    }
}

/// An answer as bytes: the status, the number of headers, each with the lengths of name and value,
/// and the body. All numbers are of 32 bits, the most significant byte first.
fn write(response: &CachedResponse) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(response.body().len() + 256);
    let number = |bytes: &mut Vec<u8>, number: usize| {
        // Bodies and headers of answers that are kept are far smaller.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&number.to_be_bytes());
    };
    number(&mut bytes, usize::from(response.status().as_u16()));
    number(&mut bytes, response.headers().len());
    for (name, value) in response.headers() {
        number(&mut bytes, name.as_str().len());
        number(&mut bytes, value.len());
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.extend_from_slice(response.body());
    bytes
}

/// Reads what [`write`] wrote; `None` if it is something else.
fn read(bytes: &Bytes) -> Option<CachedResponse> {
    let mut rest = bytes.clone();
    let number = |rest: &mut Bytes| {
        let number: [u8; 4] = rest.get(..4)?.try_into().ok()?;
        let _ = rest.split_to(4);
        usize::try_from(u32::from_be_bytes(number)).ok()
    };
    let status = StatusCode::from_u16(u16::try_from(number(&mut rest)?).ok()?).ok()?;
    let mut headers = HeaderMap::new();
    for _ in 0..number(&mut rest)? {
        let (name, value) = (number(&mut rest)?, number(&mut rest)?);
        if rest.len() < name.checked_add(value)? {
            return None;
        }
        let name = HeaderName::from_bytes(&rest.split_to(name)).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(rest.split_to(value)).ok()?);
    }
    Some(CachedResponse::new(status, headers, rest))
}

impl fmt::Debug for StoreCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCache")
            .field("store", &self.store)
            .field("ttl", &self.ttl)
            .field("key_prefix", &self.prefix)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn answer(text: &'static str) -> CachedResponse {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_bytes(b"\xe4\xf6").unwrap());
        CachedResponse::new(StatusCode::CREATED, headers, text)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let bytes = Bytes::from(write(&answer("hello")));
        assert_eq!(read(&bytes), Some(answer("hello")));
        for end in 0..bytes.len() - "hello".len() {
            assert_eq!(read(&bytes.slice(..end)), None, "{end}");
        }
        assert_eq!(read(&Bytes::from_static(b"some other value that is no answer")), None);
    }

    #[tokio::test]
    async fn answers_are_shared_and_forgotten_by_prefix() {
        let shared = MemoryStore::new();
        let (one, other) = (
            StoreCache::new(shared.clone(), Duration::MAX),
            StoreCache::new(shared, Duration::MAX).max_size(9),
        );
        for key in ["/a\nx", "/a/b\nx"] {
            one.put(key, answer("x")).await;
        }
        assert_eq!(other.get("/a\nx").await, Some(answer("x")));
        other.invalidate("/a").await;
        assert_eq!(one.get("/a\nx").await, None);
        assert!(one.get("/a/b\nx").await.is_some());
        other.put("/large\nx", answer("x")).await;
        assert_eq!(one.get("/large\nx").await, None);
    }
}
