use super::generation::chosen;
use super::{CacheEngine, CacheRules, CachedResponse, EngineId, Generation};
use crate::base::Error;
#[cfg(feature = "redis")]
use crate::store::MemoryStore;
use crate::store::{BoxStore, Capability, Claims, Era, LenientStore};
use crate::web::request::RequestParts;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How many keys are asked for at a time when some are to be forgotten.
const PAGE: usize = 500;

/// How long it is known that a key was forgotten: longer than any handler runs.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// Keeps answers in a [`Store`](crate::store::Store), which many processes may share: an answer that
/// one has made is given by the others.
///
/// However many requests of however many processes want an answer that is not there, one handler runs for
/// them, and the others wait for what it answers: see [`Claims`]. When the store is away, nothing is found and
/// nothing is kept, and handlers run as without a cache.
///
/// What was forgotten is not put back by a handler that had begun before. Where the store is away, nothing can be
/// forgotten: this is told to the log, and what is kept lasts as long as it was to. A store that cannot list its
/// keys forgets all answers instead of some.
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
    /// A store that cannot list its keys cannot forget some of them either. There the names of all answers
    /// have the era as a common part, and are not found again in the next one.
    fn name(&self, era: Option<&str>, key: &str) -> String {
        match era {
            None => format!("{}{key}", self.prefix),
            Some(era) => format!("{}{era}:{key}", self.prefix),
        }
    }

    /// Tells whether answers are forgotten by their keys, and not all together.
    fn forgets_by_key(&self) -> bool {
        self.store.store().can(Capability::Scan)
    }

    /// The era of all answers.
    fn era(&self) -> Era {
        Era::new(self.store.clone(), format!("{}era", self.prefix))
    }

    /// The era of one key with its variants, where keys are forgotten one by one. There is none until it is.
    fn era_of(&self, key: &str) -> Era {
        let name = format!("{}era:{}", self.prefix, chosen(key));
        Era::new(self.store.clone(), name).ttl(KNOWN_FOR)
    }

    async fn present(&self, key: &str) -> Option<Generation> {
        if self.fault.is_some() {
            return None;
        }
        let era = self.era();
        if !self.forgets_by_key() {
            return era.get().await.map(Generation::new);
        }
        let of_key = self.era_of(key);
        let (all, of_key) = self.store.get_both(era.key(), of_key.key()).await?;
        let all = match all {
            Some(all) => String::from_utf8_lossy(&all).into_owned(),
            None => era.begin_first().await?,
        };
        let of_key = of_key.unwrap_or_default();
        Some(Generation::new(format!("{all} {}", String::from_utf8_lossy(&of_key))))
    }

    /// Ends an era, and deletes what begins like this where that can be done.
    async fn forget(&self, era: Era, begin: &str) {
        if self.fault.is_some() {
            return;
        }
        // First, so that nobody who has begun before puts an answer where it was deleted.
        let mut is_done = era.begin().await.is_some();
        if self.forgets_by_key() {
            is_done &= self.delete_all(&format!("{}{begin}", self.prefix)).await.is_some();
        }
        if !is_done {
            let store = self.store.store().name();
            tracing::warn!(
                store,
                ttl = ?self.ttl,
                "a cache could not forget all that it was told to; what is left lasts until it expires"
            );
        }
    }

    async fn delete_all(&self, begin: &str) -> Option<()> {
        let (mut cursor, mut is_done) = (None::<String>, Some(()));
        loop {
            let (store, begin) = (self.store.store().clone(), begin.to_owned());
            let page = async move { store.scan(&begin, cursor.as_deref(), PAGE).await };
            let page = self.store.attempt(page).await?;
            for key in &page.keys {
                // One that cannot be deleted does not keep the others.
                if self.store.delete(key).await.is_none() {
                    is_done = None;
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return is_done;
            }
        }
    }
}

impl CacheEngine for StoreCache {
    async fn get(&self, key: &str) -> Option<CachedResponse> {
        if self.fault.is_some() {
            return None;
        }
        let name = match self.forgets_by_key() {
            true => self.name(None, key),
            false => self.name(Some(&self.era().get().await?), key),
        };
        read(&self.store.get(&name).await??)
    }

    async fn put(&self, key: &str, response: CachedResponse) {
        let generation = self.present(key).await;
        self.put_in(generation, key, response).await;
    }

    async fn generation(&self, key: &str) -> Option<Generation> {
        self.present(key).await
    }

    /// Nothing is kept of which it is not known when it was begun.
    async fn put_in(&self, generation: Option<Generation>, key: &str, response: CachedResponse) {
        let Some(generation) = generation.filter(|_| self.rules.has_room(response.weight())) else {
            return;
        };
        if !self.forgets_by_key() {
            let name = self.name(Some(generation.as_str()), key);
            self.store.set(&name, write(&response).into(), self.ttl).await;
            return;
        }
        if self.present(key).await.as_ref() != Some(&generation) {
            return;
        }
        let name = self.name(None, key);
        self.store.set(&name, write(&response).into(), self.ttl).await;
        // Whoever has ended the generation meanwhile may have looked for the name before it was there.
        if self.present(key).await.as_ref() != Some(&generation) {
            self.store.delete(&name).await;
        }
    }

    /// Where the store cannot list its keys all answers are forgotten.
    async fn invalidate_prefix(&self, prefix: &str) {
        self.forget(self.era(), prefix).await;
    }

    async fn invalidate(&self, key: &str) {
        let era = match self.forgets_by_key() {
            true => self.era_of(key),
            false => self.era(),
        };
        self.forget(era, &format!("{key}\n")).await;
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

/// The form of an answer as bytes, and its version.
const FORM: &[u8; 4] = b"ecr1";

/// An answer as bytes: the form with its version, the status, the number of headers, each with the lengths of name and value,
/// and the body. All numbers are of 32 bits, the most significant byte first.
fn write(response: &CachedResponse) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(response.body().len() + 256);
    let number = |bytes: &mut Vec<u8>, number: usize| {
        // Bodies and headers of answers that are kept are far smaller.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&number.to_be_bytes());
    };
    bytes.extend_from_slice(FORM);
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
    if !rest.starts_with(FORM) {
        return None;
    }
    let _ = rest.split_to(FORM.len());
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
    use crate::store::flaky::Flaky;
    use futures_util::FutureExt as _;

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
        let mut newer = bytes.to_vec();
        newer[3] = b'2';
        assert_eq!(read(&newer.into()), None, "a later version writes something else");
        assert_eq!(read(&bytes.slice(FORM.len()..)), None, "as it was written without a version");
    }

    /// Caches of two processes, on a store that can list its keys and on one that cannot.
    fn pairs() -> [[StoreCache; 2]; 2] {
        let lists: BoxStore = MemoryStore::new().into();
        let other: BoxStore = Flaky::new(MemoryStore::new()).into();
        [lists, other].map(|store| [(); 2].map(|()| StoreCache::new(store.clone(), Duration::MAX)))
    }

    #[tokio::test]
    async fn what_was_begun_before_it_was_forgotten_is_not_kept() {
        for [one, other] in pairs() {
            for by_prefix in [false, true] {
                let begun = one.generation("/a\nx").await;
                match by_prefix {
                    true => other.invalidate_prefix("/").await,
                    false => other.invalidate("/a").await,
                }
                one.put_in(begun, "/a\nx", answer("old")).await;
                assert_eq!(other.get("/a\nx").await, None);
                let begun = one.generation("/a\nx").await;
                one.put_in(begun, "/a\nx", answer("new")).await;
                assert_eq!(other.get("/a\nx").await, Some(answer("new")));
            }
        }
    }

    #[tokio::test]
    async fn a_key_that_is_forgotten_leaves_the_others_where_keys_can_be_listed() {
        let [[one, other], _] = pairs();
        one.put("/b\nx", answer("x")).await;
        let begun = one.generation("/c\nx").await;
        other.invalidate("/a").await;
        one.put_in(begun, "/c\nx", answer("x")).await;
        assert!(other.get("/b\nx").await.is_some() && other.get("/c\nx").await.is_some());
    }

    #[tokio::test]
    async fn what_lands_while_it_is_forgotten_is_deleted_again() {
        let flaky = Flaky::new(MemoryStore::new()).capable(&[Capability::Scan]);
        let [one, other] = [(); 2].map(|()| StoreCache::new(flaky.clone(), Duration::MAX));
        let begun = one.generation("/a\nx").await;
        let mut putting = Box::pin(one.put_in(begun, "/a\nx", answer("old")));
        // It has looked whether its generation has ended, and has not put anything yet.
        let gate = flaky.hold_answers();
        assert!(putting.as_mut().now_or_never().is_none());
        flaky.hold_no_more();
        other.invalidate("/a").await;
        gate.add_permits(9);
        putting.await;
        assert_eq!(other.get("/a\nx").await, None);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_deleted_does_not_keep_the_others() {
        let flaky = Flaky::new(MemoryStore::new()).capable(&[Capability::Scan]);
        let cache = StoreCache::new(flaky.clone(), Duration::MAX);
        for key in ["/a\nx", "/a\ny", "/a\nz"] {
            cache.put(key, answer("x")).await;
        }
        flaky.refuse("cache:/a\nx");
        cache.invalidate("/a").await;
        assert!(cache.get("/a\ny").await.is_none() && cache.get("/a\nz").await.is_none());
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
