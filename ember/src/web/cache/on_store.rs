//! What a cache on the server of one kind has in common with the others.

/// The settings and the engine of a cache that has a [`StoreCache`](super::StoreCache) in its field `cache`.
macro_rules! cache_on_store {
    ($cache:ident) => {
        impl $cache {
            /// Sets what the keys begin with, after what the store puts before all of them; `cache:` unless it
            /// is told otherwise.
            #[must_use]
            pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
                self.cache = self.cache.key_prefix(prefix);
                self
            }

            /// Keeps an answer for each value of these request headers.
            #[must_use]
            #[doc(alias = "vary")]
            pub fn vary_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
                self.cache = self.cache.vary(headers);
                self
            }

            /// Sets how large an answer may be to be kept: see [`StoreCache::max_size`].
            #[must_use]
            pub fn max_size(mut self, bytes: usize) -> Self {
                self.cache = self.cache.max_size(bytes);
                self
            }

            /// Keeps answers under a key of their own; see [`CacheRules::key`].
            #[must_use]
            #[doc(alias = "key")]
            pub fn key_fn(
                mut self,
                key: impl Fn(&RequestParts) -> Option<String> + Send + Sync + 'static,
            ) -> Self {
                self.cache = self.cache.key(key);
                self
            }
        }

        impl CacheEngine for $cache {
            async fn get(&self, key: &str) -> Option<CachedResponse> {
                self.cache.get(key).await
            }

            async fn put(&self, key: &str, response: CachedResponse) {
                self.cache.put(key, response).await;
            }

            async fn generation(&self, key: &str) -> Option<Generation> {
                self.cache.generation(key).await
            }

            async fn put_in(
                &self,
                generation: Option<Generation>,
                key: &str,
                response: CachedResponse,
            ) {
                self.cache.put_in(generation, key, response).await;
            }

            async fn invalidate_prefix(&self, prefix: &str) {
                self.cache.invalidate_prefix(prefix).await;
            }

            async fn invalidate(&self, key: &str) {
                self.cache.invalidate(key).await;
            }

            fn rules(&self) -> CacheRules {
                self.cache.rules()
            }

            fn check(&self) -> Result<(), Error> {
                self.cache.check()
            }

            async fn start(&self) -> Result<Option<String>, Error> {
                self.cache.start().await
            }

            async fn stop(&self) {
                self.cache.stop().await;
            }

            fn id(&self) -> Option<EngineId> {
                self.cache.id()
            }

            fn claims(&self) -> Option<Claims> {
                self.cache.claims()
            }
        }
    };
}

pub(super) use cache_on_store;
